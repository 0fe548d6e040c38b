# SPDX-License-Identifier: GPL-2.0-only
"""The rule of ownership, case by case: a script of memory calls, and who must own what after it. All
figures are page-exact, on a stopped target, and the identity must hold to the byte."""
import pytest

from harness import assert_adds_up, assert_identity, regions_of

K, M = 1 << 10, 1 << 20

# name: script, {actor: mmap bytes, or a range whose pages the kernel decides on}. Actors a and b exist. A call that must fail
# begins with `!`; with `?` one that older kernels do not know.
CASES = {
    "mmap is its caller's": ("a mmap x 1M\nb touch x", {"a": 1 * M, "b": 0}),
    "another thread unmaps": ("a mmap x 1M\na touch x\nb munmap x", {"a": 0, "b": 0}),
    "a part is unmapped": ("a mmap x 1M\na touch x\nb munmap x 256K 128K", {"a": 896 * K}),
    "mapped over": ("a mmap x 1M\na touch x\nb mmap y 256K rw x 128K\nb touch y", {"a": 768 * K, "b": 256 * K}),
    "mremap grows": ("a mmap x 1M\na touch x\nb mremap x 3M\nb touch x", {"a": 1 * M, "b": 2 * M}),
    "mremap moves": ("a mmap x 1M\na touch x\nb mremap x 1M move", {"a": 1 * M, "b": 0}),
    "mremap moves and grows": ("a mmap x 1M\na touch x\nb mremap x 2M move\na touch x", {"a": 1 * M, "b": 1 * M}),
    "mremap shrinks": ("a mmap x 1M\na touch x\nb mremap x 256K", {"a": 256 * K, "b": 0}),
    "reserved, then made usable": ("a mmap x 4M none\nb mprotect x rw 1M 1M\na touch x 1M 1M", {"a": 0, "b": 1 * M}),
    "a reservation grows": ("a mmap x 4M none\na mprotect x rw 0 512K\nb mprotect x rw 512K 512K\na touch x 0 1M",
                            {"a": 512 * K, "b": 512 * K}),
    "toggled by another": ("a mmap x 1M\na touch x\nb mprotect x none\nb mprotect x rw\nb touch x", {"a": 1 * M, "b": 0}),
    "locked pages stay": ("a mmap x 1M\na touch x\nb mprotect x none", {"a": 1 * M, "b": 0}),
    "discarded and filled again": ("a mmap x 1M\na touch x\nb madvise x 4\nb touch x 0 512K", {"a": 512 * K, "b": 0}),
    "pages that were only read": ("a mmap x 1M\na madvise x 15\na read x\na touch x 0 64K", {"a": "x"}),
    "guards are not memory": ("a mmap x 1M\na touch x 0 64K\n?a madvise x 102 512K 64K", {"a": 64 * K}),
    "an address is used again": ("a mmap x 1M\na touch x\nb munmap x\nb mmap y 1M rw x 0\nb touch y",
                                 {"a": 0, "b": 1 * M}),
    "made usable up to a hole": ("a mmap x 4M none\na munmap x 2M 1M\n!b mprotect x rw\na touch x 0 2M", {"a": 0, "b": 2 * M}),
    "behind the hole nothing was": ("a mmap x 4M none\na munmap x 2M 1M\n!b mprotect x rw\na mprotect x rw 3M 1M\n"
                                    "a touch x 0 2M\na touch x 3M 1M", {"a": 1 * M, "b": 2 * M}),
    "a hole at once": ("a mmap x 4M none\na munmap x 0 1M\n!b mprotect x rw\na mprotect x rw 1M 3M\na touch x 1M 3M",
                       {"a": 3 * M, "b": 0}),
    "refused before anything": ("a mmap x 1M none\n!b mprotect x rw 100 1M\na mprotect x rw\na touch x", {"a": 1 * M, "b": 0}),
    "a move that fails": ("a mmap x 2M\na munmap x 1M 4K\na touch x 0 1M\n!b mremap x 4M move\nb touch x 0 1M\n"
                          "b mmap y 1M\nb touch y", {"a": 1 * M, "b": 1 * M}),
    "what stands at a gap stays": ("a mmap x 4M\na munmap x 1M 2M\na touch x 0 1M\na touch x 3M 1M\nb mmap y 2M rw x 2097153M\n"
                                   "b touch y\n?a mremap x 4M move", {"a": 2 * M, "b": "y"}),
    "its destination has gone": ("a mmap x 2M\na munmap x 1M 4K\nb mmap y 8M rw x 2048G\nb touch y\n!a mremap x 4M move\n"
                                 "a touch x 0 1M", {"a": 1 * M, "b": "y"}),
}


