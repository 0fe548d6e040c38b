# SPDX-License-Identifier: GPL-2.0-only
"""`serve` as Prometheus and strangers see it: figures of a real workload, both formats, two processes of
one name, limits, ends, a real Prometheus server, and requests that mean no good."""
import gzip
import json
import socket
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

import harness
from fixtures import factory
from exporter import OPENMETRICS, Exporter, assert_exposition

exporter = factory(Exporter)

RESIZE = "resize:threads=6,mmap=1M,arena=2M,named"
POOL = {"process": "pools", "pool": "resize-*"}
RESIDENT = "poolscope_pool_memory_resident_bytes"


@pytest.fixture
def served(pools, exporter):
    """The resize pool, attached before it grew, full and standing still; with its exporter."""
    workload = pools(RESIZE)
    serving = exporter("-p", workload.pid)
    workload.truth = workload.fill()
    serving.wait_value(6, "poolscope_pool_threads", **POOL)
    serving.workload = workload
    return serving


def test_figures_of_a_pool(served):
    truth = {region: sum(t["resident"][region] for t in served.workload.truth["threads"]) for region in harness.REGIONS}

    def all_close():
        return all(harness.close_enough(served.value(RESIDENT, region=region, **POOL), figure)
                   for region, figure in truth.items())
    harness.wait_for(all_close, f"resident bytes of {truth}")
    served.wait_value(6, "poolscope_pool_threads_started_total", **POOL)
    series = served.series()

    def get(name, **labels):
        return series[("poolscope_" + name, *sorted(labels.items()))]
    assert get("pool_threads_peak", **POOL) >= 6
    assert get("pool_threads_exited_total", **POOL) == 0
    assert get("pool_memory_orphaned_bytes", **POOL) == 0
    largest = max(sum(t["resident"].values()) for t in served.workload.truth["threads"])
    assert harness.close_enough(get("pool_thread_memory_max_resident_bytes", **POOL), largest)
    assert get("processes", process="pools") == 1
    assert get("process_threads", process="pools") == 7
    rss_anon = get("process_memory_resident_bytes", process="pools", type="anon")
    attributed = sum(v for k, v in series.items() if k[0] == RESIDENT)
    unattributed = sum(v for k, v in series.items() if k[0] == "poolscope_process_memory_unattributed_bytes")
    assert rss_anon == attributed + unattributed + get("process_memory_unexplained_bytes", process="pools")
    assert get("events_total", probe="thread_born") >= 6
    assert get("events_lost_total", reason="ring") == 0
    assert not any(label in ("pid", "tid") for key in series for label, _ in key[1:])
    assert sum(("pool", "resize-*") in key for key in series) <= 33


def test_exposition_of_a_real_process(served):
    assert_exposition(served)


