# SPDX-License-Identifier: GPL-2.0-only
"""Attached after the growth, poolscope must say the same of stacks, arenas and heap as an agent that saw it all."""
import os
import time

import pytest

import harness
from allocators import musl_static
from exporter import Exporter
from fixtures import factory
from harness import SANITIZED, assert_adds_up, assert_identity, close_enough, regions_of, run, wait_for

exporter = factory(Exporter)
KEPT = ("stack", "arena", "heap")


def compare_pools(early, late):
    """Pool by pool, within 5 % of RssAnon. Direct mappings are another matter: their maker was not seen."""
    bar = late["memory"]["rss_anon_bytes"] // 20
    pools = {pool["name"]: pool for pool in late["pools"]}
    assert set(pools) == {pool["name"] for pool in early["pools"]}
    for pool in early["pools"]:
        seen, found = regions_of(pool["memory"]), regions_of(pools[pool["name"]]["memory"])
        for region in KEPT:
            assert abs(seen[region] - found[region]) <= bar, (pool["name"], region, seen, found)


def compare_as_a_group(early, late):
    for region in KEPT:
        sums = [sum(regions_of(pool["memory"])[region] for pool in target["pools"]) for target in (early, late)]
        assert abs(sums[0] - sums[1]) <= late["memory"]["rss_anon_bytes"] // 20, (region, sums)
    assert any(thread["memory"]["shared"] for thread in late["thread_list"])


def both(workload, watching, final, binary=None):
    """The same frozen target, as an early and as a late agent have it."""
    early = final(watching, workload)
    late = run("dump", "--json", "-p", workload.pid, binary=binary).target()
    for target in (early, late):
        assert_identity(target)
        assert_adds_up(target)
    return early, late


WORKLOADS = {
    "one arena a thread": (("resize:threads=6,stack=256K,arena=2M,named", "decode:threads=4,stack=64K,arena=512K,"
                            "routine=decode_main"), ("--heap", "3M")),
    "arenas of several heaps": (("resize:threads=2,arena=150M,named", "upload:threads=3,arena=1M,routine=upload_main"),
                                ("--heap", "8M")),
    "stacks that the kernel merged": (("flat:threads=12,stack=128K,unguarded,stack_size=256K,named",), ()),
    "arenas that two pools share": (("crowd:threads=8,arena=2M,named", "decode:threads=4,arena=1M,routine=decode_main"),
                                    ("--arenas", "4")),
    "the main arena alone": (("crowd:threads=6,arena=2M,named",), ("--arenas", "1")),
}
SHARED = ("arenas that two pools share", "the main arena alone")


@pytest.mark.parametrize("name", WORKLOADS)
def test_pools_are_the_same(pools, watch, final, name):
    specs, options = WORKLOADS[name]
    workload = pools(*specs, options=options)
    watching = watch(workload.pid)
    workload.fill()
    early, late = both(workload, watching, final, binary=SANITIZED if "several" in name else None)
    (compare_as_a_group if name in SHARED else compare_pools)(early, late)
    unknown = [target["memory"]["unattributed"]["before_attach"] for target in (early, late)]
    assert unknown[1] <= unknown[0] + late["memory"]["rss_anon_bytes"] // 20


def test_threads_of_a_python_executor(workload, watch, final):
    executor = workload("executor.py", 8)
    watching = watch(executor.pid)
    executor.ask("fill")
    compare_pools(*both(executor, watching, final))


