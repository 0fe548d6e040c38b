# SPDX-License-Identifier: GPL-2.0-only
"""Busy of pools that no runtime tells of, by where their workers wait, against programs that know who is in a task."""
import os

import pytest

from harness import run
from programs import PROGRAMS, compiled, program  # noqa: F401 pylint: disable=unused-import
from test_cpython import dump_until, pools_of

NATIVE = {
    "waits_openmp_c:master/libgomp": ("waits_openmp.c", ("gcc", "-fopenmp", "-pthread"), ("4",), 3),
    # each stands 64 bytes deeper on its stack than the one before it
    "libomp": ("waits_openmp.c", ("clang", "-fopenmp", "-pthread"), ("40",), 39),
    "tbb": ("waits_tbb.cc", ("g++",), (), 3),
    "pthreadpool": ("waits_pthreadpool.c", ("gcc", "-pthread"), (), 3),
    "libuv": ("waits_uv.c", ("gcc",), (), 6),
}
SIX = {"UV_THREADPOOL_SIZE": "6"}


def told(of, name):
    """What is told of the pool now: how many it has, how many are busy, and that of each of them."""
    target = run("dump", "--json", "-p", of.pid).target()
    pool = pools_of(target)[name]
    return pool["threads"], pool["busy"], sorted(str(thread["busy"]) for thread in target["thread_list"] if thread["pool"] == name)


def until(of, name, busy):
    return pools_of(dump_until(of, lambda pools: pools[name]["busy"] == busy, f"{busy} busy in {name}"))[name]


@pytest.mark.parametrize("name", NATIVE)
def test_idle_busy_idle(program, tmp_path, name):
    """Tasks that wait by the very call that the runtime waits by are busy, none of them on a CPU."""
    source, compiler, arguments, workers = NATIVE[name]
    started = program(compiled(tmp_path, source, *compiler), *arguments, env=SIX)
    assert until(started, name, 0)["threads"] == workers
    for count in (1, workers, 2):
        started.ask(f"in {count} 0")
        until(started, name, count)
        # Who was woken for its task may still be on its way into it.
        pool = pools_of(dump_until(started, lambda pools: not pools[name]["running"], "all to stand in their tasks"))[name]
        assert (pool["threads"], pool["busy"]) == (workers, count)
        for _ in range(3):  # it stays so, as long as they wait
            assert told(started, name) == (workers, count, ["False"] * (workers - count) + ["True"] * count)
        assert pool["right_size"] is None and pool["queued"] is None
        started.ask("out")
        until(started, name, 0)


@pytest.mark.parametrize("name", NATIVE)
def test_who_computes_is_busy_or_not_known(program, tmp_path, name):
    """Registers of a thread on a CPU are not to be had. Of libuv's it is known that they do not turn round before they
    wait; the others do, so one on a CPU may be doing no more than that. Never another figure than the right one."""
    source, compiler, arguments, workers = NATIVE[name]
    started = program(compiled(tmp_path, source, *compiler), *arguments, env=SIX)
    until(started, name, 0)
    started.ask("in 1 1")
    figures = [told(started, name)[1] for _ in range(20)]
    print(name, figures)
    assert set(figures) <= {2, None}
    if name == "libuv":
        assert figures.count(2) >= 10
    started.ask("out")
    until(started, name, 0)


@pytest.fixture
def fifo(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def test_tasks_of_libuv_itself(program, tmp_path, fifo):
    """Debian's libuv has no symbols for its own functions: those of a task are not taken for the wait."""
    started = program(compiled(tmp_path, "waits_uv.c", "gcc"), fifo, env=SIX)
    until(started, "libuv", 0)
    for count in (2, 6):
        started.ask(f"in {count} 0")
        until(started, "libuv", count)
        assert told(started, "libuv")[1] == count
        started.ask("out")
        until(started, "libuv", 0)


def test_node(program, fifo):
    """Files that wait, keys that are computed, and both; linked into node are libuv and all tasks."""
    started = program("node", PROGRAMS / "waits.js", fifo, env=SIX)
    assert until(started, "libuv", 0)["threads"] == 6
    for blocked, computing in ((1, 0), (5, 0), (0, 2), (2, 1), (0, 6)):
        started.ask(f"in {blocked} {computing}")
        until(started, "libuv", blocked + computing)
        figures = [told(started, "libuv")[1] for _ in range(5)]
        print(blocked, computing, figures)
        # Between two keys a worker waits for the next one; one that has ended a key, and not come back to its wait yet,
        # counts while another computes the next.
        assert all(figure is None or blocked <= figure <= blocked + 2 * computing for figure in figures)
        assert computing or set(figures) == {blocked}
        started.ask("out")
        until(started, "libuv", 0)
