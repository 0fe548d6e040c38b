# SPDX-License-Identifier: GPL-2.0-only
"""Of what is resident in glibc's arenas, how much is in use and how much merely kept by malloc: against a truth that
the workload knows."""
import os
import re
import subprocess

import pytest

from harness import ROOT, SANITIZED, assert_identity, run

# Without the cache of each thread the truth is exact; with it, its larger chunks count as in use.
PLAIN = dict(os.environ, GLIBC_TUNABLES="glibc.malloc.tcache_count=0")
CACHED_MAX = 1 << 20

CASES = {
    "all in use": ("none:8M", "none:300K"),
    "each second chunk is free": ("half:8M", "main:half:6M"),
    "all but the last": ("all:16M", "main:all:12M"),
    "random": ("random:20M", "random:3M", "main:random:9M"),
    "large chunks": ("large:30M", "main:large:20M"),
    "given back inside": ("trimmed:30M", "main:trimmed:20M"),
    "small chunks": ("small:20M", "main:small:8M"),
    "a large top": ("main:top:200M",),
    "several heaps": ("half:200M", "random:150M"),
    "small chunks of several heaps": ("small:150M",),
    "a list of the program's own": ("list:150M",),
    "a list of the program's own in the main heap": ("main:list:60M",),
}


def compare(target, truth, slack):
    listed = {thread["tid"]: thread for thread in target["thread_list"]}
    for user in truth["threads"]:
        memory = listed[user["tid"]]["memory"]
        kept = user["resident"] - user["live"]
        print(f"{user['pattern']}: {user['resident'] >> 10}K resident, {kept >> 10}K kept, "
              f"found {memory['kept_bytes'] >> 10}K")
        assert memory["kept_bytes"] <= memory["arena"]["resident_bytes"] + memory["heap"]["resident_bytes"]
        assert kept - slack - kept // 50 <= memory["kept_bytes"] <= kept + (64 << 10) + kept // 50


def told(pid, *options, binary=None):
    """What is told once all has been read: on a slow machine some hundred MiB take longer than the time that a dump has
    for them, and are n/a until a longer one."""
    for more in (options, ("--after", 10), ("--after", 45)):
        target = run("dump", "--json", "-p", pid, *more, binary=binary).target()
        if all(thread["memory"]["kept_bytes"] is not None for thread in target["thread_list"]):
            break
    return target


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("cache", [False, True], ids=["plain", "cached"])
def test_kept(workload, name, cache):
    kept = workload("kept", *CASES[name], env=None if cache else PLAIN)
    truth = kept.ask("truth")
    kept.freeze()
    target = told(kept.pid, binary=SANITIZED if "random" in name else None)
    assert_identity(target)
    compare(target, truth, CACHED_MAX if cache else 64 << 10)
    # Of pools: the sum over their threads.
    for pool in target["pools"]:
        threads = [t["memory"]["kept_bytes"] for t in target["thread_list"] if t["pool"] == pool["name"]]
        if pool["memory"]["kept_bytes"] is not None and None not in threads:
            assert pool["memory"]["kept_bytes"] >= sum(threads)


def test_threads_that_keep_all_in_their_caches(workload):
    """No fastbin has an entry then, whose links tell that links are mixed: the ends of the caches' lists do."""
    kept = workload("kept", "small:20M", "main:small:8M", "small:1M", env=dict(os.environ, GLIBC_TUNABLES="glibc.malloc.tcache_count=65535"))
    truth = kept.ask("truth")
    kept.freeze()
    target = run("dump", "--json", "-p", kept.pid).target()
    compare(target, truth, 64 << 10)
    for user in truth["threads"]:
        assert user["resident"] - user["live"] > user["resident"] / 3, "the workload frees little"


@pytest.mark.parametrize("patterns", [("main:list:60M", "small:1M"), ("main:small:8M",), ("main:half:6M",)], ids=" ".join)
def test_a_program_at_a_fixed_address(workload, tmp_path, patterns):
    """Its heap lies so low that links of free chunks are mixed with next to nothing."""
    path = tmp_path / "kept"
    subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-pthread", "-no-pie", "-o", path, ROOT / "tests/workloads/kept.c",
                    "-lm"], check=True)
    kept = workload(path, *patterns, env=PLAIN)
    truth = kept.ask("truth")
    kept.freeze()
    compare(run("dump", "--json", "-p", kept.pid).target(), truth, 64 << 10)


def test_heaps_that_change_meanwhile(workload):
    """A running target: what is said is within what can be; and it never stops or fails."""
    kept = workload("kept", *["busy:8M"] * 4)
    for _ in range(5):
        target = run("dump", "--json", "-p", kept.pid).target()
        for holder in target["pools"] + target["thread_list"]:
            memory = holder["memory"]
            managed = memory["arena"]["resident_bytes"] + memory["heap"]["resident_bytes"]
            assert memory["kept_bytes"] is None or 0 <= memory["kept_bytes"] <= managed



def main_pool(target):
    return next(pool for pool in target["pools"] if pool["name"] == "main")["memory"]


def test_a_heap_that_takes_long(workload):
    """What is read of it in the time that a dump has is told as that, and never as the whole."""
    kept = workload("kept", "main:half:1500M", env=PLAIN)
    truth = kept.ask("truth")["threads"][0]
    kept.freeze()
    done = run("dump", "-p", kept.pid, env=dict(os.environ, COLUMNS="200"))
    said = re.search(r"main: kept by malloc: ([0-9.]+)M of [0-9.]+[MG] read so far, of that ([0-9.]+)M is free", done.out)
    assert said, done.out
    read, free = map(float, said.groups())
    assert abs(free / read - 1 + truth["live"] / truth["resident"]) < 0.02, (said, truth)
    assert main_pool(run("dump", "--json", "-p", kept.pid).target())["kept_bytes"] is None


def test_a_heap_that_is_read_in_pieces(workload):
    """Over several refreshes; and what is asked at the end goes on from there."""
    kept = workload("kept", "main:half:400M", env=PLAIN)
    truth = kept.ask("truth")["threads"][0]
    target = told(kept.pid, "--after", 15)
    assert abs(main_pool(target)["kept_bytes"] - (truth["resident"] - truth["live"])) <= truth["resident"] // 50


def test_what_others_take_from_brk_is_not_kept(puppet):
    workload = puppet()
    workload.script("main sbrk 6M")
    workload.freeze()
    pool = next(one for one in run("dump", "--json", "-p", workload.pid).target()["pools"] if one["name"] == "main")
    assert pool["memory"]["heap"]["resident_bytes"] >= 6 << 20
    assert pool["memory"]["kept_bytes"] <= 256 << 10