def test_heaps_of_another_size_are_not_taken_for_arenas(workload, watch, final):
    """Where one of them lies at a multiple of 64 MiB, as an arena's first heap does, eight threads' heaps follow."""
    program = workload("pools", "--control", "--wait", "--pool", "a:threads=8,arena=4M,named", "--pool", "b:threads=8,arena=1M,named",
                       env=os.environ | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=2"})
    watching = watch(program.pid)
    for command in ("start", "full", "still"):
        program.ask(command)
    early, late = both(program, watching, final)
    made = {thread["tid"]: thread["memory"]["resident_bytes"] for thread in early["thread_list"]}
    assert sum(made.values()) >= 40 << 20
    for thread in late["thread_list"]:
        assert thread["memory"]["resident_bytes"] <= made[thread["tid"]], (thread, made)


def test_merged_stacks_are_told_apart(pools):
    workload = pools("flat:threads=12,stack=128K,unguarded,stack_size=256K,named")
    truth = workload.fill()
    maps = open(f"/proc/{workload.pid}/maps").read()
    workload.freeze()
    target = run("dump", "--json", "-p", workload.pid).target()
    sizes = [int(high, 16) - int(low, 16) for low, high in (line.split()[0].split("-") for line in maps.splitlines())]
    assert max(sizes) > 512 << 10, "the kernel has merged nothing; this test shows nothing"
    listed = {thread["tid"]: thread for thread in target["thread_list"]}
    for thread in truth["threads"]:
        stack = listed[thread["tid"]]["memory"]["stack"]
        assert close_enough(stack["resident_bytes"], thread["resident"]["stack"])
        assert stack["mapped_bytes"] <= 260 << 10
    assert_identity(target)


@pytest.mark.parametrize("size", (1000000, 245 * 4096 + 64, 245 * 4096))
def test_the_descriptor_ends_in_a_page_of_its_own(puppet, watch, final, size):
    """Where the stack's size is no multiple of the page; by little, in the second. What is mapped is whole pages."""
    workload = puppet()
    watching = watch(workload.pid)
    script = f"main spawn a {size}\nmain spawn b {size}\na stack 100K\na exit\n"
    workload.script(script + "".join(f"main spawn c{i} {size}\n" for i in range(8)) + "c0 stack 200K")
    truth = workload.ask("truth")["threads"]
    early, late = both(workload, watching, final)
    for target in (early, late):
        listed = {thread["tid"]: thread["memory"] for thread in target["thread_list"]}
        for name, thread in truth.items():
            memory = listed[thread["tid"]]
            assert memory["mmap"]["resident_bytes"] == 0, name
            if name != "main":
                assert memory["stack"]["resident_bytes"] == thread["stack"], name
    assert early["memory"]["unattributed"] == late["memory"]["unattributed"]


def test_the_part_of_a_stack_that_is_in_use(puppet):
    """From its stack pointer, which the kernel tells of a thread that waits, to the end of its mapping."""
    workload = puppet()
    workload.script("main spawn a\na stack 500K\nmain spawn b\nmain stack 300K")
    workload.freeze()
    target = run("dump", "--json", "-p", workload.pid).target()
    maps = [tuple(int(edge, 16) for edge in line.split()[0].split("-"))
            for line in open(f"/proc/{workload.pid}/maps", encoding="ascii")]
    for thread in target["thread_list"]:
        pointer = int(open(f"/proc/{workload.pid}/task/{thread['tid']}/syscall", encoding="ascii").read().split()[-2], 16)
        assert thread["stack_used_bytes"] == next(high for low, high in maps if low <= pointer < high) - pointer
        assert thread["stack_used_bytes"] < 32 << 10
    touched = sorted(thread["memory"]["stack"]["resident_bytes"] for thread in target["thread_list"])
    assert touched[1] < 64 << 10 and touched[-2] >= 300 << 10 and touched[-1] >= 500 << 10
    assert_identity(target)


def test_an_arena_whose_users_have_gone(puppet, exporter):
    """Known from before attach, it is nobody's; once its last user has gone, it is an orphan of its pool."""
    workload = puppet()
    workload.script("main spawn a\nmain spawn b\na malloc 3M\nb malloc 2M\na exit")
    bytes_of_b = workload.ask("truth")["threads"]["b"]["arena"]
    serving = exporter("-p", workload.pid)

    def total(name, **labels):
        return sum(figure for key, figure in serving.series().items()
                   if key[0] == name and set(labels.items()) <= set(key[1:]))
    wait_for(lambda: total("poolscope_pool_memory_resident_bytes", region="arena") >= bytes_of_b, "b's arena")
    assert total("poolscope_pool_memory_orphaned_bytes") == 0
    workload.script("b exit")
    wait_for(lambda: total("poolscope_pool_memory_orphaned_bytes") >= bytes_of_b, "b's arena to be an orphan")
    # a's was found by the ring of arenas, but nobody can say whose it was.
    assert total("poolscope_process_memory_unattributed_bytes", reason="before_attach") >= 3 << 20


def test_who_takes_an_arena_late_has_it_soon(workload, exporter):
    """No birth tells that it went to a thread which was there and had none; that it grows does."""
    program = workload("heirs")
    serving = exporter("-p", program.pid)
    program.ask("first")
    serving.wait_value(0, "poolscope_pool_threads", process="heirs", pool="first-*")
    program.ask("late")
    begun = time.monotonic()

    def has_all():
        series = {"process": "heirs", "pool": "late-*", "region": "arena"}
        return (serving.value("poolscope_pool_memory_resident_bytes", **series) or 0) >= 45 << 20
    wait_for(has_all, "late-* to have the arena")
    assert time.monotonic() - begun < 5, "a reading every ten seconds is not soon"


class Musl(harness.Workload):
    def __init__(self, binary, *arguments):
        self.binary = str(binary)
        super().__init__(self.binary, *arguments)

    def program(self, name):  # pylint: disable=arguments-differ
        return [self.binary]


musl = factory(Musl)


@pytest.mark.parametrize("late", [False, True], ids=["attach before", "late"])
@pytest.mark.parametrize("libc", ["glibc", "musl"])
def test_wide_thread_local_variables(workload, musl, watch, final, tmp_path, libc, late):
    """They lie on the thread's stack, above what clone is given of it; and glibc's malloc has its word below them. What
    lies between the stacks is another's: the kernel shows it all as one mapping."""
    program = workload("wide_tls", "4") if libc == "glibc" else musl(musl_static(tmp_path, "wide_tls"), "4")
    watching = None if late else watch(program.pid)
    program.ask("grow")
    target = run("dump", "--json", "-p", program.pid).target() if late else final(watching, program)
    wide = [thread for thread in target["thread_list"] if thread["name"].startswith("wide-")]
    assert len(wide) == 4
    for thread in wide:
        assert 3 << 20 <= thread["memory"]["stack"]["resident_bytes"] <= (3 << 20) + (1 << 17), thread
        assert libc == "musl" or thread["memory"]["arena"]["resident_bytes"] >= 8 << 20, thread
        assert libc == "glibc" or thread["start_routine"] is None, "musl's descriptor does not tell"
    leader = next(thread for thread in target["thread_list"] if thread not in wide)
    made = 0 if late else 4 * (2 << 20)
    assert made <= leader["memory"]["mmap"]["resident_bytes"] <= made + (1 << 17) + (libc == "musl") * (32 << 20), leader
    assert_identity(target)


def test_workers_that_die_and_are_replaced_keep_the_pools_figures(pools, watch, final):
    """An arena goes from a worker that ends to the next without any event."""
    workload = pools("batch:threads=4,arena=3M,churn=400ms,named")
    workload.ask("start")
    watching = watch(workload.pid)
    while workload.ask("truth")["pools"][0]["ended"] < 12:
        pass
    workload.ask("still")
    target = final(watching, workload)
    pool = next(p for p in target["pools"] if p["name"] == "batch-*")
    assert pool["memory"]["arena"]["resident_bytes"] >= 4 * (3 << 20)
    assert target["memory"]["unattributed_bytes"] <= 2 << 20, target["memory"]
    assert_identity(target)
    assert_adds_up(target)


@pytest.mark.parametrize("second", ("vm-clone thread", "kvm"))
def test_a_thread_without_a_tls_of_its_own_takes_nothing(puppet, watch, final, second):
    """It carries its creator's thread pointer: a thread of clone's without CLONE_SETTLS, and a worker of the kernel's."""
    if second == "kvm" and not os.access("/dev/kvm", os.W_OK):
        pytest.skip("no /dev/kvm here")
    workload = puppet()
    workload.script("main spawn a\na malloc 3M\na stack 500K")
    between = watch(workload.pid)
    workload.script("a " + second)
    bytes_of_a = workload.ask("truth")["threads"]["a"]["arena"]
    for target in (final(between, workload), run("dump", "--json", "-p", workload.pid).target()):
        _, _, creator, *others = sorted(target["thread_list"], key=lambda thread: (thread["started"], thread["tid"]))  # TIDs begin anew
        assert creator["memory"]["stack"]["resident_bytes"] >= 500 << 10
        assert creator["memory"]["arena"]["resident_bytes"] >= bytes_of_a
        assert not creator["memory"]["shared"]
        assert [thread["memory"]["arena"]["resident_bytes"] for thread in others] == [0] * len(others)
        assert others or second == "kvm"  # to Linux 6.12 it needs none


def test_who_makes_old_memory_anew_has_not_grown(puppet, watch, final):
    """A cache that was full before the attach: what takes the place of what is given back is no growth."""
    workload = puppet()
    workload.script("main spawn a\na name 6361636865\n" + "\n".join(f"a mmap old{i} 8M\na touch old{i}" for i in range(4)))
    watching = watch(workload.pid)
    began = time.monotonic()
    for i in range(4):
        time.sleep(1.1)
        workload.script(f"a munmap old{i}\na mmap new{i} 8M\na touch new{i}")
    time.sleep(11 - (time.monotonic() - began))  # a rate is of ten seconds at least
    target = final(watching, workload)
    pool = next(pool for pool in target["pools"] if pool["memory"]["mmap"]["resident_bytes"])
    assert pool["memory"]["mmap"]["resident_bytes"] == 32 << 20
    assert abs(pool["memory"]["net_grown_bytes"]) <= 64 << 10
    assert abs(pool["growth_bytes_per_minute"]) <= 1 << 20
    assert target["memory"]["unattributed"]["before_attach"] < 2 << 20
    thread = next(thread for thread in target["thread_list"] if thread["name"] == "cache")
    assert abs(thread["memory"]["net_grown_bytes"]) <= 64 << 10
