# SPDX-License-Identifier: GPL-2.0-only
"""Attached before memory grows, poolscope's figures are the workload's own; attached later, it charges
what there is evidence for and says of the rest that it does not know."""
import re
import signal
import subprocess
from pathlib import Path

import pytest

from harness import BUILD, POOLSCOPE, REGIONS, SANITIZED, assert_adds_up, assert_identity, close_enough, regions_of, run

THREE = ("resize:threads=6,stack=256K,mmap=1M,arena=2M,start_every=50ms,routine=resize_main,named",
         "decode:threads=4,stack=64K,mmap=3M,arena=512K,routine=decode_main",
         "upload:threads=5,arena=1M,ramp=300ms,routine=upload_main")


def compare(target, truth, tids=None):
    """Every thread, and every pool as the sum of its threads, region by region."""
    listed = {thread["tid"]: thread for thread in target["thread_list"]}
    sums = {}
    for thread in truth["threads"]:
        found = listed[tids[thread["tid"]] if tids else thread["tid"]]
        figures = regions_of(found["memory"])
        for region in REGIONS:
            assert close_enough(figures[region], thread["resident"][region]), (region, thread, found)
        pool = sums.setdefault(found["pool"], {"role": thread["pool"], **dict.fromkeys(REGIONS, 0)})
        assert pool["role"] == thread["pool"], f"{found['pool']} mixes two roles"
        for region in REGIONS:
            pool[region] += thread["resident"][region]
    shown = {pool["name"]: pool for pool in target["pools"]}
    assert len({pool["role"] for pool in sums.values()}) == len(sums), "a role is split over two pools"
    for name, expected in sums.items():
        for region, figure in regions_of(shown[name]["memory"]).items():
            assert close_enough(figure, expected[region]), (name, region, figure, expected)


@pytest.mark.parametrize("binary", [POOLSCOPE, SANITIZED], ids=["plain", "sanitized"])
def test_before_growth_every_thread_and_pool_is_right(pools, watch, final, binary):
    workload = pools(*THREE, options=("--heap", "3M"))
    early = workload.ask("truth")["main"]["heap"]
    watching = watch(workload.pid, binary=binary)
    truth = workload.fill()
    target = final(watching, workload)
    compare(target, truth)
    assert_identity(target)
    assert_adds_up(target)
    assert target["threads"] == len(truth["threads"]) + 1
    leader = next(t for t in target["thread_list"] if t["tid"] == workload.pid)
    assert leader["pool"] == "main"
    # The heap's first 132 KiB (M_TOP_PAD) were there before anybody saw who made them.
    missing = truth["main"]["heap"] - early - leader["memory"]["heap"]["resident_bytes"]
    assert 0 <= missing + early <= (132 << 10) + (64 << 10)
    assert close_enough(leader["memory"]["stack"]["resident_bytes"], truth["main"]["stack"])
    assert target["events"]["lost"] == 0


def test_names_of_pools(pools, watch, final):
    workload = pools(*THREE)
    watching = watch(workload.pid)
    workload.fill()
    target = final(watching, workload)
    names = {pool["name"] for pool in target["pools"]}
    assert "resize-*" in names and "main" in names
    assert any("decode_main" in name for name in names) and any("upload_main" in name for name in names), names


def test_after_growth_evidence_counts_and_nothing_else(pools, watch, final):
    workload = pools(*THREE)
    truth = workload.fill()
    target = final(watch(workload.pid, after=1), workload)
    assert_identity(target)
    assert_adds_up(target)
    listed = {thread["tid"]: thread for thread in target["thread_list"]}
    for thread in truth["threads"]:
        figures = regions_of(listed[thread["tid"]]["memory"])
        for region in ("stack", "arena"):
            assert close_enough(figures[region], thread["resident"][region]), (region, thread, figures)
        assert figures["mmap"] == 0, "nobody saw who mapped it"
    mmaps = sum(thread["resident"]["mmap"] for thread in truth["threads"])
    assert target["memory"]["unattributed"]["before_attach"] >= mmaps


def test_attach_in_the_middle_of_growth(pools, watch, final):
    workload = pools("busy:threads=60,mmap=512K,arena=512K,start_every=10ms,ramp=2s")
    workload.ask("start")
    watching = watch(workload.pid)
    workload.ask("full")
    workload.ask("still")
    truth = workload.ask("truth")
    target = final(watching, workload)
    assert_identity(target)
    assert_adds_up(target)
    assert target["threads"] == len(truth["threads"]) + 1


def test_stopped_target(pools, watch):
    workload = pools(*THREE)
    workload.fill()
    workload.freeze()
    target = watch(workload.pid, after=1).wait().target()
    assert target["stopped"] is True
    assert_identity(target)


def test_who_is_leaving_when_attached_is_no_thread(workload, watch):
    """A thread's end is told before the kernel has done with it."""
    leavers = workload("leavers")
    for _ in range(4):
        watching = [watch(leavers.pid) for _ in range(4)]
        assert leavers.ask("")["paused"]
        living = {int(path.name) for path in Path(f"/proc/{leavers.pid}/task").iterdir()}
        for agent in watching:
            agent.process.send_signal(signal.SIGINT)
        for agent in watching:
            target = agent.wait().target()
            assert {thread["tid"] for thread in target["thread_list"]} == living
            assert target["threads"] == len(living)
        assert not leavers.ask("")["paused"]


