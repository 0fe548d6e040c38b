# SPDX-License-Identifier: GPL-2.0-only
"""Under which functions programs without Python grew, against functions of which it is known, however they are built."""
import os
import subprocess
import time

import pytest

from allocators import PRELOADED
from harness import ROOT
from test_blame import seen, total
from test_cpython import pools_of

MIB = 1 << 20
BLOCK = 4 * MIB
HEADER = 4096  # the page that malloc adds to a block that it maps
SMALL = 4000 * 700

BUILDS = {
    "frame pointers": ("-O2", "-fno-omit-frame-pointer"),
    "without": ("-O2", "-fomit-frame-pointer"),
    "without anything to unwind by": ("-O2", "-fomit-frame-pointer", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"),
}


def build(folder, *options):
    program = folder / "askers"
    subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-pthread", *options, "-o", program,
                    ROOT / "tests/workloads/askers.c"], check=True)
    return str(program)


def by_function(pool):
    return {entry["function"]: entry["bytes"] for entry in pool["blame"]}


def assert_right(pool, **truth):
    """Whole blocks, as far as they were seen, which depends on how soon the agent has a CPU; and a few pages that malloc
    took for itself meanwhile."""
    told = by_function(pool)
    print(pool["name"], told, pool["blame_other_bytes"], pool["blame_unseen_bytes"])
    assert set(told) <= set(truth), "a function that made nothing is blamed"
    assert pool["blame_other_bytes"] == 0
    for function, (blocks, each) in truth.items():
        whole, rest = divmod(told.get(function, 0), each)
        assert whole <= blocks and rest <= 64 << 10, function
    assert seen(pool) > 0
    assert total(pool) >= sum(blocks * each for blocks, each in truth.values())


def test_steps_that_repeat_are_sampled_by_their_size(workload, watch, final):
    """One measure for all samples would meet the same step of a program each time: half of it was told of the smaller."""
    program = workload("askers")
    program.ask("pool steps 1")
    watching = watch(program.pid)
    program.ask("run steps map_in_steps 2")
    pool = pools_of(final(watching, program))["steps-*"]
    told = by_function(pool)
    print(told, pool["blame_other_bytes"], pool["blame_unseen_bytes"])
    assert set(told) == {"map_more", "map_less"}
    assert 0.57 < told["map_more"] / sum(told.values()) < 0.9  # 224 of 304 KiB
    assert seen(pool) > total(pool) / 2


@pytest.mark.parametrize("options", BUILDS.values(), ids=BUILDS.keys())
def test_two_functions_in_two_pools(workload, watch, final, tmp_path, options):
    """Each function in both pools, in turn and at once; 50 calls are looked at, then 50 a second."""
    program = workload(build(tmp_path, *options))
    program.ask("pool one 2")
    program.ask("pool two 3")
    watching = watch(program.pid)
    for command in ("one map_much 4", "two allocate_much 3", "one allocate_much 2", "two map_much 5", "one map_much 1"):
        program.ask(f"run {command}")
    pools = pools_of(final(watching, program))
    assert_right(pools["one-*"], map_much=(5, BLOCK), allocate_much=(2, BLOCK + HEADER))
    assert_right(pools["two-*"], map_much=(5, BLOCK), allocate_much=(3, BLOCK + HEADER))


def test_who_called_the_library_is_blamed(workload, watch, final, tmp_path):
    """Not who called that; by mremap and step by step as well."""
    program = workload(build(tmp_path, "-O2"))
    program.ask("pool nested 1")
    program.ask("pool extender 1")
    program.ask("pool small 2")
    watching = watch(program.pid)
    program.ask("run nested through_another 3")
    program.ask("run extender extend 3")
    program.ask("run small allocate_small 12")
    pools = pools_of(final(watching, program))
    assert_right(pools["nested-*"], allocate_much=(3, BLOCK + HEADER))
    for name, function, grown in (("extender-*", "extend", 3 * BLOCK), ("small-*", "allocate_small", 12 * SMALL)):
        print(name, pools[name]["blame"], pools[name]["blame_unseen_bytes"])
        assert set(by_function(pools[name])) == {function}
        assert total(pools[name]) >= grown
        assert seen(pools[name]) > 0


def told_in_turn(workload, watch, final, rounds):
    """Many small blocks and a large one, so many times."""
    program = workload("askers")
    program.ask("pool one 1")
    watching = watch(program.pid)
    program.ask(f"run one in_turn {rounds}")
    pool = pools_of(final(watching, program))["one-*"]
    told = by_function(pool)
    print(told, pool["blame_unseen_bytes"])
    assert pool["blame_other_bytes"] == 0
    return pool, told


def test_one_sizeable_call_is_no_other_functions(workload, watch, final):
    """Made between two looks of the agent, after much by small blocks."""
    rounds = 4
    pool, told = told_in_turn(workload, watch, final, rounds)
    assert set(told) <= {"allocate_small", "allocate_much"}
    assert told.get("allocate_much", 0) in range(BLOCK + HEADER, rounds * (BLOCK + HEADER) + 1, BLOCK + HEADER)
    # A chunk of 720 for each block of 700, and the pages of the arena's top and of what it was before.
    assert told["allocate_small"] <= rounds * 4000 * 720 + 64 * 4096
    assert total(pool) >= rounds * (BLOCK + SMALL)


