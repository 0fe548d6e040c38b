# SPDX-License-Identifier: GPL-2.0-only
"""Hundreds of processes: what goes over all of them gives way to a signal, and takes all of them in."""
import shutil
import signal
import subprocess
import time

import pytest

from fixtures import factory
from harness import PATIENCE, Agent, wait_for

COUNT = 600
agents = factory(Agent)


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
