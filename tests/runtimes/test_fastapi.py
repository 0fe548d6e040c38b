# SPDX-License-Identifier: GPL-2.0-only
"""A FastAPI service under load: anyio's worker threads as one pool, with the limiter's tokens as capacity, what
waits for one, who is busy; with asyncio's loop and with uvloop."""
import signal
import threading
import urllib.request

import pytest

from exporter import Exporter
from fixtures import factory
from harness import run
from test_cpython import default_executors, dump_until, figures, pools_of, settled

exporter = factory(Exporter)
POOL = "anyio-worker-*"


class Requests:
    """Clients that wait for their answers until the service lets them go."""

    def __init__(self, url, count):
        self.threads = [threading.Thread(target=urllib.request.urlopen, args=(url,), daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_sync_endpoint(workload, exporter, loop):
    program = workload("blocking_fastapi.py", "--loop", loop, "--tokens", "6")
    url = f"http://127.0.0.1:{program.greeting['port']}"
    serving = exporter("-p", program.pid, "--interval", "0.2")
    labels = {"process": "python3", "pool": POOL}
    requests = Requests(url + "/sync", 15)
    for name, figure in (("threads", 6), ("threads_busy", 6), ("threads_capacity", 6)):
        serving.wait_value(figure, f"poolscope_pool_{name}", **labels)
    serving.wait_value(9, "poolscope_pool_queued_tasks", **labels)
    target = run("dump", "--json", "-p", program.pid).target()
    assert figures(pools_of(target)[POOL]) == ("anyio worker threads", 6, 6, 6, 9)
    assert pools_of(target)[POOL]["borrowed"] == 6
    assert target["runtime"].startswith("cpython 3.")
    with urllib.request.urlopen(url + "/open") as answer:
        assert answer.status == 200
    requests.join()
    serving.wait_value(0, "poolscope_pool_queued_tasks", **labels)
    serving.wait_value(0, "poolscope_pool_threads_busy", **labels)
    pool = pools_of(run("dump", "--json", "-p", program.pid).target())[POOL]
    assert pool["capacity"] == 6 and pool["busy"] == pool["borrowed"] == 0 and pool["threads"] <= 6


def test_default_executors_of_uvloop(workload):
    """Its loop is an object of C, which has no attribute of that name."""
    default_executors(workload("executors.py"), "uvloop")


def test_async_endpoint(workload):
    program = workload("blocking_fastapi.py", "--loop", "asyncio", "--tokens", "6")
    url = f"http://127.0.0.1:{program.greeting['port']}"
    for _ in range(20):
        with urllib.request.urlopen(url + "/async") as answer:
            assert answer.status == 200
    assert set(pools_of(run("dump", "--json", "-p", program.pid).target())) == {"main"}


def test_functions_of_c_as_tasks(workload):
    """Nothing of Python's stands above the worker's own function then."""
    program = workload("blocking_anyio.py")
    program.ask("run first 4 40")
    target = dump_until(program, settled(POOL, 4, 0), "the tasks to begin")
    assert figures(pools_of(target)[POOL]) == ("anyio worker threads", 4, 40, 4, 0)
    assert {t["doing"].split(":")[0] for t in target["thread_list"] if t["busy"]} == {"WorkerThread.run (_asyncio.py"}
    # The thread that anyio runs the loop in is none of its workers.
    assert pools_of(target)["first"]["kind"] == "threading.Thread"
    program.ask("unblock first 3")
    dump_until(program, settled(POOL, 1, 0), "all but one to be idle")


def test_a_limiter_with_slots(workload):
    """Its attributes stand in no dict."""
    program = workload("blocking_anyio.py", "slots")
    program.ask("run first 9 6")
    target = dump_until(program, settled(POOL, 6, 3), "the tasks to begin")
    assert figures(pools_of(target)[POOL]) == ("anyio worker threads", 6, 6, 6, 3)
    assert pools_of(target)[POOL]["borrowed"] == 6


def test_loops_one_after_another(workload, watch):
    """The second has its own limiter, wherever its objects lie, and the pool of the first, which had ended when it came."""
    program = workload("blocking_anyio.py")
    program.ask("run first 3 40")
    dump_until(program, settled(POOL, 3, 0), "the tasks to begin")
    watching = watch(program.pid, "--interval", "60s")  # no refresh between the first and the last
    program.ask("unblock first 3")
    program.ask("join first")
    program.ask("run second 9 6")
    dump_until(program, settled(POOL, 6, 3), "the tasks of the second to begin")
    watching.process.send_signal(signal.SIGINT)
    pools = [figures(pool) for pool in watching.wait().target()["pools"] if pool["kind"] == "anyio worker threads"]
    assert pools == [("anyio worker threads", 6, 6, 6, 3)]