def test_a_flood_is_sampled(workload, watch, final):
    """Too many calls for one look each, large ones and small ones in turn: each byte has the same chance."""
    rounds = 150
    pool, told = told_in_turn(workload, watch, final, rounds)
    assert set(told) == {"allocate_small", "allocate_much"}
    assert seen(pool) >= 0.7 * total(pool) >= 0.7 * rounds * (BLOCK + SMALL)
    assert abs(told["allocate_much"] / sum(told.values()) - BLOCK / (BLOCK + SMALL)) < 0.2


def test_what_was_not_looked_at_is_not_the_next_ones(workload, watch, final):
    """A burst of small blocks, most of it beyond what is looked at; after a pause another function makes a few."""
    program = workload("askers")
    program.ask("pool one 1")
    watching = watch(program.pid)
    program.ask("run one allocate_small 60")
    time.sleep(1)  # small blocks bear the time of the agent's last look: a pause may be seen as two
    program.ask("run one allocate_few 1")
    pool = pools_of(final(watching, program))["one-*"]
    print(by_function(pool), pool["blame_unseen_bytes"])
    assert by_function(pool).get("allocate_few", 0) <= 10 * MIB
    assert by_function(pool)["allocate_small"] <= 60 * 4000 * 720 + 64 * 4096


@pytest.mark.parametrize("allocator", PRELOADED)
def test_allocators_are_followed_to_their_caller(workload, watch, final, allocator):
    program = workload("askers", env={**os.environ, **PRELOADED[allocator]()})
    program.ask("pool one 1")
    program.ask("pool small 1")
    watching = watch(program.pid)
    program.ask("run one allocate_much 4")
    program.ask("run small allocate_small 8")
    pools = pools_of(final(watching, program))
    for name, function, grown in (("one-*", "allocate_much", 4 * BLOCK), ("small-*", "allocate_small", 8 * SMALL)):
        print(name, pools[name]["blame"], pools[name]["blame_unseen_bytes"])
        assert {(entry["function"], entry["file"]) for entry in pools[name]["blame"]} == {(function, "askers")}
        assert total(pools[name]) >= grown
        assert seen(pools[name]) > 0


def test_without_symbols_the_place_is_told(workload, watch, final, tmp_path):
    build(tmp_path, "-O2", "-g")
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-o", stripped, tmp_path / "askers"], check=True)
    program = workload(str(stripped))
    program.ask("pool one 1")
    watching = watch(program.pid)
    program.ask("run one map_much 3")
    pool = pools_of(final(watching, program))["one-*"]
    entry, = pool["blame"]
    module, offset = entry["function"].split("+")
    assert (module, entry["file"], entry["line"], entry["bytes"] % BLOCK) == ("stripped", "stripped", None, 0)
    line = subprocess.run(["addr2line", "-f", "-e", tmp_path / "askers", offset], check=True, stdout=subprocess.PIPE,
                          text=True).stdout
    assert line.split()[0] == "map_much", line


def test_an_allocator_in_the_program_is_not_guessed_through(workload, watch, final, tmp_path):
    program = workload(build(tmp_path, "-O2", "-static"))
    program.ask("pool one 1")
    watching = watch(program.pid)
    program.ask("run one map_much 2")
    program.ask("run one allocate_much 2")
    pool = pools_of(final(watching, program))["one-*"]
    assert pool["blame"] == []
    assert pool["blame_unseen_bytes"] >= 4 * BLOCK


OWN_THREAD = r"""
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static sem_t done;

__attribute__((noinline)) static void own_much(void)
{
	void *memory = mmap(0, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(memory, 1, 4 << 20);
	__asm__ volatile("" : : "r"(memory) : "memory");
}

extern int PyGILState_Ensure(void) __attribute__((weak));
extern void *PyEval_SaveThread(void) __attribute__((weak));
static int has_state;

static void *own_thread(void *argument)
{
	/* As a thread of a program that embeds Python: known to it, but in no function of it. */
	if (has_state) {
		PyGILState_Ensure();
		PyEval_SaveThread();
		sleep(2);
	}
	for (int i = 0; i < *(int *)argument; i++)
		own_much();
	sem_post(&done);
	for (;;)
		pause();
}

void own(int count)
{
	pthread_t thread;

	sem_init(&done, 0, 0);
	pthread_create(&thread, 0, own_thread, &count);
	pthread_setname_np(thread, "own-0");
	sem_wait(&done);
}

void own_known(int count)
{
	has_state = 1;
	own(count);
}
"""


@pytest.mark.parametrize("function", ["own", "own_known"])
def test_a_thread_without_python_in_a_python_process(workload, watch, final, tmp_path, function):
    """A library's own thread, beside one that runs Python: each is blamed by what it runs."""
    library = tmp_path / "libown.so"
    subprocess.run(["cc", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", "-pthread", "-o", library, "-xc", "-"], check=True,
                   input=OWN_THREAD, text=True)
    program = workload("growers.py")
    program.ask("executor blocks 1")
    watching = watch(program.pid)
    program.ask(f"library {library} {function} 3")
    program.ask("run blocks keep_much 3")
    pools = pools_of(final(watching, program))
    own = pools["own-*"]
    print(own["blame"], own["blame_unseen_bytes"], pools["blocks_*"]["blame"])
    assert {(entry["function"], entry["file"]) for entry in own["blame"]} == {("own_much", "libown.so")}
    # Whether it is seen at all depends on how soon the agent has a CPU: a reading comes after the call.
    assert {entry["function"] for entry in pools["blocks_*"]["blame"]} <= {"keep_much"}
    assert total(pools["blocks_*"]) >= 3 * BLOCK
    assert seen(own) >= BLOCK
