# SPDX-License-Identifier: GPL-2.0-only
"""Programs in C++: threads of std::thread, and methods that make containers grow, which the compiler puts into the program,
inlined or not."""
import signal
import time

import pytest

from harness import run
from programs import compiled, program  # noqa: F401 pylint: disable=unused-import
from test_cpython import pools_of

BLOCK = 4 << 20
# Of callables.cc: what its threads call, and how many do. What stands in the types needs no symbols.
TYPES = {"Functor": 1, "begin()::{lambda()#1}": 3, "Shop::open()::{lambda()#1}": 1, "std::async": 1}
FUNCTIONS = {"decode": 2, "call": 1, "(anonymous namespace)::hidden": 1, "Shop::serve": 2, "Pool<int>::run": 1}
UNKNOWN = {"main": 1, "std::thread": 2}


@pytest.mark.parametrize("options", [("-O0",), ("-O2",), ("-O2", "-fno-inline"), ("-O2", "-fomit-frame-pointer", "-static-libstdc++")],
                         ids=" ".join)
def test_the_method_is_blamed(program, watch, final, tmp_path, options):  # noqa: F811
    target = program(compiled(tmp_path, "vectors.cc", "g++", *options))
    watching = watch(target.pid)
    for _ in range(5):
        target.ask("")
    pools = pools_of(final(watching, target))
    pool = pools["vectors_cc:work"]
    print(pool["blame"], pool["blame_other_bytes"], pool["blame_unseen_bytes"])
    assert (pool["kind"], pool["threads"]) == ("threads", 2)
    told = {entry["function"]: entry["bytes"] for entry in pool["blame"]}
    assert set(told) == {"shop::Index::add_block", "shop::Text::add_line"}
    for figure in told.values():
        assert BLOCK <= figure <= 12 * BLOCK


def threads_by_pool(target):
    return {pool["name"].removeprefix("callables_cc:"): pool["threads"] for pool in target["pools"]}


@pytest.mark.parametrize("options", [("-O0",), ("-O2",), ("-O2", "-static-libstdc++"), ("-O2", "-std=c++20", "-no-pie")], ids=" ".join)
def test_what_a_std_thread_calls(program, watch, final, tmp_path, options):  # noqa: F811
    path = compiled(tmp_path, "callables.cc", "g++", *options)
    assert threads_by_pool(run("dump", "--json", "-p", program(path).pid).target()) == FUNCTIONS | TYPES | UNKNOWN
    waiting = program(path, "wait")
    watching = watch(waiting.pid)
    waiting.ask("")
    assert threads_by_pool(final(watching, waiting)) == FUNCTIONS | TYPES | UNKNOWN


@pytest.mark.parametrize("prefix, options", [((), ()), (("sh", "-c", '"$@"; true', "sh"), ("-f",))], ids=["exec", "child"])
def test_of_a_program_that_begins_while_watched(program, watch, tmp_path, prefix, options):  # noqa: F811
    """Its threads may be seen before it is told that its libraries were mapped, and are then born once more."""
    path = compiled(tmp_path, "callables.cc", "g++")
    for _ in range(6):
        watching = []
        started = program(*prefix, path, held=lambda pid, watching=watching: watching.append(watch(pid, *options)))
        time.sleep(0.1)  # a thread has a moment to take a name
        watching[0].process.send_signal(signal.SIGINT)
        targets = {target["pid"]: target for target in watching[0].wait().json()["targets"]}
        assert threads_by_pool(targets[started.pid]) == FUNCTIONS | TYPES | UNKNOWN


def test_without_symbols(program, tmp_path):  # noqa: F811
    """Functions are told apart by their places then."""
    pools = threads_by_pool(run("dump", "--json", "-p", program(compiled(tmp_path, "callables.cc", "g++", "-s")).pid).target())
    places = [threads for name, threads in pools.items() if name.startswith("callables_cc+0x")]
    assert sorted(places) == sorted(FUNCTIONS.values())
    assert {name: threads for name, threads in pools.items() if not name.startswith("callables_cc+0x")} == TYPES | UNKNOWN


def test_without_types(program, tmp_path):  # noqa: F811
    pools = threads_by_pool(run("dump", "--json", "-p", program(compiled(tmp_path, "callables.cc", "g++", "-fno-rtti")).pid).target())
    assert pools == {"main": 1, "std::thread": sum((FUNCTIONS | TYPES | UNKNOWN).values()) - 1}
