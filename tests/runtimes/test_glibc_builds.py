# SPDX-License-Identifier: GPL-2.0-only
"""Other builds of glibc than this Debian's: a newer one (run by its own loader), a static one, a static one without
symbols. What is read of its descriptors and arenas is found by evidence, so nothing here names an offset."""
import os
import re
import subprocess

import pytest

from harness import BUILD, ROOT, Workload, assert_adds_up, assert_identity, run

SUITE = os.environ.get("POOLSCOPE_SUITE", "trixie")
USERS = ("half:12M", "none:5M", "main:half:6M")
CACHED = 1 << 20  # what a thread's cache may hold: it counts as in use


def newer(_):
    libraries = subprocess.run([ROOT / "tools/libc", BUILD, SUITE], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    loader = next(name for name in os.listdir(libraries) if name.startswith("ld-linux"))
    return [f"{libraries}/{loader}", "--library-path", libraries, str(BUILD / "workloads/kept")]


def static(folder, *options):
    program = folder / "kept"
    subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-pthread", "-static", *options, "-o", program,
                    ROOT / "tests/workloads/kept.c", "-lm"], check=True)
    return [str(program)]


# How to make it, the start routine's name, and whether malloc's heap begins where brk began: in a static program the
# thread-local storage of the first thread is there, and what malloc keeps of it is not known.
BUILDS = {f"{SUITE}'s": (newer, "user_main", True), "static": (static, "user_main", False),
          "static, stripped": (lambda folder: static(folder, "-s"), r"\+0x[0-9a-f]+", False)}


def assert_arena(thread, user, heap_is_known):
    memory = thread["memory"]
    held = memory["heap" if user["main"] else "arena"]["resident_bytes"]
    free = user["resident"] - user["live"]
    print(f"{user['pattern']}: {held >> 10}K of {user['resident'] >> 10}K, "
          f"kept {(memory['kept_bytes'] or 0) >> 10}K of {free >> 10}K")
    assert abs(held - user["resident"]) <= 64 << 10
    if user["main"] and not heap_is_known:
        assert memory["kept_bytes"] is None
    else:
        assert free - CACHED <= memory["kept_bytes"] <= free + (64 << 10)


@pytest.mark.parametrize("name", BUILDS)
def test_stacks_routines_and_arenas_of_threads_from_before(name, tmp_path):
    make, routine, heap_is_known = BUILDS[name]
    command = make(tmp_path)

    class Loaded(Workload):
        program = staticmethod(lambda _: command)

    kept = Loaded("kept", *USERS)
    try:
        truth = kept.ask("truth")
        kept.freeze()
        target = run("dump", "--json", "-p", kept.pid).target()
    finally:
        kept.close()
    assert_identity(target)
    assert_adds_up(target)
    listed = {thread["tid"]: thread for thread in target["thread_list"]}
    for user in truth["threads"]:
        assert_arena(listed[user["tid"]], user, heap_is_known)
        assert listed[user["tid"]]["memory"]["stack"]["resident_bytes"] > 0
        if not user["main"]:
            assert listed[user["tid"]]["module"] == "kept"
            assert re.fullmatch(routine, listed[user["tid"]]["start_routine"])
            assert listed[user["tid"]]["stack_used_bytes"] < 64 << 10


def test_heaps_that_are_seen_being_made(watch, final, tmp_path):
    """From 2.41 on their reservation looks like any other's."""
    command = newer(tmp_path)
    watching = []

    class Loaded(Workload):
        program = staticmethod(lambda _: command)

    kept = Loaded("kept", *USERS, held=lambda pid: watching.append(watch(pid)))
    try:
        truth = kept.ask("truth")
        target = final(watching[0], kept)
    finally:
        kept.close()
    listed = {thread["tid"]: thread for thread in target["thread_list"]}
    for user in truth["threads"]:
        assert_arena(listed[user["tid"]], user, True)
    assert_identity(target)
    assert_adds_up(target)
