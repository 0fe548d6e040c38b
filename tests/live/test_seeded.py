# SPDX-License-Identifier: GPL-2.0-only
"""The rule of ownership over random plans: what each thread of the workload `seeded` truly owns, against what
poolscope shows. POOLSCOPE_SEEDS sets how many plans are compared: 200 in CI, 2,000 by make test-seeds; in a plain `make test`
50, so that it ends within ten minutes."""
import os

import pytest

from allocators import PRELOADED
from harness import REGIONS, SANITIZED, assert_adds_up, assert_identity
from seeds import (Batch, Off, Seeded, all_orphans_figure, by_tid, distribution, orphan_figures, thread_figures,
                   without_malloc)

SEEDS = int(os.environ.get("POOLSCOPE_SEEDS", "200" if os.environ.get("CI") == "true" else "50"))
BATCH = 10
OPERATIONS = 40


@pytest.fixture
def report(tell):
    def show(title, figures):
        tell("\n  ".join(map(str, [f"{title}: {distribution(figures)}", *(f for f in figures if not f.is_close())])))
    return show


def batches(count, **options):
    for first in range(0, count, BATCH):
        yield Batch([Seeded(seed, **options) for seed in range(first, min(count, first + BATCH))])


def assert_truth_is_one(workload, *truths, pages=0):
    """Where the workload knows what must be resident, its own page tables agree, but for so many pages."""
    for truth in truths:
        assert truth["wrong"] <= pages and truth["nobody"] == 0, (workload, truth)


def assert_explained(workload, target, before, after):
    assert target["memory"]["unexplained_bytes"] == 0, (workload, target["memory"], before["rss_anon"], after["rss_anon"])
    assert_identity(target)


def assert_figures_are_sound(workload, target, before, after):
    assert_truth_is_one(workload, before, after)
    assert_explained(workload, target, before, after)
    assert_adds_up(target)
    assert target["events"]["lost"] == 0, workload
    assert {thread["tid"] for thread in target["thread_list"]} == set(by_tid(before)), workload
    unattributed = target["memory"]["unattributed"]
    assert unattributed["lost"] == 0 and unattributed["image"] == after["image"], (workload, unattributed, after)


def assert_close(figures, percent=1):
    far = [figure for figure in figures if not figure.is_close()]
    assert len(far) * 100 <= len(figures) * percent, far


def test_attached_before_every_thread_is_right(report):
    threads, orphans, all_orphans = [], [], []
    for number, batch in enumerate(batches(SEEDS)):
        with batch:
            batch.attach(SANITIZED if number % 7 == 6 else None)
            batch.go(OPERATIONS)
            for workload, target, before, after in batch.compare():
                assert_figures_are_sound(workload, target, before, after)
                for figures, found in ((threads, thread_figures), (orphans, orphan_figures),
                                       (all_orphans, all_orphans_figure)):
                    for figure in found(target, before, after):
                        figure.what = f"{workload}: {figure.what}"
                        figures.append(figure)
    report("attached before, threads by region", threads)
    report("attached before, orphans by pool", orphans)
    report("attached before, orphans of all pools", all_orphans)
    assert len(threads) > 5 * SEEDS
    assert_close(threads)
    assert_close(all_orphans)
    # Who used an arena last is not known of a thread that came and went between two readings.
    assert_close(orphans, percent=5)


def pool_figures(target, before, after, regions):
    """Pool by pool; every one of them together as "all" where arenas are shared between pools."""
    sums, shared = {}, {}
    for truth in before, after:
        users = {}
        for thread in truth["threads"]:
            users.setdefault(thread["arena_at"], set()).add(thread["pool"])
        for thread in truth["threads"]:
            pool = sums.setdefault(thread["pool"], {}).setdefault(id(truth), dict.fromkeys(REGIONS, 0))
            for region in REGIONS:
                pool[region] += thread[region]
        shared[id(truth)] = any(len(pools - {"main"}) > 1 for arena, pools in users.items() if arena)
    shown = {pool["name"].removesuffix("-*"): pool["memory"] for pool in target["pools"]}
    for region in regions:
        for name, truths in sums.items():
            living = shown[name][region]["resident_bytes"]
            if not any(shared.values()) or region == "stack":
                yield Off(f"{name} {region}", living, *(figures[region] for figures in truths.values()))
        total = sum(memory[region]["resident_bytes"] for memory in shown.values())
        yield Off(f"all {region}", total, *(sum(f[key][region] for f in sums.values()) for key in shared))


