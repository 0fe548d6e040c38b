# SPDX-License-Identifier: GPL-2.0-only
"""Threads that live for less than it takes to look at them, in a program that names none: they are told by the routine
that they began in, or else nobody could say of what pool they were."""
import os
import signal
import subprocess
import time
from pathlib import Path
from statistics import median

import pytest

from cgroups import confined
from exporter import Exporter
from fixtures import factory
from harness import BUILD, ROOT, run, wait_for

LOOPS = str(BUILD / "workloads/loops")
FLIT_BYTES = 16 * 48 * 4096 # loops.c


class Loops:
    """The workload `loops`; with a shell before it, which becomes it by exec when it is told to."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.pid = self.process.pid

    def answer(self, line=""):
        if line:
            self.process.stdin.write(line + "\n")
        return self.process.stdout.readline()

    def close(self):
        self.process.kill()
        self.process.communicate()


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096


loops = factory(Loops)
exporter = factory(Exporter)


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    binary = tmp_path_factory.mktemp("static") / "loops"
    subprocess.run(["cc", "-static", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-pthread", "-o", binary,
                    ROOT / "tests/workloads/loops.c"], check=True)
    return str(binary)


@pytest.mark.parametrize("kind", ["dynamic", "static"])
def test_every_one_is_of_the_pool_of_its_routine(kind, loops, static, watch):
    workload = loops(static if kind == "static" else LOOPS)
    assert workload.answer().startswith("ready")
    watching = watch(workload.pid)
    assert workload.answer("go thread 0.5")
    watching.process.send_signal(2)
    target = watching.wait().target()
    assert target["events"]["lost"] == 0
    pools = {pool["name"]: pool for pool in target["pools"]}
    assert set(pools) == {"main", "loops:worker"}, pools
    assert pools["loops:worker"]["threads_started"] > 100
    assert pools["loops:worker"]["threads_exited"] == pools["loops:worker"]["threads_started"]


def test_also_of_a_program_that_was_not_there_at_attach(loops, exporter):
    """At exec there is no libc yet that could be asked."""
    workload = loops("sh", "-c", f"read line; exec {LOOPS}")
    serving = exporter("-p", workload.pid, "--interval", "0.2")
    wait_for(lambda: serving.value("poolscope_process_threads", process="sh"), "the shell")
    workload.process.stdin.write("\n")
    assert workload.answer().startswith("ready")
    there = time.time()
    wait_for(lambda: serving.value("poolscope_process_threads", process="loops"), "the program")
    wait_for(lambda: serving.value("poolscope_snapshot_timestamp_seconds") > there + 0.5, "a refresh of it")
    def made():
        assert workload.answer("go thread 0.5")  # under load that is few
        return (serving.value("poolscope_pool_threads_started_total", process="loops", pool="loops:worker") or 0) > 100
    wait_for(made, "the threads")
    assert serving.value("poolscope_pool_threads_started_total", process="loops", pool="loops") is None


@pytest.mark.parametrize("processes, beside", [(1, 0), (1, 256), (6, 0)], ids=["alone", "a small part", "processes"])
def test_memory_that_lives_for_less_than_a_reading(loops, record_property, processes, beside):
    """Of 3 MiB that are always there, each block is mapped anew after a millisecond: who reads once, and throws away what moved
    meanwhile, finds next to nothing. It may be a small part of a process, and what one process does while another is read
    must not undo what was read of it."""
    workloads = [loops(LOOPS) for _ in range(processes)]
    for workload in workloads:
        workload.answer()
        assert workload.answer(f"keep {beside}") == "kept\n"
        workload.process.stdin.write("go flit 60\n")
    shares, unexplained = [], []
    for _ in range(7):
        ended = run("dump", "--json", "--after", "0.5", *(word for of in workloads for word in ("-p", of.pid)))
        for target in ended.json()["targets"]:
            pool = next(pool for pool in target["pools"] if pool["name"] == "main")
            shares.append(pool["memory"]["mmap"]["resident_bytes"] / FLIT_BYTES)
            memory = target["memory"]
            unexplained.append(1 if memory["unexplained_bytes"] is None else abs(memory["unexplained_bytes"]) / memory["rss_anon_bytes"])
    assert len(shares) == 7 * processes
    record_property("shares", shares)
    assert median(shares) > 0.9 and max(shares) <= 1, shares
    assert median(unexplained) < 0.1, unexplained


BRIEF = """
import os, subprocess, sys
sys.stdin.readline()
for _ in range(50):
    if sys.argv[1] == "spawned":
        subprocess.run(["/bin/true"])
        continue
    if not os.fork():
        os._exit(0)
    os.wait()
