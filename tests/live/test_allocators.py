# SPDX-License-Identifier: GPL-2.0-only
"""Allocators other than glibc's, and glibc's as it can be set: whatever malloc does inside, a byte is of the thread that
made it usable, and what nobody was seen making is nobody's. The README's table says what that means for each."""
import os
import signal
import time
from dataclasses import dataclass, field

import pytest

from allocators import JEMALLOC, MIMALLOC, TCMALLOC, Allocators, musl_static, preload, tuned
from exporter import Exporter, Refreshes, assert_stands
from fixtures import factory
from harness import PATIENCE, SANITIZED, assert_adds_up, assert_identity, close_enough, regions_of, run

exporter = factory(Exporter)
allocators = factory(Allocators)

ROLES = ("keep:3", "big:2", "churn:2", "give:2", "take:2", "leave:2")
STEPS, CALLS = 4, 200
SLACK = 64 << 10


@dataclass
class Case:
    """How it is set; whether it is glibc's, with arenas that several threads use; and of the blocks that threads made
    for themselves, the least and largest share in pages that another thread had made usable."""
    environment: object = field(default=dict)
    is_glibc: bool = False
    has_shared_arenas: bool = False
    least: float = 0
    most: float = 1
    mapped: str = ""


CASES = {
    "glibc": Case(tuned(MALLOC_ARENA_MAX="64"), is_glibc=True, most=0),
    "glibc, one arena": Case(tuned(MALLOC_ARENA_MAX="1"), is_glibc=True, has_shared_arenas=True, least=0.1),
    "glibc, two arenas": Case(tuned(MALLOC_ARENA_MAX="2"), is_glibc=True, has_shared_arenas=True, least=0.1),
    "glibc, arenas tested": Case(tuned(MALLOC_ARENA_TEST="1"), is_glibc=True, has_shared_arenas=True),
    "glibc, trims": Case(tuned(MALLOC_ARENA_MAX="64", MALLOC_TRIM_THRESHOLD_="65536", MALLOC_TOP_PAD_="0"), is_glibc=True,
                         most=0),
    "glibc, maps much": Case(tuned(MALLOC_ARENA_MAX="64", MALLOC_MMAP_THRESHOLD_="16384"), is_glibc=True, most=0),
    "jemalloc": Case(preload(JEMALLOC, MALLOC_CONF="narenas:64"), mapped=JEMALLOC, most=0.01),
    "jemalloc, two arenas": Case(preload(JEMALLOC, MALLOC_CONF="narenas:2"), mapped=JEMALLOC, least=0.1),
    "tcmalloc": Case(preload(TCMALLOC), mapped=TCMALLOC, least=0.1),
    "mimalloc": Case(preload(MIMALLOC), mapped=MIMALLOC, most=0.01),
    "musl, static": Case(least=0.01),
}


@pytest.fixture(scope="module")
def musl(tmp_path_factory):
    return musl_static(tmp_path_factory.mktemp("musl"))


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture
def program(case, allocators, request):
    binary = request.getfixturevalue("musl") if case is CASES["musl, static"] else None
    started = allocators(*ROLES, environment=case.environment(), binary=binary)
    maps = started.maps()
    assert case.mapped in maps and (not binary or "libc.so" not in maps)
    return started


def own(memory):
    """All but the stack."""
    figures = regions_of(memory)
    return figures["arena"] + figures["heap"] + figures["mmap"]


def made(thread):
    return thread["heap"] + thread["mmap"]


def pools_by_role(target):
    return {pool["name"].removesuffix("-*"): pool["memory"] for pool in target["pools"]}


def compare_threads(case, target, truth):
    """Thread by thread. Of glibc's arenas, what dead threads have grown is its users': rule 3."""
    listed = {thread["tid"]: thread["memory"] for thread in target["thread_list"]}
    left = sum(made(thread) for thread in truth["threads"] if not thread["alive"])
    living = [thread for thread in truth["threads"] if thread["alive"]]
    assert set(listed) == {thread["tid"] for thread in living}
    for thread in living:
        shown = listed[thread["tid"]]
        assert close_enough(regions_of(shown)["stack"], thread["stack"]), (thread, shown)
        if case.is_glibc and (case.has_shared_arenas or thread["role"] == "leave"):
            assert made(thread) - SLACK <= own(shown) <= made(thread) + left + SLACK, (thread, shown)
        else:
            assert close_enough(own(shown), made(thread)), (thread, shown)


def compare_pools(case, target, truth):
    """The living and what the dead have left, pool by pool; all together where glibc's arenas are shared."""
    pools = pools_by_role(target)
    true = {role: [0, 0] for role in pools}
    for thread in truth["threads"]:
        true[thread["role"]][not thread["alive"]] += made(thread)
    assert sum(dead for _, dead in true.values()) > 0, "nobody who ended has left anything: this shows less"
    for role, (living, dead) in true.items():
        if not case.is_glibc:
            assert close_enough(pools[role]["orphaned_bytes"], dead), (role, pools[role], dead)
        if not case.has_shared_arenas:
            assert close_enough(own(pools[role]), living + dead), (role, pools[role], living, dead)
    assert close_enough(sum(map(own, pools.values())), sum(map(made, truth["threads"])))


