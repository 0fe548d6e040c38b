# SPDX-License-Identifier: GPL-2.0-only
"""Targets in cgroups of their own: bounds are read, percentages refer to them, an OOM kill is told as such."""
import os
import re

import pytest

from cgroups import confined
from harness import run, wait_for

MIB = 1 << 20


@pytest.fixture(name="bounded")
def make_bounded(puppet):
    """A puppet that may have 64 MiB and 50 threads."""
    with confined(puppet(), 64 * MIB, ("pids.max", "pids.max", 50)) as workload:
        yield workload


def test_bounds_are_read_and_percentages_refer_to_them(bounded):
    bounded.script("main mmap x 40M\nmain touch x")
    target = run("dump", "--json", "-p", bounded.pid, "--limit", "resident_bytes=50%", "--limit", "threads=10%").target()
    assert target["cgroup"]["memory_max_bytes"] == 64 * MIB
    assert target["cgroup"]["pids_max"] == 50
    limits = {limit["limit"]: limit for limit in target["limits"]}
    assert (limits["resident_bytes"]["max"], limits["resident_bytes"]["state"]) == (32 * MIB, "over")
    assert (limits["threads"]["max"], limits["threads"]["state"]) == (5, "ok")


def test_a_first_thread_that_has_gone_takes_no_bounds_along(bounded):
    """Version 1 shows it in the root of its hierarchies; the process is found, and bounded, where its threads are."""
    bounded.script("main spawn a")
    bounded.script("main exit")
    wait_for(lambda: "Z" in bounded.thread_states(), "the first thread to end")
    target = run("dump", "--json", "--cgroup", f"/poolscope-test-{os.getpid()}").target()
    assert target["pid"] == bounded.pid
    assert (target["cgroup"]["memory_max_bytes"], target["cgroup"]["pids_max"]) == (64 * MIB, 50)


def test_without_any_config_the_process_is_judged_at_90_percent(bounded):
    bounded.script("main mmap x 59M\nmain touch x")
    limits = {limit["limit"]: limit for limit in run("dump", "--json", "-p", bounded.pid).target()["limits"]}
    assert limits["resident_bytes"]["source"] == "builtin" and limits["resident_bytes"]["max"] == 64 * MIB * 9 // 10
    assert limits["resident_bytes"]["state"] == "over"


def test_oom_kill_is_told_from_a_signal(bounded, watch):
    watching = watch(bounded.pid)
    bounded.script("main mmap x 200M")
    bounded.send("main touch x")
    target = watching.wait().target()
    assert target["ended"]["how"] == "oom_killed", target["ended"]
    assert target["cgroup"]["oom_kills"] == 1, "the kill itself, which no reading of a living target has"


def test_growth_towards_memory_max_is_told_as_a_rate(bounded, agent):
    """In words, once there is enough of the window: and what it is."""
    bounded.script("main mmap x 60M")
    top = agent("top", "-p", bounded.pid, "--interval", "0.5")
    lines, touched = [], 0
    while not any("memory.max in about" in line for line in lines) and len(lines) < 20000:
        lines.append(top.process.stdout.readline().decode())
        if lines[-1].startswith("Growth over") and touched < 50:  # a frame: half a megabyte more
            bounded.ask(f"main touch x {touched * 512}K 512K")
            touched += 1
    assert lines[-1].startswith("memory.max in about "), lines[-40:]
    assert lines[-1].rstrip().endswith(" at this rate (a rate, not a verdict)")
    head = next(line for line in reversed(lines) if re.match(r"Growth over \d+ (s|min) \+", line))
    assert "anon +" in head and "file 0" in head