def test_attached_late_every_pool_is_right(report):
    """Attached when all has grown. Within 5 % of RssAnon: stacks, arenas, heap."""
    figures, far = [], []
    groups = ("birth,stack,map", "malloc", "malloc,birth", "malloc,realloc,birth", "malloc,stack,map,birth")
    for group in groups:
        for batch in batches(SEEDS // 20, primitives=group):
            with batch:
                batch.go(OPERATIONS)
                batch.attach()
                for workload, target, before, after in batch.compare():
                    assert_truth_is_one(workload, before, after)
                    assert_identity(target)
                    assert_adds_up(target)
                    for figure in pool_figures(target, before, after, ("stack", "arena", "heap")):
                        figure.what = f"{workload}: {figure.what}"
                        figures.append(figure)
                        if figure.bytes > after["rss_anon"] * 5 // 100:
                            far.append(figure)
    report("attached late, pools by region", figures)
    assert not far


def test_attached_half_way_nothing_is_charged_wrong(report):
    """Attached while everything moves: what was there before may be nobody's, but nobody has more than his own. (Of
    arenas and the heap, what was there before is shared: rule 3.)"""
    figures = []
    for batch in batches(SEEDS // 5):
        with batch:
            batch.go(4 * OPERATIONS, wait=False)
            batch.attach()
            batch.stand_still()
            for workload, target, before, after in batch.compare():
                # Evidence is read from pages that are there; one that is discarded at that moment comes back by it.
                assert_truth_is_one(workload, before, after, pages=2)
                assert_explained(workload, target, before, after)
                assert_adds_up(target)
                listed = {thread["tid"] for thread in target["thread_list"]}
                assert listed == set(by_tid(before)), (workload, target["events"])
                for figure in thread_figures(target, before, after, ("stack", "mmap")):
                    figure.what = f"{workload}: {figure.what}"
                    figure.low = 0
                    figures.append(figure)
    report("attached half-way, threads by region, beyond their own", figures)
    assert_close(figures)


def test_forked_children_inherit(report):
    figures = []
    for batch in batches(SEEDS // 20, primitives="fork,map,birth,malloc,image"):
        with batch:
            batch.options = ("-f",)
            batch.attach()
            batch.go(OPERATIONS)
            for workload, target, before, after in batch.compare():
                assert_figures_are_sound(workload, target, before, after)
                figures.extend(thread_figures(target, before, after))
                for child in before["children"]:
                    found = batch.targets[child["pid"]]
                    unattributed = found["memory"]["unattributed"]
                    figures.append(Off(f"{workload}: child's own", found["memory"]["attributed_resident_bytes"],
                                       child["own"]))
                    figures.append(Off(f"{workload}: inherited", unattributed["inherited"], child["inherited"]))
                    figures.append(Off(f"{workload}: child's image", unattributed["image"], child["image"]))
    report("forked children, and their parents", figures)
    assert_close(figures)


@pytest.mark.parametrize("name", PRELOADED)
def test_other_allocators(report, name):
    """Direct calls of threads that have another malloc. What that maps for itself (at births and ends of threads) is in
    nobody's book, but little: less than what a figure may be off."""
    figures, orphans, first = [], [], 1000 * list(PRELOADED).index(name)
    environment = os.environ | PRELOADED[name]()
    seeds = range(first, first + max(SEEDS // 40, 1))
    with Batch([Seeded(seed, without_malloc(seed), arenas=0, env=environment) for seed in seeds]) as batch:
        batch.attach()
        batch.go(OPERATIONS)
        for workload, target, before, after in batch.compare():
            assert_figures_are_sound(workload, target, before, after)
            for figure in thread_figures(target, before, after, ("stack", "arena", "mmap")):
                figure.what = f"{workload}: {figure.what}"
                figures.append(figure)
            for figure in orphan_figures(target, before, after):
                figure.what = f"{workload}: {figure.what}"
                orphans.append(figure)
    report(f"{name}, threads by region", figures)
    assert len(figures) > len(seeds)
    assert_close(figures)
    assert all(figure.shown >= figure.low for figure in orphans), orphans