def play(workload, script):
    for line in script.splitlines():
        workload.send(line.lstrip("!?"))
        assert ("error" in workload.read()) == line.startswith("!") or line.startswith("?"), line


@pytest.fixture
def pair(puppet):
    workload = puppet()
    workload.script("main spawn a\nmain spawn b")
    return workload


def threads_of(target, truth):
    listed = {thread["tid"]: thread for thread in target["thread_list"]}
    return {name: listed[entry["tid"]] for name, entry in truth["threads"].items()}


@pytest.mark.parametrize("name", CASES)
def test_owner(pair, watch, final, name):
    script, expected = CASES[name]
    watching = watch(pair.pid)
    play(pair, script)
    truth = pair.ask("truth")
    target = final(watching, pair)
    threads = threads_of(target, truth)
    expected = {who: truth["ranges"].get(figure, figure) for who, figure in expected.items()}
    assert {who: threads[who]["memory"]["mmap"]["resident_bytes"] for who in expected} == expected
    assert_identity(target)
    assert_adds_up(target)


def test_stack_and_arena_are_page_exact(pair, watch, final):
    watching = watch(pair.pid)
    pair.script("main spawn c\nmain spawn d\nc stack 512K\nd stack 64K\nc malloc 3M\nd malloc 256K")
    truth = pair.ask("truth")
    target = final(watching, pair)
    for who, thread in threads_of(target, truth).items():
        if who in "cd":
            figures = regions_of(thread["memory"])
            assert (figures["stack"], figures["arena"]) == (truth["threads"][who]["stack"], truth["threads"][who]["arena"])
    assert_identity(target)


def test_heap_up_and_down(pair, watch, final):
    watching = watch(pair.pid)
    pair.script("main sbrk 4M\nmain sbrk -3M")
    truth = pair.ask("truth")
    target = final(watching, pair)
    # With what malloc had there before: main is the only one that uses the main arena.
    assert threads_of(target, truth)["main"]["memory"]["heap"]["resident_bytes"] == truth["heap"] >= 1 * M
    assert_identity(target)


def test_dead_threads_leave_orphans_and_stacks_are_inherited(pair, watch, final):
    watching = watch(pair.pid)
    pair.script("a mmap x 1M\na touch x\na stack 512K\na exit\nmain spawn c\nc stack 128K\nc mmap y 256K\nc touch y")
    truth = pair.ask("truth")
    target = final(watching, pair)
    thread = threads_of(target, truth)["c"]
    assert thread["memory"]["stack"]["resident_bytes"] == truth["threads"]["c"]["stack"]
    assert thread["memory"]["mmap"]["resident_bytes"] == 256 * K
    assert sum(pool["memory"]["orphaned_bytes"] for pool in target["pools"]) >= 1 * M
    assert sum(pool["threads_exited"] for pool in target["pools"]) == 1
    assert_identity(target)
    assert_adds_up(target)


@pytest.mark.parametrize("limit", ["67108864", "unlimited"])
def test_the_main_stack_grows_to_its_limit(puppet, watch, final, limit):
    """No call tells of it, and 8 MiB is only the usual limit."""
    workload = puppet(prefix=("prlimit", f"--stack={limit}:{limit}"))
    watching = watch(workload.pid)
    workload.script("main stack 40M")
    target = final(watching, workload)
    assert_identity(target)
    main = next(thread for thread in target["thread_list"] if thread["tid"] == workload.pid)
    assert 40 * M <= main["memory"]["stack"]["resident_bytes"] < 41 * M and target["events"]["reseeds"] == 0
