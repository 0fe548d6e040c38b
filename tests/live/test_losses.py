# SPDX-License-Identifier: GPL-2.0-only
"""Events that are lost: counted, healed by a reseed, and never at the cost of what is known already, of births and
exits, or of another target."""
import shutil
import signal
import time

import pytest

from exporter import Exporter
from fixtures import factory
from harness import BUILD, PATIENCE, assert_adds_up, assert_identity, wait_for
from seeds import Batch, Seeded

exporter = factory(Exporter)

K, M = 1 << 10, 1 << 20
SMALLEST_RING = 4096
LEFT = 4 * 64 * K  # what a storm leaves mapped, all threads together


def mmap_of(target, truth, who):
    tid = truth["threads"][who]["tid"]
    return next(t for t in target["thread_list"] if t["tid"] == tid)["memory"]["mmap"]["resident_bytes"]


def test_owners_births_and_exits_survive_losses(puppet, watch, final):
    workload = puppet()
    workload.script("main spawn a\nmain spawn b")
    watching = watch(workload.pid, "--ring", SMALLEST_RING)
    workload.script("a mmap x 4M\na touch x\nb mmap y 2M\nb touch y\nb mprotect y none 1M 1M")
    workload.ask("a storm 10000")
    workload.script("b munmap x 1M 1M")
    truth = workload.ask("truth")
    target = final(watching, workload)
    assert target["events"]["lost"] > 1000 and target["events"]["reseeds"] > 0, target["events"]
    assert_identity(target)
    assert_adds_up(target)
    assert (mmap_of(target, truth, "a"), mmap_of(target, truth, "b")) == (3 * M, 2 * M)
    # what the storm left is an orphan or lost, by whether its last call was seen
    orphaned = sum(pool["memory"]["orphaned_bytes"] for pool in target["pools"])
    lost = target["memory"]["unattributed"]["lost"]
    assert LEFT <= orphaned + lost <= LEFT + 4 * 64 * K, (orphaned, lost)
    assert sum(pool["threads_started"] for pool in target["pools"]) == 4
    assert sum(pool["threads_exited"] for pool in target["pools"]) == 4
    assert target["threads"] == len(truth["threads"]) + 1


def test_no_birth_is_lost_with_memory_events(puppet, agent):
    """Threads that come and go, while others fill the ring in between."""
    storming, bearing = puppet(), puppet()
    for workload in storming, bearing:
        workload.script("main spawn a\nmain spawn b")
    watching = agent("dump", "--json", "--after", PATIENCE, "--ring", SMALLEST_RING, "-p", storming.pid, "-p", bearing.pid)
    for workload in storming, bearing:
        watching.attached(workload.pid)
    storming.send("a storm 60000\nb storm 60000")
    for _ in range(100):
        bearing.ask("a storm 40")
    for _ in range(2):
        storming.read()
    watching.process.send_signal(2)
    targets = {target["pid"]: target for target in watching.wait().json()["targets"]}
    assert targets[storming.pid]["events"]["lost"] > 1000, targets[storming.pid]["events"]
    for workload, threads in (storming, 8), (bearing, 400):
        pools = targets[workload.pid]["pools"]
        assert sum(pool["threads_started"] for pool in pools) == threads
        assert sum(pool["threads_exited"] for pool in pools) == threads


def test_what_is_made_while_events_are_lost_has_grown(pools, watch, final):
    """The arenas of threads that came after the attach were not there at it, whatever a reseed finds in them."""
    workload = pools("fill:threads=8,arena=40M,routine=resize_main,named")
    watching = watch(workload.pid, "--ring", SMALLEST_RING)
    workload.fill()
    target = final(watching, workload)
    assert target["events"]["lost"] and target["events"]["reseeds"] > 0, target["events"]
    memory = next(pool for pool in target["pools"] if pool["name"].startswith("fill"))["memory"]
    assert memory["grown_bytes"] == memory["resident_bytes"] > 8 * 40 * M, memory
    assert_identity(target)


