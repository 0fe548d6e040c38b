# SPDX-License-Identifier: GPL-2.0-only
"""Go, HotSpot and V8, which have memory management of their own over mmap, and partly over malloc: the identity at each
refresh, what is a thread's by direct calls, whose the managed heap is, and that attaching late claims nothing wrong."""
import os
import shutil
import signal
import subprocess

import pytest

from exporter import Exporter, assert_stands
from fixtures import factory
from harness import ROOT, Workload, assert_adds_up, assert_identity, regions_of, run

exporter = factory(Exporter)

M = 1 << 20
GROWN = 8 * M
SOURCES = ROOT / "tests/workloads"
# What a runtime takes beside (code, tables, a young generation): a bound of what may stand where nothing was asked for.
BESIDE = 6 * M


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runtimes")
    environment = os.environ | {"GOCACHE": str(folder / "cache"), "GO111MODULE": "off", "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-o", folder / "runtime_go", SOURCES / "runtime_go.go"], env=environment, check=True)
    subprocess.run(["javac", "-d", folder, SOURCES / "RuntimeJava.java"], check=True)
    return folder


class Program(Workload):
    """Watched since its exec by `since_exec`."""
    def __init__(self, watch, *command, env=None):
        self.command = list(map(str, command))
        super().__init__("", env=env, held=lambda pid: setattr(self, "since_exec", watch(pid)))

    def program(self, name):
        return self.command


program = factory(Program)


def java(built, collector):
    return ["java", "-Xms8m", "-Xmx256m", f"-XX:+Use{collector}", "-cp", built, "RuntimeJava"]


def grow_and_compare(workload, exporter, watch):
    """What an agent shows that came before the growth (twice: as it began, and in the end), and one that comes when all has
    grown; and the workload's truth. One that saw all since the exec knows what the last may claim."""
    serving = exporter("-p", workload.pid, "--interval", "0.2")
    early = watch(workload.pid)
    start = run("dump", "--json", "-p", workload.pid).target()
    for _ in range(2):
        workload.ask(f"grow {GROWN // 2 // M}")
        assert_stands(serving)
    truth = workload.ask("truth")
    workload.freeze()
    for watching in (workload.since_exec, early):
        watching.process.send_signal(signal.SIGINT)
    whole, early = workload.since_exec.wait().target(), early.wait().target()
    late = run("dump", "--json", "-p", workload.pid).target()
    os.kill(workload.pid, signal.SIGCONT)
    for target in (whole, early, late):
        assert_identity(target)
        assert_adds_up(target)
        assert target["events"]["lost"] == 0
    assert whole["memory"]["unattributed"]["before_attach"] == 0
    assert_claims_nothing_more(late, whole)
    workload.ask("drop")
    assert_stands(serving)
    return start, early, late, truth


def mmap_by_tid(target):
    return {thread["tid"]: thread["memory"]["mmap"]["resident_bytes"] for thread in target["thread_list"]}


def assert_claims_nothing_more(late, whole):
    """By evidence nobody has more than his maker's share: stacks are the same, the rest at most what is known."""
    seen = {thread["tid"]: regions_of(thread["memory"]) for thread in whole["thread_list"]}
    for thread in late["thread_list"]:
        figures, known = regions_of(thread["memory"]), seen[thread["tid"]]
        assert figures["mmap"] <= known["mmap"], (thread, known)
        assert figures["stack"] == known["stack"] <= M, (thread, known)
    for region in ("arena", "heap"):
        sums = [sum(regions_of(pool["memory"])[region] for pool in target["pools"]) for target in (whole, late)]
        assert abs(sums[0] - sums[1]) <= whole["memory"]["rss_anon_bytes"] // 20, (region, sums)


@pytest.mark.parametrize("processors", ["1", "4"])
def test_go(built, program, exporter, watch, processors):
    """The heap is of the thread that made it grow, in steps of 4 MiB and more: here of those that allocate. Threads have
    neither arenas nor stacks of their own: goroutines' stacks are in the heap."""
    workload = program(watch, built / "runtime_go", env=os.environ | {"GOMAXPROCS": processors})
    start, early, late, truth = grow_and_compare(workload, exporter, watch)
    shown = mmap_by_tid(early)
    for worker in truth["threads"]:
        assert worker["mapped"] == worker["heap"] == GROWN
        assert GROWN <= shown[worker["tid"]], (worker, shown)
    made = sum(worker["mapped"] + worker["heap"] for worker in truth["threads"])
    before = sum(start["memory"]["unattributed"].values())
    assert made - before - 4 * M <= sum(shown.values()) <= made + BESIDE, (made, shown)
    others = {tid: figure for tid, figure in shown.items() if tid not in {worker["tid"] for worker in truth["threads"]}}
    assert sum(others.values()) <= BESIDE, others
    assert not any(mmap_by_tid(late).values())
    for target in (early, late):
        for thread in target["thread_list"]:
            figures = regions_of(thread["memory"])
            assert figures["arena"] == figures["heap"] == 0 and (thread["tid"] == workload.pid or not figures["stack"])


@pytest.mark.parametrize("collector", ["SerialGC", "G1GC"])
def test_hotspot(built, program, exporter, watch, collector):
    """Direct buffers are malloc's, so their thread's. The Java heap is of the thread that commits it: the VM thread and the
    collector's, not those that allocate objects."""
    workload = program(watch, *java(built, collector))
    _, early, late, truth = grow_and_compare(workload, exporter, watch)
    pools = {pool["name"]: regions_of(pool["memory"]) for pool in early["pools"]}
    direct = sum(worker["held"] for worker in truth["threads"] if worker["name"].startswith("direct"))
    objects = sum(worker["held"] for worker in truth["threads"] if worker["name"].startswith("objects"))
    assert direct == objects == 3 * GROWN
    assert direct <= pools["direct-*"]["mmap"] <= direct * 1.05, pools["direct-*"]
    assert pools["objects-*"]["mmap"] <= BESIDE, pools["objects-*"]
    committing = sum(figures["mmap"] for name, figures in pools.items() if name in ("jvm-internal", "jvm-gc"))
    assert committing >= objects - 8 * M, pools  # -Xms8m was there before
    # Evidence may have found the blocks of direct buffers; of the Java heap nothing is charged.
    for pool in late["pools"]:
        if pool["name"] != "direct-*":
            assert regions_of(pool["memory"])["mmap"] <= M, pool


def test_v8(program, exporter, watch):
    """An isolate's heap grows in its own thread; buffers are malloc's. So a worker's memory is its own."""
    node = shutil.which("node") or "nodejs"
    workload = program(watch, node, SOURCES / "runtime_node.js")
    start, early, late, truth = grow_and_compare(workload, exporter, watch)
    grown = {tid: figure - mmap_by_tid(start).get(tid, 0) for tid, figure in mmap_by_tid(early).items()}
    workers = sorted(grown.values(), reverse=True)[:len(truth["threads"])]
    held = [thread["held"] for thread in truth["threads"]]
    assert held == [GROWN] * 3
    # As much again in arrays of numbers.
    assert all(2 * GROWN <= figure <= 2 * GROWN + BESIDE for figure in workers), grown
    assert sum(grown.values()) - sum(workers) <= BESIDE, grown
    pools = {thread["pool"] for thread in early["thread_list"] if grown[thread["tid"]] in workers}
    assert len(pools) == 1, pools
    assert late["memory"]["unattributed"]["before_attach"] >= sum(held)
