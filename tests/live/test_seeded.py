# SPDX-License-Identifier: GPL-2.0-only
"""The rule of ownership over random plans: what each thread of the workload `seeded` truly owns, against what
poolscope shows. POOLSCOPE_SEEDS sets how many plans are compared (make test-seeds: many)."""
import os

import pytest

from harness import REGIONS, assert_adds_up, assert_identity
from seeds import Batch, Off, Seeded, by_tid, distribution, orphan_figures, thread_figures

SEEDS = int(os.environ.get("POOLSCOPE_SEEDS", "200"))
BATCH = 10
OPERATIONS = 40


@pytest.fixture
def report(capsys):
    """Prints past pytest's capture: the distribution is to be seen when all is well, too."""
    def show(title, figures):
        with capsys.disabled():
            print(f"\n{title}: {distribution(figures)}")
    return show


def batches(count, **options):
    for first in range(0, count, BATCH):
        yield Batch([Seeded(seed, **options) for seed in range(first, min(count, first + BATCH))])


def assert_truth_is_one(workload, *truths):
    """Where the workload knows what must be resident, its own page tables agree."""
    for truth in truths:
        assert (truth["wrong"], truth["nobody"]) == (0, 0), (workload, truth)


def assert_figures_are_sound(workload, target, before, after):
    assert_truth_is_one(workload, before, after)
    assert_identity(target)
    assert_adds_up(target)
    assert target["events"]["lost"] == 0, workload
    assert {thread["tid"] for thread in target["thread_list"]} == set(by_tid(before)), workload
    unattributed = target["memory"]["unattributed"]
    assert unattributed["lost"] == 0 and unattributed["image"] == after["image"], (workload, unattributed, after)


def assert_close(figures):
    far = [figure for figure in figures if not figure.is_close()]
    assert len(far) <= len(figures) // 100, far


def test_attached_before_every_thread_is_right(report):
    threads, orphans = [], []
    for batch in batches(SEEDS):
        with batch:
            batch.attach()
            batch.go(OPERATIONS)
            for workload, target, before, after in batch.compare():
                assert_figures_are_sound(workload, target, before, after)
                for figures, found in (threads, thread_figures), (orphans, orphan_figures):
                    for figure in found(target, before, after):
                        figure.what = f"{workload}: {figure.what}"
                        figures.append(figure)
    report("attached before, threads by region", threads)
    report("attached before, orphans by pool", orphans)
    assert len(threads) > 5 * SEEDS
    assert_close(threads)
    assert_close(orphans)