@pytest.mark.parametrize("storm", ["storm 30000", "storm 200000 names"])
@pytest.mark.parametrize("pages", [1, 16])
def test_a_storm_elsewhere_takes_no_event_of_a_quiet_target(puppet, agent, pages, storm):
    noisy, quiet = puppet(), puppet()
    noisy.script("main spawn a")
    quiet.script("main spawn a\nmain spawn b")
    watching = agent("dump", "--json", "--after", PATIENCE, "--ring", pages * SMALLEST_RING, "-p", noisy.pid, "-p", quiet.pid)
    for workload in noisy, quiet:
        watching.attached(workload.pid)
    noisy.send("a " + storm)
    for number in range(20):
        quiet.script(f"a malloc 1M\na mmap a{number} 64K\na touch a{number}\nb mmap b{number} 128K\nb touch b{number}\nb munmap a{number} 0 4K")
        time.sleep(0.02)  # spread over the storm, whose length nothing depends on
    noisy.read()
    truth = quiet.ask("truth")
    for workload in noisy, quiet:
        workload.freeze()
    watching.process.send_signal(2)
    targets = {target["pid"]: target for target in watching.wait().json()["targets"]}
    target = targets[quiet.pid]
    assert targets[noisy.pid]["events"]["lost"] > 1000, targets[noisy.pid]["events"]
    assert (target["events"]["lost"], target["events"]["reseeds"]) == (0, 0)
    assert (mmap_of(target, truth, "a"), mmap_of(target, truth, "b")) == (20 * 60 * K, 20 * 128 * K)
    assert target["memory"]["unattributed"]["lost"] == 0
    for found in targets.values():
        assert_identity(found)
        assert_adds_up(found)


def test_a_storm_elsewhere_takes_no_limit_of_a_quiet_target(puppet, exporter):
    """Names of the one are lost: who lives of the other is known at each moment."""
    noisy, quiet = puppet(), puppet()
    noisy.script("main spawn a")
    serving = exporter("-p", noisy.pid, "-p", quiet.pid, "--ring", 16 * SMALLEST_RING, "--limit", "q-*:threads=2,clear_for=50ms")
    noisy.send("a storm 4000000 names")
    for _ in range(8):
        for who in "bcd":
            quiet.script(f"main spawn {who}\n{who} name {b'q-1'.hex()}")
        for who in "bcd":
            quiet.script(f"{who} exit")
        time.sleep(0.2)
    assert serving.value("poolscope_events_lost_total", reason="ring") > 1000
    serving.wait_value(8, "poolscope_pool_limit_violations_total", process="puppet", pool="q-*", limit="threads")
    assert serving.value("poolscope_pool_threads_peak", process="puppet", pool="q-*") == 3
    noisy.process.kill()


@pytest.mark.parametrize("primitives", ["map,partial,fixed,birth", "grow,shrink,move,dontunmap,map", "malloc,realloc,birth",
                                        "reserve,lock,brk,slab", "guest,vfork,map"])
def test_whatever_is_lost_the_identity_comes_back(primitives):
    with Batch([Seeded(seed, primitives) for seed in (1, 2, 3)], "--ring", SMALLEST_RING) as batch:
        batch.attach()
        batch.agent.process.send_signal(signal.SIGSTOP)  # a reader that is late, so that events are lost for sure
        batch.go(400)
        batch.agent.process.send_signal(signal.SIGCONT)
        compared = batch.compare()
        assert sum(target["events"]["lost"] for _, target, _, _ in compared) > 0
        for workload, target, before, after in compared:
            assert (after["wrong"], after["nobody"]) == (0, 0), workload
            assert_identity(target)
            assert_adds_up(target)
            assert target["memory"]["unattributed"]["image"] == after["image"], workload
            assert {t["tid"] for t in target["thread_list"]} == {t["tid"] for t in before["threads"]}, workload


def refreshed_since(serving, since):
    taken = serving.value("poolscope_snapshot_timestamp_seconds")
    return taken > since and taken


def test_the_first_refresh_of_a_target_that_stands_still_heals(puppet, exporter):
    """Also where the last reseed was at the refresh before."""
    workload = puppet()
    workload.script("main spawn a\na mmap x 4M\na touch x")
    serving = exporter("--ring", SMALLEST_RING, "-p", workload.pid)
    wait_for(lambda: serving.value("poolscope_process_threads", process="puppet"), "the target")
    for round_ in range(6):
        workload.script(f"a mmap y{round_} 4M\na touch y{round_}\na storm 60000")
        still = time.time()
        seen = wait_for(lambda: refreshed_since(serving, still), "a refresh")
        if serving.value("poolscope_process_memory_unexplained_bytes", process="puppet") and seen < still + 0.2:
            wait_for(lambda: refreshed_since(serving, seen), "a refresh that began when it stood still")
        assert serving.value("poolscope_process_memory_unexplained_bytes", process="puppet") == 0
    assert serving.value("poolscope_reseeds_total") > 0


