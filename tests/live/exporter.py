# SPDX-License-Identifier: GPL-2.0-only
"""A running `poolscope serve` and what is scraped from it. It must not know how it works inside."""
import re
import subprocess
import threading
import urllib.error
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import harness

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}


class Exporter(harness.Agent):
    """Started on a port that the kernel chooses; its log is read as it comes."""

    def __init__(self, *arguments, listen="127.0.0.1:0", **options):
        super().__init__("serve", "--listen", listen, *arguments, **options)
        self.log = []
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()
        self.address = harness.wait_for(self._listening, "the exporter to listen")

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line.decode(errors="replace"))

    def _listening(self):
        if not self.running():
            raise AssertionError(f"serve ended with {self.process.returncode}: {self.log}")
        found = re.search(r"event=listening.* address=\"?([^\s\"]+)", "".join(self.log))
        return found and found[1]

    def get(self, path="/metrics", headers=None):
        """status, headers, body"""
        request = urllib.request.Request(f"http://{self.address}{path}", headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=harness.PATIENCE) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.headers, refusal.read()

    def text(self):
        status, _, body = self.get()
        assert status == 200, body
        return body.decode()

    def series(self):
        """{(name, (label, value)...): figure}, by the text format's parser; equal label sets fail."""
        found = {}
        for family in parse_text(self.text()):
            for sample in family.samples:
                key = (sample.name, *sorted(sample.labels.items()))
                assert key not in found, f"two samples of {key}"
                found[key] = sample.value
        return found

    def value(self, name, **labels):
        return self.series().get((name, *sorted(labels.items())))

    def wait_value(self, wanted, name, **labels):
        last = []

        def there():
            last[:] = [self.value(name, **labels)]
            return last[0] == wanted
        try:
            harness.wait_for(there, name)
        except AssertionError as late:
            raise AssertionError(f"{name}{labels} is {last}, not {wanted}") from late

    def close(self):
        if self.running():
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()

    def stop(self):
        """Ends it as systemd would, and returns its exit code."""
        self.process.terminate()
        code = self.process.wait(timeout=harness.PATIENCE)
        self.reader.join()
        return code


def assert_exposition(exporter):
    """promtool has nothing to say; the strict OpenMetrics parser takes it; every label set is unique."""
    done = subprocess.run(["promtool", "check", "metrics"], input=exporter.get()[2], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), done
    status, headers, body = exporter.get(headers=OPENMETRICS)
    assert status == 200 and headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    samples = [s for family in parse_openmetrics(body.decode()) for s in family.samples]
    keys = [(s.name, *sorted(s.labels.items())) for s in samples]
    lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
    assert len(set(keys)) == len(keys) == len(lines)
    exporter.series()


class Sums:
    """One refresh, of all targets together."""

    def __init__(self, series):
        def total(name, **labels):
            return sum(figure for key, figure in series.items()
                       if key[0] == "poolscope_" + name and set(labels.items()) <= set(key[1:]))
        self.time = total("snapshot_timestamp_seconds")
        self.anon = total("process_memory_resident_bytes", type="anon")
        self.explained = total("pool_memory_resident_bytes") + total("process_memory_unattributed_bytes")
        self.unexplained = total("process_memory_unexplained_bytes")
        self.is_known = any(key[0] == "poolscope_process_memory_unexplained_bytes" for key in series)


class Refreshes:
    """Looks at every refresh while the body runs: what was counted and what is unexplained are the kernel's figure."""

    def __init__(self, serving):
        self.serving, self.seen, self.failure = serving, {}, None
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._look)

    def _look(self):
        try:
            while not self.done.wait(0.02):
                sums = Sums(self.serving.series())
                if sums.is_known:
                    self.seen[sums.time] = sums
        except Exception as failure:  # pylint: disable=broad-except; it is the test's, and raised there
            self.failure = failure

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.done.set()
        self.thread.join()
        if self.failure:
            raise self.failure

    def assert_identity(self):
        for sums in self.seen.values():
            assert sums.anon == sums.explained + sums.unexplained, vars(sums)

    def unexplained(self):
        """Refresh by refresh, ascending, as parts of RssAnon."""
        return sorted(abs(sums.unexplained) / sums.anon for sums in self.seen.values())


def assert_stands(serving):
    """While it stands still, one of the next refreshes has all that is resident explained, to the byte."""
    def explained():
        sums = Sums(serving.series())
        return sums.anon == sums.explained > 0 == sums.unexplained
    harness.wait_for(explained, "unexplained to be 0")