def compare_late(case, early, late, truth):
    """What was there is nobody's, but for stacks and what glibc's arenas show; what came since is its maker's."""
    listed = {thread["tid"]: thread["memory"] for thread in late["thread_list"]}
    before = {thread["tid"]: thread["memory"] for thread in early["thread_list"]}
    for thread in truth["threads"]:
        if not thread["alive"]:
            continue
        shown, seen = listed[thread["tid"]], before[thread["tid"]]
        assert close_enough(regions_of(shown)["stack"], thread["stack"]), (thread, shown)
        assert shown["mmap"]["resident_bytes"] <= seen["mmap"]["resident_bytes"] + SLACK, (thread, shown, seen)
        if not case.is_glibc:
            assert close_enough(own(shown), thread["fresh"]), (thread, shown)
            assert not shown["shared"]
    if case.is_glibc:
        bar = late["memory"]["rss_anon_bytes"] // 20
        sums = [{role: own(memory) - regions_of(memory)["mmap"] for role, memory in pools_by_role(target).items()}
                for target in (early, late)]
        if case.has_shared_arenas:
            sums = [{"all": sum(found.values())} for found in sums]
        for role, figure in sums[0].items():
            assert abs(figure - sums[1][role]) <= bar, sums
    else:
        missing = sum(made(thread) - thread["fresh"] for thread in truth["threads"])
        grown = late["memory"]["unattributed"]["before_attach"] - early["memory"]["unattributed"]["before_attach"]
        assert missing > 1 << 20 and close_enough(grown, missing), (grown, missing)


def share_of_others(truth, *roles):
    threads = [thread for thread in truth["threads"] if thread["role"] in roles]
    return sum(thread["of_others"] for thread in threads) / sum(thread["held"] for thread in threads)


def test_owners(case, program, exporter, watch, tell, request):
    serving = exporter("-p", program.pid, "--interval", "0.2")
    early = watch(program.pid, binary=SANITIZED if case.mapped or not case.is_glibc else None)
    program.script(f"start\ngo {STEPS}")
    assert_stands(serving)
    late = watch(program.pid)
    program.script(f"mark\ngo {STEPS}")
    assert_stands(serving)
    truth = program.ask("truth")
    program.freeze()
    for watching in (early, late):
        assert watching.running(), "the workload was too slow: nothing was compared"
        watching.process.send_signal(signal.SIGINT)
    early, late = early.wait().target(), late.wait().target()
    os.kill(program.pid, signal.SIGCONT)
    for target in (early, late):
        assert_identity(target)
        assert_adds_up(target)
        assert target["events"]["lost"] == 0
    compare_threads(case, early, truth)
    compare_pools(case, early, truth)
    compare_late(case, early, late, truth)
    kept, taken = share_of_others(truth, "keep"), share_of_others(truth, "take")
    tell(f"{request.node.callspec.id}: in pages that another thread made usable: {kept:.0%} of what threads "
         f"allocated themselves, {taken:.0%} of what takers hold")
    assert case.least <= kept <= case.most
    assert taken > 0.1, "nothing was handed over"
    # All at once, each freeing what others made: whose what is, is not known any more, but it adds up.
    program.ask(f"storm {CALLS}")
    assert_stands(serving)


def test_it_adds_up_at_every_refresh(program, exporter, tell, request):
    """Also while all moves at once: by count at each, and what is unexplained is little at most of them. At one or the other
    much may have moved between the two readings; what is wrong is wrong at each."""
    serving = exporter("-p", program.pid, "--interval", "0.1")
    program.ask("start")
    assert_stands(serving)
    with Refreshes(serving) as refreshes:
        end = time.monotonic() + PATIENCE
        while len(refreshes.seen) < 20:
            assert time.monotonic() < end and not refreshes.failure, refreshes.seen
            program.script(f"go 1\nstorm {CALLS}")
    refreshes.assert_identity()
    unexplained = refreshes.unexplained()
    tell(f"{request.node.callspec.id}: {len(unexplained)} refreshes while it moved, unexplained "
         f"{unexplained[len(unexplained) // 2]:.2%} of RssAnon, at most {unexplained[-1]:.1%}")
    assert unexplained[len(unexplained) // 2] <= 0.05
    assert_stands(serving)


@pytest.mark.parametrize("case", ["glibc", "jemalloc", "tcmalloc", "mimalloc", "musl, static"], indirect=True)
def test_attaching_brings_no_page_into_being(program):
    """Where there is no glibc, what is looked at is a guess. (A kernel that has one zero page for all that was only read
    does not count them: there this shows nothing.)"""
    program.script(f"start\ngo {STEPS}\ntruth")  # whatever the answer itself takes
    before = program.ask("truth")["rss_anon"]
    target = run("dump", "--json", "-p", program.pid).target()
    assert_identity(target)
    assert program.ask("truth")["rss_anon"] == before