print("done", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("kind, counted", [("forked", {"python3": 51}), ("spawned", {"python3": 1, "true": 50})],
                         ids=["forked", "spawned"])
def test_children_that_are_gone_before_they_are_looked_at_count(loops, exporter, kind, counted):
    """A forked one is what its parent is; one that began by an exec (vfork) is another program."""
    workload = loops("/usr/bin/python3", "-c", BRIEF, kind)
    serving = exporter("-f", "-p", workload.pid)
    assert workload.answer("go") == "done\n"
    for process, count in counted.items():
        serving.wait_value(count, "poolscope_processes_started_total", process=process)
    serving.wait_value(1, "poolscope_processes", process="python3")
    assert serving.value("poolscope_events_lost_total", reason="ring") == 0


SWARM = """
import os, sys, time
print("ready", flush=True)
sys.stdin.readline()
for _ in range(60):
    for _ in range(20):
        if not os.fork():
            time.sleep(.05)
            os._exit(0)
    for _ in range(20):
        os.wait()
print("done", flush=True)
sys.stdin.readline()
"""


def test_what_a_swarm_of_children_took_is_given_back(loops, exporter):
    """Many at once take much for a moment (an interpreter's symbols and functions, for each), and then nobody does."""
    workload = loops("/usr/bin/python3", "-c", SWARM)
    assert workload.answer() == "ready\n"
    serving = exporter("-f", "-p", workload.pid)
    assert workload.answer("go") == "done\n"
    serving.wait_value(1201, "poolscope_processes_started_total", process="python3")
    wait_for(lambda: resident(serving.process.pid) < 16 << 20, "what the children took to be given back")


def test_bursts_that_follow_each_other_in_a_child_never_lived_together(workload, watch):
    """What the child's first reading finds was born after others had ended, whose births and ends are told after it."""
    children, threads, rounds = 20, 6, 10
    program = workload("bursts", str(children), str(threads), "300", "kid-1", str(rounds))
    watching = watch(program.pid, "-f", "--limit", f"kid-*:threads={threads}", "--limit", f"threads={threads + 1}")
    program.ask("go")
    time.sleep(1.5)
    watching.process.send_signal(2)
    ended = watching.wait()
    found = [target for target in ended.json()["targets"] if target["pid"] != program.pid]
    assert len(found) == children
    for target in found:
        pool = next(pool for pool in target["pools"] if pool["name"] == "kid-*")
        told = pool["threads_started"], pool["threads_exited"], pool["threads_peak"], target["threads_peak"]
        assert told == (threads * rounds, threads * rounds, threads, threads + 1), told
    assert "state=over" not in ended.err, ended.err


@pytest.mark.parametrize("milliseconds", [1, 10])
@pytest.mark.parametrize("name, pool_name", [(["kid-1"], "kid-*"), ([], "bursts:live")])
def test_a_burst_in_a_childs_first_moments(name, pool_name, milliseconds, workload, watch):
    """Counted, and judged, as of a process that is there already: also what the child's first reading has found, and what
    is over before it would have been waited for longer to take a name."""
    children, threads = 12, 20
    program = workload("bursts", str(children), str(threads), str(milliseconds * 1000), *name)
    watching = watch(program.pid, "-f", "--limit", f"{pool_name}:threads=10")
    program.ask("go")
    time.sleep(1.5)
    watching.process.send_signal(2)
    ended = watching.wait()
    pools = [pool for target in ended.json()["targets"] for pool in target["pools"] if pool["name"] == pool_name]
    assert len(pools) == children
    for pool in pools:
        told = pool["threads_started"], pool["threads_exited"], pool["threads_peak"], pool["limits"][0]["violations"]
        assert told == (threads, threads, threads, 1), pools
    assert ended.err.count("state=over was=") == children


def test_bursts_of_one_that_is_stopped_again_and_again(workload, watch):
    """As cpulimit does it. Who takes its name may have waited for a CPU, and many end at once when they may go on."""
    threads, rounds = 40, 20
    program = workload("bursts", "1", str(threads), "100000", "kid-1", str(rounds), "12000")
    watching = watch(program.pid, "-f", "--limit", f"kid-*:threads={threads}")
    program.send("go")
    forked = Path(f"/proc/{program.pid}/task/{program.pid}/children")
    child = int(wait_for(lambda: forked.read_text(encoding="ascii"), "the child to be forked"))
    for _ in range(50):
        os.kill(child, signal.SIGSTOP)
        time.sleep(0.06)
        os.kill(child, signal.SIGCONT)
        time.sleep(0.04)
    program.read()
    time.sleep(0.1)
    watching.process.send_signal(signal.SIGINT)
    ended = watching.wait()
    pool = next(pool for target in ended.json()["targets"] for pool in target["pools"] if pool["name"] == "kid-*")
    told = pool["threads_started"], pool["threads_exited"], pool["threads_peak"]
    assert told == (threads * rounds, threads * rounds, threads), told
    assert "state=over" not in ended.err, ended.err


def test_who_gets_no_cpu_may_still_take_a_name(workload, watch):
    """Half a CPU: a newborn often waits for 50 ms until it can take its name, and is none of its maker's pool by then. Where
    a first millisecond on a CPU does not bring it so far (a loaded machine), it is counted there: not always, then."""
    with confined(workload("churn", 1, 1, "w-1"), None, ("cpu.cfs_quota_us", "cpu.max", 50000)) as program:
        for _ in range(3):
            watching = watch(program.pid, "--limit", "maker:threads=1")
            before = program.ask("go")["born"]
            time.sleep(6)
            born = program.ask("pause")["born"] - before
            watching.process.send_signal(signal.SIGINT)
            ended = watching.wait()
            pools = {pool["name"]: pool for pool in ended.target()["pools"]}
            assert pools["w-*"]["threads_started"] >= born * 0.99
            if "state=over" not in ended.err:
                break
    assert "state=over" not in ended.err and pools["maker"]["threads_peak"] == 1, ended
