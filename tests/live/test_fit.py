# SPDX-License-Identifier: GPL-2.0-only
"""A pool that was sized by the host's CPUs inside a cgroup with a smaller CPU quota: told as such, with the figure that
would fit; Debian's own interpreter and its standard library."""
import os

import pytest

from cgroups import confined
from harness import run
from test_cpython import pools_of, started

CPUS = os.cpu_count()
QUOTA = CPUS / 2
FITS = -(-CPUS // 2)


@pytest.fixture(name="program")
def make_program(workload):
    """Half of the host's CPUs, one of which is allowed at a time."""
    with confined(workload("executors.py"), None, ("cpu.cfs_quota_us", "cpu.max", int(QUOTA * 100000))) as program:
        yield program


def fill(program):
    """asyncio's default executor, one that was given the same size less one, and a ThreadPool of one a CPU."""
    program.ask("loop c")
    program.ask(f"executor a {min(32, CPUS + 4) - 1} chosen")
    program.ask(f"pool p {CPUS}")
    for name in ("c", "a", "p"):
        program.ask(f"submit {name} 1")
        started(program, name, 1)


def test_default_executor_under_a_quota(program):
    fill(program)
    target = run("dump", "--json", "-p", program.pid).target()
    assert target["cpus"] == {"allowed": len(os.sched_getaffinity(program.pid)), "online": CPUS}
    assert target["cgroup"]["cpu_quota_cores"] == QUOTA
    pools = pools_of(target)
    assert pools["chosen_*"]["capacity"] == min(32, CPUS + 4) - 1 and pools["chosen_*"]["cpu_fit"] is None
    size, fits = min(32, CPUS + 4), min(32, FITS + 4)
    formula = f"min(32, {CPUS} CPUs + 4)"
    says = f"asyncio_*: {size} workers = {formula}, but the cgroup's CPU quota is {QUOTA:.3g}: {fits} would fit " \
           f"(max_workers={fits})"
    words = " ".join(run("dump", "-p", program.pid).out.split())
    if FITS == CPUS or fits == size:  # one CPU, or more than the bound of 32 cares for
        assert pools["asyncio_*"]["cpu_fit"] is None and "would fit" not in words
        return
    assert pools["asyncio_*"]["cpu_fit"] == {"size": size, "unit": "workers", "formula": formula, "fits": fits,
                                             "setting": f"max_workers={fits}"}
    assert pools["ThreadPool"]["cpu_fit"]["setting"] == f"processes={FITS}"
    assert says in words
    # Told, never flagged.
    assert not pools["asyncio_*"]["limits"] or all(limit["state"] == "ok" for limit in pools["asyncio_*"]["limits"])


def test_without_a_quota_nothing_is_said(workload):
    program = workload("executors.py")
    fill(program)
    done = run("dump", "--json", "-p", program.pid)
    assert all(pool["cpu_fit"] is None for pool in done.target()["pools"])
    assert pools_of(done.target())["asyncio_*"]["capacity"] == min(32, CPUS + 4)
    assert "would fit" not in run("dump", "-p", program.pid).out


def test_affinity_is_what_the_target_sees(workload):
    """nproc inside: one of them, while the host has more."""
    program = workload("executors.py")
    os.sched_setaffinity(program.pid, {min(os.sched_getaffinity(program.pid))})
    assert run("dump", "--json", "-p", program.pid).target()["cpus"] == {"allowed": 1, "online": CPUS}
