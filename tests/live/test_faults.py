# SPDX-License-Identifier: GPL-2.0-only
"""Page faults by thread and pool, as the kernel itself counts them for each task: no probe, no cost for the target."""
from time import sleep

from exporter import Exporter
from fixtures import factory
from harness import wait_for

exporter = factory(Exporter)
ROUNDS, PAGES = 20, 1024
# s. Sooner than 50 ms after the first sample there is no rate, and a fast machine is done in less.
RATED = 0.2
NAMES = f"a name {b'churn-1'.hex()}\nb name {b'quiet-1'.hex()}\na mmap x 4M\na madvise x 15\na touch x"


def trimming(workload):
    """As malloc's trim does it: the pages are given back, and taken again."""
    workload.script("a madvise x 4\na touch x\n" * ROUNDS)


def test_a_thread_that_trims_shows_it_and_others_do_not(puppet, watch, final):
    workload = puppet()
    workload.script(f"main spawn a\nmain spawn b\n{NAMES}")
    watching = watch(workload.pid)
    trimming(workload)
    sleep(RATED)
    target = final(watching, workload)
    pools = {pool["name"]: pool for pool in target["pools"]}
    # Some rounds may have come before the first sample, from which on is counted.
    assert ROUNDS // 2 * PAGES <= pools["churn-*"]["page_faults"] <= (ROUNDS + 2) * PAGES
    assert pools["quiet-*"]["page_faults"] <= 64
    assert all(pool["page_faults_per_second"] is not None for pool in target["pools"])


def test_the_counter_is_exported_on_demand(puppet, exporter):
    workload = puppet()
    workload.script(f"main spawn a\nmain spawn b\n{NAMES}")
    with_faults, without = exporter("-p", workload.pid, "--faults"), exporter("-p", workload.pid)
    name = "poolscope_pool_page_faults_total"

    def counted(pool):
        return next((figure for key, figure in with_faults.series().items()
                     if key[0] == name and ("pool", pool) in key), None)
    wait_for(lambda: counted("churn-*") is not None, "the pool to be exported")
    before = counted("churn-*")
    trimming(workload)
    wait_for(lambda: counted("churn-*") - before >= ROUNDS * PAGES, "the faults to be counted")
    assert counted("churn-*") - before <= (ROUNDS + 1) * PAGES
    assert counted("quiet-*") <= 64
    assert not any(key[0] == name for key in without.series())


def test_threads_that_have_ended_leave_their_faults(puppet, watch, final):
    """Short lives, each between two refreshes, that no sample sees."""
    workload = puppet()
    watching = watch(workload.pid, "--interval", "5")
    names = [f"t{i}" for i in range(ROUNDS)]
    workload.script("\n".join(f"main spawn {name}\n{name} name {f'brief-{name}'.encode().hex()}\n{name} mmap x 4M\n"
                              f"{name} touch x\n{name} exit" for name in names))
    pools = {pool["name"]: pool for pool in final(watching, workload)["pools"]}
    assert ROUNDS * PAGES <= pools["brief-t*"]["page_faults"] <= ROUNDS * (PAGES + 64)
