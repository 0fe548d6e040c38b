# SPDX-License-Identifier: GPL-2.0-only
"""Workers whose tasks run in greenlets: of a ThreadPoolExecutor, a ThreadPool and anyio."""
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import anyio
import greenlet

HERE = threading.Semaphore(0)  # a task has begun
NEVER = threading.Event()


def wait():
    HERE.release()
    NEVER.wait()


def in_greenlet():
    greenlet.greenlet(wait).switch()


def park():
    """Its greenlet is not over, and never gone on with."""
    parked = greenlet.greenlet(lambda: greenlet.getcurrent().parent.switch())
    parked.switch()
    PARKED.append(parked)


def meet(barrier, function):
    barrier.wait()
    function()


PARKED = []
EXECUTOR, POOL = ThreadPoolExecutor(6, thread_name_prefix="gl"), ThreadPool(3)


async def main():
    barrier = threading.Barrier(6)
    for done in [EXECUTOR.submit(meet, barrier, park) for _ in range(6)]:
        done.result()
    EXECUTOR.submit(in_greenlet)
    EXECUTOR.submit(in_greenlet)
    POOL.apply_async(in_greenlet)
    async with anyio.create_task_group() as tasks:
        for task in 3 * [in_greenlet] + [wait]:
            tasks.start_soon(anyio.to_thread.run_sync, task)
        while len(PARKED) < 6 or HERE._value < 7:  # pylint: disable=protected-access
            await anyio.sleep(0.01)
        print(json.dumps({"ready": os.getpid()}), flush=True)

anyio.run(main)