def test_memory_of_ended_threads_is_orphaned(pools, watch, final):
    workload = pools("batch:threads=4,mmap=1M,churn=200ms,hold,named")
    watching = watch(workload.pid)
    workload.ask("start")
    truth = {"pools": [{"ended": 0}]}
    while truth["pools"][0]["ended"] < 8:
        truth = workload.ask("truth")
    workload.ask("still")
    truth = workload.ask("truth")
    target = final(watching, workload)
    pool = next(p for p in target["pools"] if p["name"] == "batch-*")
    assert close_enough(pool["memory"]["orphaned_bytes"], truth["pools"][0]["orphaned"])
    assert pool["threads_exited"] == truth["pools"][0]["ended"]
    assert pool["threads_started"] == truth["pools"][0]["started"]
    assert_identity(target)
    assert_adds_up(target)


def test_shared_arenas_are_divided_and_marked(pools, watch, final):
    workload = pools("crowd:threads=12,arena=1M", options=("--arenas", "3"))
    workload.fill()
    target = final(watch(workload.pid, after=1), workload)
    assert_identity(target)
    assert_adds_up(target)
    assert any(t["memory"]["shared"] for t in target["thread_list"])


def test_leader_is_gone_but_threads_live(puppet, watch, final):
    workload = puppet()
    workload.script("main spawn a")
    watching = watch(workload.pid)
    workload.script("a mmap x 1M\na touch x\nmain exit\na mmap y 2M\na touch y")
    tid = workload.ask("truth")["threads"]["a"]["tid"]
    target = final(watching, workload)
    thread = next(t for t in target["thread_list"] if t["tid"] == tid)
    assert close_enough(thread["memory"]["mmap"]["resident_bytes"], 3 << 20)
    # Attached only now: what /proc shows of the leader is closed, what it shows of the thread is not.
    late = next(t for t in run("dump", "--json", "-p", workload.pid).target()["thread_list"] if t["tid"] == tid)
    assert late["start_routine"] and (late["start_routine"], late["pool"]) == (thread["start_routine"], thread["pool"])


def test_without_symbols_two_routines_are_two_pools(workload, watch, tmp_path):
    """By their places in the file, which every start of the program has in common."""
    stripped = tmp_path / "dec0der7"
    subprocess.run(["strip", "-o", stripped, BUILD / "workloads/pools"], check=True)
    symbols = subprocess.run(["nm", BUILD / "workloads/pools"], check=True, stdout=subprocess.PIPE, text=True).stdout
    places = {name: f"+{int(value, 16):#x}" for value, _, name in re.findall(r"^(\w+) (\w) (\w+)$", symbols, re.M)}
    expected = {f"dec0der7{places['decode_main']}": [(places["decode_main"], "dec0der7")] * 3,
                f"dec0der7{places['upload_main']}": [(places["upload_main"], "dec0der7")] * 2}
    for _ in range(2):
        program = workload(str(stripped), "--control", "--wait", "--pool", "decode:threads=3,routine=decode_main",
                           "--pool", "upload:threads=2,routine=upload_main")
        watching = watch(program.pid, *(f"--limit={pool}:threads=1" for pool in expected), after=2)
        for command in ("start", "full", "still"):
            program.ask(command)
        early, late = watching.wait().target(), run("dump", "--json", "-p", program.pid).target()
        for target in (early, late):
            found = {}
            for thread in target["thread_list"]:
                found.setdefault(thread["pool"], []).append((thread["start_routine"], thread["module"]))
            assert found.pop("main") and found == expected
        over = {pool["name"] for pool in early["pools"] for limit in pool["limits"] if limit["state"] == "over"}
        assert over == set(expected), "a name is a glob of itself"


def test_all_processes_of_a_name(pools):
    first, second = pools("a:threads=2"), pools("b:threads=3")
    for workload in (first, second):
        workload.fill()
    found = {target["pid"]: target for target in run("dump", "--json", "-n", "pools").json()["targets"]}
    assert found[first.pid]["threads"] == 3 and found[second.pid]["threads"] == 4


def test_dump_for_people(pools):
    workload = pools("resize:threads=3,mmap=1M,named")
    workload.fill()
    done = run("dump", "-p", workload.pid)
    assert done.code == 0, done
    assert "resize-*" in done.out and str(workload.pid) in done.out


def test_nothing_is_left_in_the_target(pools, watch):
    workload = pools("a:threads=2")
    workload.fill()
    before = open(f"/proc/{workload.pid}/maps").read()
    assert watch(workload.pid, after=1).wait().code == 0
    assert open(f"/proc/{workload.pid}/maps").read() == before
    assert "TracerPid:\t0" in open(f"/proc/{workload.pid}/status").read()


def test_interrupted_agent_ends_quietly(pools, agent):
    workload = pools("a:threads=2")
    workload.fill()
    watching = agent("top", "-p", workload.pid)
    assert watching.process.stdout.readline(), "no frame"
    watching.process.send_signal(signal.SIGINT)
    assert watching.wait().code == 0
