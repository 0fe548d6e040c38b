# SPDX-License-Identifier: GPL-2.0-only
"""Where the kernel has its own ideas: threads that it starts by itself, pages that only look like memory, a map
that is full."""
import os
import signal
from pathlib import Path

import pytest

from exporter import Exporter
from fixtures import factory
from harness import assert_adds_up, assert_identity, run, wait_for
from test_bad_input import refused

M = 1 << 20
exporter = factory(Exporter)


def ask_or_skip(workload, command, refusals):
    """The answer; a kernel that refuses this on principle cannot be tested."""
    workload.send(command)
    answer = workload.read()
    if answer.get("error") in refusals:
        pytest.skip(f"this kernel does not allow {command.split()[1]}: {answer['error']}")
    assert "error" not in answer, answer
    return answer


@pytest.mark.parametrize("when", ["before", "after"])
def test_io_uring_workers(puppet, watch, when):
    """A creator's stack and thread pointer are in its workers' registers too, and are not theirs."""
    workload = puppet()
    workload.script("main spawn a\na stack 256K")
    watching = watch(workload.pid) if when == "after" else None
    ask_or_skip(workload, "a uring 3", ["Operation not permitted", "Function not implemented"])
    wait_for(lambda: sum("iou-wrk" in task.joinpath("comm").read_text()
                         for task in Path(f"/proc/{workload.pid}/task").iterdir()) == 3, "three workers")
    truth = workload.ask("truth")["threads"]["a"]
    if watching:
        watching.process.send_signal(signal.SIGINT)
        target = watching.wait().target()
    else:
        target = run("dump", "--json", "-p", workload.pid).target()
    pool, = (pool for pool in target["pools"] if pool["name"] == "iou-*")
    workers = [thread for thread in target["thread_list"] if thread["pool"] == "iou-*"]
    assert (pool["kind"], pool["threads"], len(workers)) == ("io_uring workers", 3, 3)
    assert pool["memory"]["mapped_bytes"] == 0
    creator, = (thread for thread in target["thread_list"] if thread["tid"] == truth["tid"])
    assert creator["memory"]["stack"]["resident_bytes"] == truth["stack"] >= 256 << 10
    assert_identity(target)
    assert_adds_up(target)


@pytest.fixture
def huge_pages():
    setting = Path("/proc/sys/vm/nr_hugepages")
    before = setting.read_text()
    setting.write_text("2")
    yield int(setting.read_text())
    setting.write_text(before)


@pytest.mark.parametrize("when", ["before", "after"])
def test_huge_pages_are_not_charged(puppet, watch, final, huge_pages, when):
    assert huge_pages >= 2, "the kernel found no two huge pages"
    workload = puppet()
    workload.script("main spawn a\na mmap x 1M\na touch x")
    watching = watch(workload.pid) if when == "after" else None
    workload.ask("a huge big 4M")
    assert workload.ask("truth")["ranges"]["big"] == 4 * M, "present, as the target itself sees it"
    target = final(watching or watch(workload.pid), workload)
    assert sum(pool["memory"]["mmap"]["resident_bytes"] for pool in target["pools"]) <= 1 * M
    assert_identity(target)


def test_a_variant_that_does_not_load_is_refused_in_words(puppet):
    """Which variants those are depends on the kernel: doctor knows."""
    workload = puppet()
    lines = [line.split() for line in run("doctor").out.splitlines()]
    fate = {line[2]: line[0] for line in lines if line[:1] and line[0] in ("no", "works", "used") and line[1] == "memory"}
    assert set(fate) == {"fexit", "tracepoint", "kretprobe"} and "used" in fate.values()
    for variant, word in fate.items():
        done = run("dump", "--json", "--variant", variant, "-p", workload.pid)
        assert run("doctor", "--variant", variant).code == (1 if word == "no" else 0)
        if word == "no":
            refused(done, 1, "cannot attach the kernel probes")
        else:
            assert done.target()["variant"] == variant


def test_too_many_processes(puppet):
    pids = [word for _ in range(3) for word in ("-p", puppet().pid)]
    refused(run("dump", "--max-processes", "2", *pids), 1, "too many processes", "--max-processes")


def test_children_that_find_no_room_at_attach_are_counted(puppet, exporter):
    workload = puppet()
    for _ in range(6):
        workload.ask("main fork 1M")
    served = exporter("-f", "--max-processes", "4", "-p", workload.pid)
    wait_for(lambda: served.series().get(("poolscope_processes", ("process", "puppet"))) == 4, "those that found room")
    assert served.series()[("poolscope_events_lost_total", ("reason", "map"))] == 3
    alone = ("dump", "-f", "--max-processes", "4", "-p", workload.pid)
    assert run(*alone, "--json").json()["events_lost"]["map"] == 3
    assert "processes without room (--max-processes, ulimit -n) 3" in run(*alone).out


def test_a_full_map_is_counted_and_healed(puppet, exporter):
    """Six children, room for three: the others are missed, said to be, and taken in when there is room again."""
    workload = puppet()
    served = exporter("-f", "--max-processes", "4", "-p", workload.pid)

    def figure(name, **labels):
        return served.series().get((f"poolscope_{name}", *sorted(labels.items())))
    wait_for(lambda: figure("processes", process="puppet") == 1, "the first snapshot")
    children = [workload.ask("main fork 1M")["child"] for _ in range(6)]
    wait_for(lambda: figure("events_lost_total", reason="map") == 3, "three losses by the full map")
    wait_for(lambda: figure("processes", process="puppet") == 4, "the children that found room")
    for child in children[:3]:
        os.kill(child, signal.SIGKILL)
    wait_for(lambda: figure("processes_started_total", process="puppet") == 7, "the children that had found none")
    wait_for(lambda: figure("processes", process="puppet") == 4, "who lives, and no one else")
    wait_for(lambda: figure("process_threads", process="puppet") == 2 + 3, "their threads")
    assert figure("events_lost_total", reason="map") == 3


@pytest.mark.parametrize("limits, all_found", [("64:4096", True), ("128:128", False)], ids=["soft", "hard"])
def test_open_files_are_no_silent_bound(puppet, limits, all_found):
    """The soft limit is raised; what the hard one has no room for is counted, said, and nothing ends by it."""
    workload = puppet()
    for _ in range(40):
        workload.ask("main fork 64K")
    ended = run("dump", "-f", "--json", "-p", workload.pid, prefix=("prlimit", f"--nofile={limits}"))
    found, lost = len(ended.json()["targets"]), ended.json()["events_lost"]["map"]
    assert found + lost == 41 and (lost == 0) == all_found and found > 0, (found, lost)


def test_a_command_has_the_open_files_it_had(tmp_path):
    """What poolscope starts does not inherit its raised limit."""
    told = tmp_path / "told"
    run("top", "--", "sh", "-c", f"ulimit -Sn > {told}; sleep 1", prefix=("prlimit", "--nofile=128:4096"))
    assert told.read_text() == "128\n"
