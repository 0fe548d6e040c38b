# SPDX-License-Identifier: GPL-2.0-only
"""Executors of Python's own library under command: each line on stdin is answered with a line of JSON. Runs with
every Python from 3.7 on, without packages."""
import asyncio
import ctypes
import importlib
import json
import multiprocessing
import multiprocessing.pool
import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

GATES = {}  # name -> Event: tasks block until it is set
MADE = {}   # name -> executor, pool or loop
STARTED = {}  # name -> how many tasks have begun
STOP = threading.Event()
LOCK = threading.Lock()


def blocked_task(name):
    with LOCK:
        STARTED[name] = STARTED.get(name, 0) + 1
    GATES[name].wait()  # the line of a busy worker
    return threading.get_native_id() if hasattr(threading, "get_native_id") else 0


def begins_here(frame):
    """The word by which the frame leads to its caller; without it its stack begins there, as a greenlet's does."""
    if sys.version_info < (3, 11):
        return ctypes.c_uint64.from_address(id(frame) + 24)  # f_back
    inner = ctypes.c_uint64.from_address(id(frame) + 24).value  # f_frame
    return ctypes.c_uint64.from_address(inner + (48 if sys.version_info < (3, 12) else 8))


def apart(name):
    caller = begins_here(sys._getframe())  # pylint: disable=protected-access
    kept, caller.value = caller.value, 0
    blocked_task(name)
    caller.value = kept


def spin(name):
    with LOCK:
        STARTED[name] = STARTED.get(name, 0) + 1
    while not GATES[name].flag: pass  # SPIN: one line, so that the line of the innermost function is known


class Flag:
    flag = False

    def set(self):
        self.flag = True


def name_own_thread(name):
    """The kernel's name of the thread, by which a test knows whose it is."""
    ctypes.CDLL(None).prctl(15, ("=" + name).encode(), 0, 0, 0)


def end_with_parent():
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL


def short_task(depth=6):
    return depth and short_task(depth - 1)


def consume(name):
    blocked_task(name)


class Watcher(threading.Thread):
    def run(self):
        blocked_task("watcher")


def in_loop(name, ready, module):
    loop = importlib.import_module(module).new_event_loop()
    MADE[name] = loop
    loop.call_soon(ready.set)
    loop.run_forever()


def submit(name, count, task=blocked_task):
    GATES[name] = threading.Event()
    STARTED[name] = 0
    made = MADE[name]
    if isinstance(made, ThreadPoolExecutor):
        return [made.submit(task, name) for _ in range(count)]
    if isinstance(made, multiprocessing.pool.ThreadPool):
        return [made.apply_async(task, (name,)) for _ in range(count)]

    async def run():
        await asyncio.gather(*[made.run_in_executor(None, blocked_task, name) for _ in range(count)])
    return [asyncio.run_coroutine_threadsafe(run(), made)]


def recurse(depth, name):
    return recurse(depth - 1, name) if depth else blocked_task(name)


def pipe_of(name):
    MADE.setdefault((name, "pipe"), os.pipe())
    return MADE[name, "pipe"]


def block(name, count):
    """A function of C as the task itself."""
    made = MADE[name]
    for _ in range(count):
        if isinstance(made, ThreadPoolExecutor):
            made.submit(os.read, pipe_of(name)[0], 1)
        else:
            made.apply_async(os.read, (pipe_of(name)[0], 1))


def begin(name, kind, workers):
    """A function of C as the initializer."""
    if kind == "pool":
        MADE[name] = multiprocessing.pool.ThreadPool(workers, os.read, (pipe_of(name)[0], 1))
        return
    MADE[name] = ThreadPoolExecutor(workers, name, os.read, (pipe_of(name)[0], 1))
    for _ in range(workers):
        MADE[name].submit(int)


