# SPDX-License-Identifier: GPL-2.0-only
"""A service that ends and comes back, watched in a real terminal: the last frame stays with how it ended, then the
next process is attached to."""
import os
import shutil
import signal

import pytest

from cgroups import Cgroup
from harness import BUILD, Workload
from screen import screen  # noqa: F401 a fixture

MIB = 1 << 20


class Copy(Workload):
    """A program under a name of its own: others on this machine may run the same workloads."""

    @staticmethod
    def program(name):
        return [name]


@pytest.fixture
def service(tmp_path):
    """service(PROGRAM, ARGUMENTS): starts the next process of a service; they all have one name."""
    made = []
    name = f"svc-{os.getpid()}"

    def start(program, *arguments):
        path = tmp_path / name
        if not path.exists():
            shutil.copy(BUILD / "workloads" / program, path)
        made.append(Copy(path, *arguments))
        return made[-1]
    start.name = name
    yield start
    for one in made:
        one.close()


@pytest.fixture
def unit():
    """A cgroup NAME.service that may hold 64 MiB."""
    cgroup = Cgroup(f"poolscope-{os.getpid()}.service")
    cgroup.bound_memory(64 * MIB)
    yield cgroup
    cgroup.remove()


def quit_with(workload, code):
    workload.send(f"quit {code}")
    workload.process.wait()


def pools(service):
    workload = service("pools", "--control", "--wait", "--pool", "resize:threads=3,named")
    for command in ("start", "full", "still"):
        workload.ask(command)
    return workload


def test_name_comes_back(screen, service):  # noqa: F811
    window = screen()
    first = pools(service)
    window.top("-n", service.name, "--limit", "'resize-*:threads=2'")
    window.until(r"^OVER resize-\*: 3 threads > 2 since")
    quit_with(first, 7)
    text = window.until(r"^ENDED \d\d:\d\d:\d\d: exited with code 7; waiting for its return$")
    assert f"PID {first.pid}" in text and " 3/2/- OVER" in text  # the last frame, as it was
    second = pools(service)
    text = window.until(rf"^BACK since \d\d:\d\d:\d\d: PID {first.pid} ended \d\d:\d\d:\d\d, exited with code 7$")
    assert f"PID {second.pid}" in text.splitlines()[0]
    window.until(r"^OVER resize-\*: 3 threads > 2 since")
    window.press("BTab")  # the former one is still there to be looked at, and stays when it was asked for
    text = window.until(rf"^ENDED .*: exited with code 7; it came back as PID {second.pid}$")
    assert f"PID {first.pid}" in text.splitlines()[0]
    os.kill(second.pid, signal.SIGSEGV)
    second.process.wait()
    window.until(rf" {second.pid} .* \(ended\)")
    assert f"PID {first.pid}" in window.text().splitlines()[0]
    window.press("Tab")
    window.until(r"^ENDED .*: killed by signal 11 \(SIGSEGV\); waiting for its return$")
    window.press("q")
    window.assert_given_back()
    summary = window.text()
    assert "exited with code 7" in summary and "killed by signal 11 (SIGSEGV)" in summary
    assert "last frame" not in summary


def test_waits_for_what_was_never_there(screen, service):  # noqa: F811
    window = screen()
    window.top("-n", service.name)
    window.until(rf"Waiting for process named {service.name} to start")
    workload = pools(service)
    window.until(r"^resize-\*")
    assert f"PID {workload.pid}" in window.text()
    window.press("q")
    window.assert_given_back()


@pytest.mark.parametrize("selector", ["--unit", "--cgroup"])
def test_unit_comes_back_after_an_oom_kill(screen, service, unit, selector):  # noqa: F811
    name = unit.folders[0].name
    window = screen()
    window.top(selector, name if selector == "--unit" else f"/{name}")
    window.until("Waiting for process (of unit|in cgroup) .* to start")
    first = service("puppet")
    unit.enter(first.pid)
    text = window.until(r"^main ")
    assert f"PID {first.pid}" in text and name in text.splitlines()[0]
    first.ask("main mmap x 200M")
    first.send("main touch x")
    window.until(r"^ENDED \d\d:\d\d:\d\d: OOM-killed by the kernel; waiting for its return$")
    second = service("puppet")
    unit.enter(second.pid)
    text = window.until(rf"^BACK since .*: PID {first.pid} ended .*, OOM-killed by the kernel$")
    assert f"PID {second.pid}" in text.splitlines()[0]
    os.kill(second.pid, signal.SIGTERM)
    window.until(r"^ENDED .*: killed by signal 15 \(SIGTERM\); waiting for its return$")
    window.press("q")
    window.assert_given_back()
