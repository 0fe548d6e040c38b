# SPDX-License-Identifier: GPL-2.0-only
"""Ways of living in an address space that are easily missed: workers of io_uring, other processes in the same memory,
memory that no probe sees being mapped. (Stacks taken over, addresses given away: test_seeded.py.)"""
import pytest

from exporter import Exporter
from fixtures import factory
from harness import assert_adds_up, assert_identity, regions_of, wait_for
from seeds import Batch, Seeded, by_tid, thread_figures

exporter = factory(Exporter)
K, M = 1 << 10, 1 << 20


def test_workers_of_io_uring_take_no_stack_from_their_creator(puppet, watch, final):
    workload = puppet()
    workload.script("main spawn a")
    watching = watch(workload.pid)
    workload.script("a stack 512K\na uring\na mmap x 1M\na touch x")
    truth = workload.ask("truth")
    target = final(watching, workload)
    listed = {thread["tid"]: thread for thread in target["thread_list"]}
    creator = listed[truth["threads"]["a"]["tid"]]
    workers = [thread for thread in target["thread_list"] if thread["name"].startswith("iou-wrk")]
    assert creator["memory"]["stack"]["resident_bytes"] == truth["threads"]["a"]["stack"]
    assert creator["memory"]["mmap"]["resident_bytes"] == 1 * M
    assert len(workers) == 1 and not any(regions_of(workers[0]["memory"]).values()), workers
    assert workers[0]["pool"] != creator["pool"]
    assert_identity(target)
    assert_adds_up(target)


@pytest.mark.parametrize("ring", [4 * M, 4 * K], ids=["nothing lost", "losses"])
def test_processes_in_the_same_memory_that_were_there_before(ring):
    with Batch([Seeded(seed, "guest,map,partial,grow") for seed in range(1, 7)], "--ring", ring) as batch:
        batch.go(30)
        batch.attach()
        batch.go(30)
        figures = 0
        for workload, target, before, after in batch.compare():
            guests = {tid for tid, thread in by_tid(before).items() if thread["guest"]}
            assert guests, workload
            assert {thread["tid"] for thread in target["thread_list"]} == set(by_tid(before)), workload
            assert_identity(target)
            assert_adds_up(target)
            for figure in thread_figures(target, before, after):
                # with losses an address may have a new owner that nobody told of
                assert figure.shown <= figure.high or ring < 4 * M, (workload, figure)
            figures += sum(thread["memory"]["mmap"]["resident_bytes"] for thread in target["thread_list"]
                           if thread["tid"] in guests)
        assert figures > 0 or ring < 4 * M, "no guest was charged with anything"


def test_what_no_probe_sees_is_found_by_its_figure(puppet, exporter):
    workload = puppet()
    workload.script("main spawn a")
    serving = exporter("-p", workload.pid)
    wait_for(lambda: serving.value("poolscope_process_threads", process="puppet"), "the target")
    workload.script("a mmap x 8M\na touch x\na shmat x 1M 4M\na mmap y 1M\na touch y")
    wait_for(lambda: serving.value("poolscope_reseeds_total") > 0, "a reseed")
    serving.wait_value(0, "poolscope_process_memory_unexplained_bytes", process="puppet")
    held = [serving.value("poolscope_pool_memory_resident_bytes", process="puppet", pool=pool, region="mmap")
            for _, *labels in serving.series() for name, pool in labels if name == "pool"]
    assert max(filter(None, held)) == 5 * M, held