def replace(old, new, workers, prefix):
    """An executor whose queue has the address of another's that is no more: here it is the same object, so that it has
    it every time."""
    queue = MADE[old]._work_queue  # pylint: disable=protected-access
    MADE.pop(old).shutdown()
    while not queue.empty():
        queue.get()
    MADE[new] = ThreadPoolExecutor(workers, prefix)
    MADE[new]._work_queue = queue  # pylint: disable=protected-access


def drop(name, workers, tasks):
    """An executor that nobody holds, at work."""
    GATES[name], STARTED[name] = threading.Event(), 0
    dropped = ThreadPoolExecutor(workers, name)
    for _ in range(tasks):
        dropped.submit(blocked_task, name)


def turns(name, workers, seconds):
    """One executor after the other, all of one name."""
    while True:
        with ThreadPoolExecutor(workers, name) as made:
            for _ in range(workers):
                made.submit(time.sleep, seconds)


def short_named():
    name_own_thread("brief")
    short_task(60)


def churn():
    """Executors, pools and threads that come and go, and tasks that are over at once, until STOP."""
    while not STOP.is_set():
        with ThreadPoolExecutor(3, "churn", name_own_thread, ("churn",)) as made:
            for _ in range(20):
                made.submit(short_task)
        thread = threading.Thread(target=short_named, name="brief-7")
        thread.start()
        thread.join()
        with multiprocessing.pool.ThreadPool(2, name_own_thread, ("ThreadPool",)) as pool:
            pool.map(short_task, range(20))
        MADE["steady"].submit(short_task)


