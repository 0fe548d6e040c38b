# SPDX-License-Identifier: GPL-2.0-only
"""The case that poolscope was made for, from Debian's own packages: each worker of an executor runs OpenCV's
AKAZE once and keeps what it took. MALLOC_ARENA_MAX gives each thread its arena, as a host with 40 CPUs does."""
import os
import subprocess
import time

from harness import REGIONS, assert_adds_up, assert_identity, run

MANY_CPUS = dict(os.environ, MALLOC_ARENA_MAX="320")
WORKERS = 12
KEPT = 30 << 20  # a worker keeps about 63 MiB; half of it is proof enough


def pool_of(target, threads):
    """The pool that holds most must be the executor's. (Not: that grew most. A job may have taken its memory
    already when the first reading of the page tables, from which growth counts, is done.)"""
    pool = max(target["pools"], key=lambda p: p["memory"]["resident_bytes"] or 0)
    assert pool["threads"] >= threads, [(p["name"], p["threads"], p["memory"]["resident_bytes"]) for p in target["pools"]]
    return pool


def assert_growth_is_attributed(target, before):
    memory = target["memory"]
    grown = memory["rss_anon_bytes"] - before
    assert memory["attributed_resident_bytes"] >= 0.9 * grown, memory
    assert_identity(target)
    assert_adds_up(target)


def assert_late_attach_tells_the_same(late, early):
    """Of a service that has grown and stands still: thread by thread and region by region."""
    told = {thread["tid"]: thread["memory"] for thread in early["thread_list"]}
    right = wrong = 0
    for thread in late["thread_list"]:
        for region in REGIONS:
            seen, true = (memory[region]["resident_bytes"] for memory in (thread["memory"], told[thread["tid"]]))
            right += min(seen, true)
            wrong += max(seen - true, 0)
    true = early["memory"]["attributed_resident_bytes"]
    print(f"attached late: {right >> 10}K of {true >> 10}K charged right, {wrong >> 10}K wrong")
    assert right >= 0.95 * true and wrong <= 0.01 * true
    assert_identity(late)


def run_jobs(program, watch, final, jobs, *options):
    before = program.ask("truth")["rss_anon"]
    watching = watch(program.pid, *options)
    time.sleep(2)  # growth counts from the first reading: none of it may happen before
    for count in jobs:
        program.ask(f"run {count}")
    return before, final(watching, program)


def test_bounded_executor_fills(workload, watch, final):
    program = workload("akaze_asyncio.py", "--workers", WORKERS, "--eager", env=MANY_CPUS)
    before, target = run_jobs(program, watch, final, (1, WORKERS, WORKERS))
    assert_growth_is_attributed(target, before)
    pool = pool_of(target, WORKERS)
    assert pool["memory"]["resident_bytes"] >= WORKERS * KEPT
    assert pool["threads"] <= WORKERS + 1
    assert_late_attach_tells_the_same(run("dump", "--json", "-p", program.pid).target(), target)


def test_default_executor(workload, watch, final):
    program = workload("akaze_asyncio.py", env=MANY_CPUS)
    before, target = run_jobs(program, watch, final, (8,))
    assert_growth_is_attributed(target, before)
    assert pool_of(target, 2)["memory"]["resident_bytes"] >= 2 * KEPT


def test_true_leak_of_one_worker(workload, watch, final):
    program = workload("akaze_asyncio.py", "--workers", 1, "--leak", env=MANY_CPUS)
    program.ask("run 1")
    before, target = run_jobs(program, watch, final, (40,))
    assert target["memory"]["rss_anon_bytes"] - before >= 30 << 20, "the workload does not leak"
    grown = sum(pool["memory"]["grown_bytes"] for pool in target["pools"])
    assert grown >= 0.9 * (target["memory"]["rss_anon_bytes"] - before)
    assert_identity(target)


def test_fastapi_service_under_load(workload, watch, final):
    program = workload("akaze_fastapi.py", env=MANY_CPUS)
    url = f"http://127.0.0.1:{program.greeting['port']}"
    subprocess.run(["curl", "-fsS", f"{url}/async"], check=True, stdout=subprocess.DEVNULL)
    with open(f"/proc/{program.pid}/status", encoding="ascii") as status:
        before = next(int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon"))
    watching = watch(program.pid, "--limit", "*:threads=4")
    subprocess.run(["wrk", "-t1", f"-c{WORKERS}", "-d8", "--timeout", "30s", f"{url}/sync"], check=True,
                   stdout=subprocess.DEVNULL)
    target = final(watching, program)
    assert_growth_is_attributed(target, before)
    pool = pool_of(target, WORKERS)
    limit = next(limit for limit in pool["limits"] if limit["limit"] == "threads")
    assert limit["state"] == "over"
