# SPDX-License-Identifier: GPL-2.0-only
"""Hundreds of processes: what goes over all of them gives way to a signal, and takes all of them in. Names beyond those
that are kept apart."""
import shutil
import signal
import subprocess
import time

import pytest

from exporter import Exporter
from fixtures import factory
from harness import PATIENCE, Agent, wait_for

COUNT = 600
NAMES = 1024  # that are kept apart
agents = factory(Agent)
exporters = factory(Exporter)


class Family:
    """A shell and its children, of a name that nobody else has."""

    def __init__(self, folder, count):
        self.name = f"many{time.monotonic_ns() % 10**9}"
        shutil.copy("/bin/sleep", folder / self.name)
        self.process = subprocess.Popen(["/bin/sh", "-c", f"for i in $(seq {count}); do ./{self.name} 1000 & done; wait"],
                                        cwd=folder, start_new_session=True)
        wait_for(lambda: len(self.children()) == count, "the children")

    def children(self):
        return subprocess.run(["pgrep", "-x", self.name], stdout=subprocess.PIPE, text=True, check=False).stdout.split()

    def close(self):
        subprocess.run(["kill", "-KILL", str(self.process.pid), *self.children()], check=False)
        self.process.wait()


families = factory(Family)


@pytest.mark.parametrize("selector", ["by name", "as children"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_attach(families, agents, tmp_path, selector, number):
    family = families(tmp_path, COUNT)
    selected = ["-n", family.name] if selector == "by name" else ["-f", "-p", family.process.pid]
    agent = agents("serve", "--listen", "127.0.0.1:0", *selected)
    while b"event=attached" not in (line := agent.process.stderr.readline()):
        assert line, agent.process.wait(PATIENCE)
    agent.process.send_signal(number)
    done = agent.wait()
    assert done.code == 0 and "event=stopping" in done.err, done
    assert 1 + done.err.count("event=attached") < COUNT / 2, "the attach went on"


def test_all_of_them_are_taken_in(families, agents, tmp_path):
    family = families(tmp_path, COUNT)
    agent = agents("serve", "--listen", "127.0.0.1:0", "-f", "-p", family.process.pid)
    while b"event=listening" not in (line := agent.process.stderr.readline()):
        assert line, agent.process.wait(PATIENCE)
    assert f"targets={COUNT + 1}".encode() in line, line


def test_a_process_of_a_new_name_has_its_own_after_many_have_ended(exporters, tmp_path):
    count = NAMES + 100
    for name, program in [*((f"n{i}", "true") for i in range(count)), ("late", "sleep")]:
        (tmp_path / name).symlink_to(shutil.which(program))
    script = f"read line; i=0; while [ $i -lt {count} ]; do ./n$i; i=$((i+1)); done; exec ./late 1000"
    with subprocess.Popen(["/bin/sh", "-c", script], cwd=tmp_path, stdin=subprocess.PIPE) as shell:
        try:
            serving = exporters("-f", "-p", str(shell.pid))
            shell.stdin.write(b"\n")
            shell.stdin.flush()
            serving.wait_value(1, "poolscope_processes", process="late")
            series = serving.series()
            wait_for(lambda: "event=process_names_full" in "".join(serving.log), "the notice")
            log = "".join(serving.log)
        finally:
            shell.kill()
    groups = {dict(key[1:])["process"]: value for key, value in series.items() if key[0] == "poolscope_processes_started_total"}
    assert len(groups) == NAMES + 1
    assert "n0" not in groups and f"n{count - 1}" in groups
    dropped = count + len(["sh", "late"]) - NAMES
    assert groups["other"] == dropped == series[("poolscope_series_dropped_total",)]
    assert sum(groups.values()) == count + 1 + groups["sh"]
    assert log.count("event=process_names_full") == 1, log