def test_formats_encodings_and_pages(served):
    status, headers, body = served.get(headers={"Accept-Encoding": "gzip", **OPENMETRICS})
    assert status == 200 and headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body).endswith(b"# EOF\n")
    status, headers, body = served.get(headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in headers and body.startswith(b"# HELP ")
    assert served.get("/healthz")[::2] == (200, b"ok\n")
    status, headers, body = served.get("/")
    assert status == 200 and headers["Content-Type"].startswith("text/html") and b'href="/metrics"' in body
    assert served.get("/nothing")[0] == 404
    curl = subprocess.run(["curl", "-sf", "--compressed", f"http://{served.address}/metrics"], capture_output=True, check=True)
    assert b"poolscope_build_info{version=" in curl.stdout


def test_the_agents_own_figures(served):
    series = served.series()
    stat = Path(f"/proc/{served.process.pid}/statm").read_text().split()
    resident = int(stat[1]) * 4096
    assert 0.5 * resident < series[("process_resident_memory_bytes",)] < 2 * resident
    assert series[("process_cpu_seconds_total",)] > 0
    assert abs(series[("process_open_fds",)] - len(list(Path(f"/proc/{served.process.pid}/fd").iterdir()))) < 8
    assert 0 <= series[("poolscope_snapshot_timestamp_seconds",)] - series[("process_start_time_seconds",)] < 600


def test_two_processes_of_one_name(pools, exporter):
    first, second = pools(RESIZE), pools("resize:threads=3,mmap=1M,named", "upload:threads=2,named")
    serving = exporter("-p", first.pid, "-p", second.pid)
    first.fill()
    second.fill()
    serving.wait_value(9, "poolscope_pool_threads", **POOL)
    serving.wait_value(2, "poolscope_pool_threads", process="pools", pool="upload-*")
    assert serving.value("poolscope_processes", process="pools") == 2
    assert serving.value("poolscope_process_threads", process="pools") == 6 + 1 + 5 + 1
    assert serving.value("poolscope_pool_threads_peak", **POOL) == 6  # of the largest process
    assert_exposition(serving)


def test_counters_outlive_their_process(pools, exporter):
    first, second = pools(RESIZE), pools("resize:threads=3,named")
    serving = exporter("-p", first.pid, "-p", second.pid)
    first.fill()
    second.fill()
    serving.wait_value(9, "poolscope_pool_threads", **POOL)
    serving.wait_value(9, "poolscope_pool_threads_started_total", **POOL)  # a second later
    first.close()
    serving.wait_value(1, "poolscope_processes", process="pools")
    serving.wait_value(3, "poolscope_pool_threads", **POOL)
    assert serving.value("poolscope_pool_threads_started_total", **POOL) == 9
    assert serving.value("poolscope_pool_threads_exited_total", **POOL) >= 6
    assert serving.value("poolscope_processes_started_total", process="pools") == 2
    assert_exposition(serving)


def test_limits(pools, exporter):
    workload = pools(RESIZE)
    serving = exporter("-p", workload.pid, "--limit", "resize-*:threads=4", "--limit", "resize-*:resident_bytes=1GiB")
    workload.fill()
    threads = {"limit": "threads", **POOL}
    serving.wait_value(1.5, "poolscope_pool_limit_used_ratio", **threads)
    assert serving.value("poolscope_pool_over_limit", **threads) == 1
    assert serving.value("poolscope_pool_limit_violations_total", **threads) == 1
    resident = {"limit": "resident_bytes", **POOL}
    assert serving.value("poolscope_pool_over_limit", **resident) == 0
    assert 0 < serving.value("poolscope_pool_limit_used_ratio", **resident) < 0.1
    assert serving.value("poolscope_process_over_limit", process="pools", limit="resident_bytes") == 0
    assert_exposition(serving)


def test_hostile_thread_names(puppet, exporter):
    workload = puppet()
    names = [b'q"\\\n', b"\xff", b"\xfe", b"\\xff", b"\x1b[31m", b"\xe2\x82\xac"]
    for i, name in enumerate(names):
        workload.script(f"main spawn t{i}\nt{i} name {name.hex()}")
    serving = exporter("-p", workload.pid)

    def all_there():
        pools = {dict(key[1:])["pool"] for key in serving.series() if key[0] == "poolscope_pool_threads"}
        # in a pool's name ? stands for what a glob could not match literally
        return {'q"?\n', "?", "?xff", "\\x1b?*m", "\u20ac"} <= pools
    harness.wait_for(all_there, "all the names")
    assert_exposition(serving)
    body = serving.get()[2]
    assert not any(byte < 32 and byte != 10 or byte == 127 for byte in body)


def test_a_scrape_reads_the_last_snapshot(pools, exporter):
    """Between two refreshes every scrape gets the same bytes, even of the agent's own CPU time, and the
    agent opens and reads nothing of the target."""
    workload = pools(RESIZE)
    workload.fill()
    serving = exporter("-p", workload.pid, "--interval", "3600")
    first = serving.text()

    def bytes_read():  # by read(2), so without what sockets received
        return int(Path(f"/proc/{serving.process.pid}/io").read_text().split("rchar: ")[1].split()[0])
    before = bytes_read()
    for _ in range(100):
        assert serving.text() == first
    assert bytes_read() - before < 100 * 64, "a scrape reads more than its timer"


def test_a_stopped_target_is_still_served(served):
    served.workload.freeze()
    before = served.value("poolscope_snapshot_timestamp_seconds")
    harness.wait_for(lambda: served.value("poolscope_snapshot_timestamp_seconds") > before, "the next snapshot")
    assert served.value("poolscope_pool_threads", **POOL) == 6
    assert served.get("/healthz")[0] == 200


def test_end_by_signal(served):
    assert served.stop() == 0
    assert not any("Sanitizer" in line for line in served.log)


def test_hostile_requests_under_sanitizers(pools, exporter):
    workload = pools(RESIZE)
    workload.fill()
    serving = exporter("-p", workload.pid, binary=harness.SANITIZED)
    host, port = serving.address.rsplit(":", 1)
    requests = [b"GET /" + b"a" * 1000000, b"GET / HTTP/1.1\r\nX: " + b"b" * 1000000, b"\0" * 5000, b"GET /metrics HTTP/1.1\r\n",
                b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n" + b"x" * 100000,
                b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 200]
    for request in requests:
        with socket.create_connection((host, int(port)), timeout=harness.PATIENCE) as client:
            try:
                client.sendall(request)
            except OSError:
                pass
        assert serving.get("/healthz")[0] == 200
    idle = [socket.create_connection((host, int(port)), source_address=("127.0.0.9", 0)) for _ in range(100)]
    assert serving.get("/healthz")[0] == 200
    for client in idle:
        client.close()
    assert serving.stop() == 0, serving.log
    assert not any("Sanitizer" in line for line in serving.log), serving.log


def test_taken_port_says_what_to_do(served):
    done = harness.run("serve", "-p", served.workload.pid, "--listen", served.address)
    assert done.code == 1 and served.address in done.err and "taken" in done.err and "--listen" in done.err, done


class Prometheus:
    """Debian's server, scraping once a second into a folder of its own."""

    def __init__(self, address, folder):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        config = folder / "prometheus.yml"
        config.write_text("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: poolscope\n"
                          f"  static_configs: [{{targets: ['{address}']}}]\n")
        self.log = open(folder / "log", "w+b")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address={self.address}"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def query(self, expression):
        """{labels without __name__: value}, or None while there is nothing."""
        assert self.process.poll() is None, Path(self.log.name).read_text()
        url = f"http://{self.address}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(url, timeout=harness.PATIENCE) as answer:
                result = json.load(answer)["data"]["result"]
        except OSError:
            return None
        return {tuple(sorted(r["metric"].items())): float(r["value"][1]) for r in result} or None

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


prometheus = factory(Prometheus)


def test_a_real_prometheus_answers_about_a_pool(served, prometheus, tmp_path):
    server = prometheus(served.address, tmp_path)
    threads = harness.wait_for(lambda: server.query("sum by (process, pool) (poolscope_pool_threads)"), "an answer of Prometheus")
    assert threads[(("pool", "resize-*"), ("process", "pools"))] == 6
    assert set(server.query("up{job='poolscope'}").values()) == {1}
    resident = server.query("sum by (pool) (poolscope_pool_memory_resident_bytes)")
    truth = sum(sum(t["resident"].values()) for t in served.workload.truth["threads"])
    assert harness.close_enough(resident[(("pool", "resize-*"),)], truth)
    scraped = server.query("scrape_samples_scraped{job='poolscope'}")
    assert set(scraped.values()) == {len(served.series())}
    rate = harness.wait_for(lambda: server.query("rate(process_cpu_seconds_total{job='poolscope'}[10s])"), "a rate")
    assert all(0 <= value < 1 for value in rate.values())
    assert "level=error" not in Path(server.log.name).read_text()
