# SPDX-License-Identifier: GPL-2.0-only
"""Workers in greenlets, as of SQLAlchemy's asyncio: frames of their own, which lead to no worker's."""
from harness import run, wait_for
from programs import PROGRAMS, program  # noqa: F401 pylint: disable=unused-import
from test_cpython import figures, pools_of


def test_workers_in_greenlets(program):  # noqa: F811
    running = program("/usr/bin/python3", PROGRAMS / "greenlets.py")

    def settled():
        target = run("dump", "--json", "-p", running.pid).target()
        pools = pools_of(target)
        return target if (pools["gl_*"]["busy"], pools["ThreadPool"]["busy"]) == (2, 1) else None
    target = wait_for(settled, "the others to be idle")
    pools = pools_of(target)
    assert figures(pools["gl_*"]) == ("ThreadPoolExecutor", 6, 6, 2, 0)
    assert figures(pools["ThreadPool"]) == ("ThreadPool", 3, 3, 1, 0)
    assert figures(pools["anyio-worker-*"]) == ("anyio worker threads", 4, 40, 4, 0)
    assert pools["anyio-worker-*"]["borrowed"] == 4
    assert set(pools) == {"main", "gl_*", "ThreadPool", "Pool-helpers", "anyio-worker-*"}
    assert target["runtime_readings"]["unread_threads"] == 0