def main():
    print(json.dumps({"ready": os.getpid(), "main": threading.get_ident()}), flush=True)
    for line in sys.stdin:
        word, *rest = line.split()
        answer = {}
        if word == "executor":  # NAME WORKERS [PREFIX]
            MADE[rest[0]] = ThreadPoolExecutor(int(rest[1]), **({"thread_name_prefix": rest[2]} if rest[2:] else {}))
        elif word == "pool":    # NAME WORKERS
            MADE[rest[0]] = multiprocessing.pool.ThreadPool(int(rest[1]))
        elif word == "processes":  # NAME WORKERS TASKS: children that sleep
            MADE[rest[0]] = ProcessPoolExecutor(int(rest[1]), multiprocessing.get_context("fork"), end_with_parent)
            MADE[rest[0], "tasks"] = [MADE[rest[0]].submit(time.sleep, 3600) for _ in range(int(rest[2]))]
        elif word == "loop":    # NAME [MODULE]
            ready = threading.Event()
            threading.Thread(target=in_loop, args=(rest[0], ready, (rest[1:] or ["asyncio"])[0]), daemon=True).start()
            ready.wait()
        elif word == "default":  # LOOP EXECUTOR
            MADE[rest[0]].set_default_executor(MADE[rest[1]])
        elif word == "threads":  # NAME COUNT [THREAD NAME [WHAT STANDS BEFORE ITS NUMBER]]
            GATES[rest[0]], STARTED[rest[0]] = threading.Event(), 0
            for i in range(int(rest[1])):
                threading.Thread(target=consume, args=(rest[0],), daemon=True,
                                 name=f"{rest[2]}{'-' if not rest[3:] else rest[3]}{i}" if rest[2:] else None).start()
        elif word == "given":   # threads that were given functions of C, or of threading.py
            held = threading.Lock()
            held.acquire()
            for target, *given in ((time.sleep, 3600), (time.sleep, 3600), (held.acquire,), (threading.Event().wait,)):
                threading.Thread(target=target, args=given, daemon=True).start()
        elif word == "watcher":
            STARTED["watcher"] = 0
            GATES["watcher"] = threading.Event()
            Watcher(daemon=True).start()
        elif word == "thread_apart":  # NAME [THREAD NAME]
            GATES[rest[0]], STARTED[rest[0]] = threading.Event(), 0
            threading.Thread(target=apart, args=(rest[0],), daemon=True, name=(rest[1:] or [None])[0]).start()
        elif word == "submit":  # NAME COUNT: tasks that block until `open`
            MADE[rest[0], "results"] = submit(rest[0], int(rest[1]))
        elif word == "apart":   # NAME COUNT: likewise, each on a stack of its own
            MADE[rest[0], "results"] = submit(rest[0], int(rest[1]), apart)
        elif word == "spin":    # NAME COUNT: tasks on a CPU until `open`
            GATES[rest[0]], STARTED[rest[0]] = Flag(), 0
            MADE[rest[0], "results"] = [MADE[rest[0]].submit(spin, rest[0]) for _ in range(int(rest[1]))]
        elif word == "sleep":   # NAME: a task whose code is all of one line
            one_line = lambda: time.sleep(3600)
            answer["line"] = one_line.__code__.co_firstlineno
            MADE[rest[0]].submit(one_line)
        elif word == "hold":    # NAME COUNT KIB: tasks whose results stay when their worker has gone
            tasks = [MADE[rest[0]].submit(lambda: b"x" * (int(rest[2]) << 10)) for _ in range(int(rest[1]))]
            MADE["held", rest[0]] = [task.result(60) for task in tasks]
        elif word == "block":   # NAME COUNT: tasks that are a function of C, until `unblock`
            block(rest[0], int(rest[1]))
        elif word == "begin":   # NAME KIND WORKERS: its initializer is a function of C, until `unblock`
            begin(rest[0], rest[1], int(rest[2]))
        elif word == "unblock":  # NAME COUNT
            os.write(pipe_of(rest[0])[1], bytes(int(rest[1])))
        elif word == "recurse":  # NAME DEPTH: a task so deep that blocks until `open`
            sys.setrecursionlimit(int(rest[1]) + 1000)
            GATES[rest[0]], STARTED[rest[0]] = threading.Event(), 0
            MADE[rest[0], "results"] = [MADE[rest[0]].submit(recurse, int(rest[1]), rest[0])]
        elif word == "replace":  # OLD NEW WORKERS PREFIX
            replace(rest[0], rest[1], int(rest[2]), rest[3])
        elif word == "drop":    # NAME WORKERS TASKS, which block until `open`
            drop(rest[0], int(rest[1]), int(rest[2]))
        elif word == "started":
            answer["count"] = STARTED.get(rest[0], 0)
        elif word == "open":
            GATES[rest[0]].set()
            for result in MADE.pop((rest[0], "results"), []):
                result.result(60) if hasattr(result, "result") else result.get(60)
        elif word == "shutdown":
            MADE.pop(rest[0]).shutdown()
        elif word == "turns":   # NAME WORKERS SECONDS of a task
            threading.Thread(target=turns, args=(rest[0], int(rest[1]), float(rest[2])), daemon=True,
                             name="driver").start()
        elif word == "churn":
            # Threads begin with their creator's name; of a longer one an end is left in what is read while it is replaced.
            ctypes.CDLL(None).prctl(15, b"p", 0, 0, 0)
            MADE["steady"] = ThreadPoolExecutor(4, "steady", name_own_thread, ("steady",))
            for _ in range(int(rest[0])):
                threading.Thread(target=churn, daemon=True, name="churner").start()
        elif word == "claim_free_threaded":  # the third word of how it describes itself (3.13 on)
            runtime = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
            ctypes.c_uint64.from_address(runtime + 16).value = 1
        elif word == "leave":   # the first thread ends, without an answer
            ctypes.CDLL(None).pthread_exit(None)
        elif word == "wait_threads":
            end = time.monotonic() + 60
            while threading.active_count() < int(rest[0]) and time.monotonic() < end:
                time.sleep(0.01)
            answer["count"] = threading.active_count()
        else:
            answer["error"] = f"what is {word}?"
        print(json.dumps(answer), flush=True)
    STOP.set()
    os._exit(0)


if __name__ == "__main__":
    main()