@pytest.mark.parametrize("makers, batch", [(2, 16), (16, 1)])
def test_who_ended_unheard_is_in_no_peak_and_no_limit(workload, watch, makers, batch):
    most = makers * (batch + 1) + 1  # at one time, all makers, a batch of each and the first thread
    program = workload("churn", makers, batch)
    watching = watch(program.pid, "--ring", SMALLEST_RING, "--limit", f"threads={most}", "--limit", f"*:threads={most}")
    program.ask("go")
    time.sleep(5)
    born = program.ask("pause")["born"]
    time.sleep(1.5)
    watching.process.send_signal(signal.SIGINT)
    ended = watching.wait()
    target = ended.target()
    print(f"{born} born, {target['events']}, peak {target['threads_peak']} of {most}", flush=True)
    assert target["events"]["lost"] > 0 and "state=over" not in ended.err, ended
    assert target["threads"] == makers + 1 <= target["threads_peak"] <= most
    assert all(pool["threads_peak"] <= most for pool in target["pools"])


def test_no_more_of_a_child_are_shown_than_lived(workload, watch):
    """Children that are adopted while events of their family are lost, and end before it is known who lives."""
    batch, most = 16, 17
    program = workload("churn", 1, batch)
    watching = watch(program.pid, "-f", "--ring", SMALLEST_RING, "--limit", f"threads={most}", "--limit", f"*:threads={most}")
    for _ in range(15):
        program.ask("breed 4 300")
    watching.process.send_signal(signal.SIGINT)
    ended = watching.wait()
    targets = ended.json()["targets"]
    print([(target["threads"], target["threads_peak"], target["events"]) for target in targets], flush=True)
    assert sum(target["events"]["lost"] or 0 for target in targets) > 1000 and len(targets) > 8
    assert "state=over" not in ended.err, ended
    for target in targets:
        assert target["threads"] <= target["threads_peak"] <= most, target
        assert all(pool["threads_peak"] <= most for pool in target["pools"]), target["pools"]


def test_a_limit_is_judged_while_ends_of_threads_are_lost(workload, exporter):
    """At a refresh, which is not waited for a minute."""
    program = workload("churn", 16, 1)
    serving = exporter("--ring", SMALLEST_RING, "--interval", "60s", "--limit", "stay-*:threads=4", "-p", program.pid)
    program.ask("go")
    wait_for(lambda: serving.value("poolscope_events_lost_total", reason="ring") > 0, "losses")
    program.ask("stay 5")
    wait_for(lambda: any("pool=stay-*" in line and "state=over" in line for line in serving.log), "the limit")
    serving.wait_value(5, "poolscope_pool_threads_peak", pool="stay-*", process="churn")
    program.ask("pause")


@pytest.mark.parametrize("execs", [1, 2])
def test_an_exec_that_was_lost_is_found_out(puppet, exporter, tmp_path, execs):
    """Its record found no room, nor did the one before it: from the next refresh on it is known what runs now."""
    successor = shutil.copy(BUILD / "workloads/puppet", tmp_path / "successor")
    workload = puppet()
    serving = exporter("--ring", SMALLEST_RING, "--limit", "w-*:threads=3", "-p", workload.pid)
    wait_for(lambda: serving.value("poolscope_process_threads", process="puppet"), "the target")
    serving.process.send_signal(signal.SIGSTOP)
    workload.script("\n".join(["main storm 1"] * 200))
    for path in ["/proc/self/exe", successor][2 - execs:]:
        workload.send(f"main exec {path}")
        assert workload.read()["ready"] == workload.pid
    for who in "abcd":
        workload.script(f"main spawn {who}\n{who} name {b'w-1'.hex()}")
    serving.process.send_signal(signal.SIGCONT)
    serving.wait_value(6, "poolscope_process_threads", process="successor")  # with the first two
    assert serving.value("poolscope_events_lost_total", reason="ring") > 400
    assert serving.value("poolscope_pool_threads", process="successor", pool="w-*") == 4
    wait_for(lambda: any("process=successor" in line and "state=over" in line for line in serving.log), "the limit")
    workload.ask("main spawn later")
    serving.wait_value(7, "poolscope_process_threads", process="successor")


def test_a_running_agent_heals_by_itself(puppet, exporter):
    """Nobody asks for a last snapshot: once it stands still, refreshes bring it back."""
    workload = puppet()
    workload.script("main spawn a")
    serving = exporter("--ring", SMALLEST_RING, "-p", workload.pid)
    wait_for(lambda: serving.value("poolscope_process_threads", process="puppet"), "the target")
    workload.script("a mmap x 4M\na touch x\na storm 10000")
    workload.freeze()
    wait_for(lambda: serving.value("poolscope_events_lost_total", reason="ring") > 1000, "losses")
    wait_for(lambda: serving.value("poolscope_reseeds_total") > 0, "a reseed")
    serving.wait_value(0, "poolscope_process_memory_unexplained_bytes", process="puppet")
    lost = serving.value("poolscope_process_memory_unattributed_bytes", process="puppet", reason="lost")
    assert lost <= 2 * LEFT
