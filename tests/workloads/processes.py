# SPDX-License-Identifier: GPL-2.0-only
"""Python's own pools of processes under command: each line on stdin is answered with a line of JSON. Runs with every
Python from 3.7 on, without packages. Started as `processes.py METHOD`: fork, spawn or forkserver."""
import ctypes
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from commands import serve

MADE = []  # lives as long as the program


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


def touch(mebibytes):
    memory = bytearray(mebibytes << 20)
    memory[::4096] = b"x" * len(memory[::4096])
    return memory


def work(path, mebibytes):
    """Says that it has begun, and holds its memory for good."""
    kept = touch(mebibytes)
    with open(f"{path}/{os.getpid()}", "w"):
        pass
    while kept:
        time.sleep(60)


def run(path, mebibytes):
    end_with_parent()
    work(path, mebibytes)


def command(word, arguments):
    context = multiprocessing.get_context(sys.argv[1])
    path, *rest = arguments
    if word == "executor":  # FOLDER WORKERS TASKS MEBIBYTES
        made = ProcessPoolExecutor(int(rest[0]), context, end_with_parent)
        MADE.append(made)
        MADE.extend(made.submit(work, path, int(rest[2])) for _ in range(int(rest[1])))
    elif word == "default":  # FOLDER TASKS: as many workers as it takes by itself
        made = ProcessPoolExecutor(None, context, end_with_parent)
        MADE.append(made)
        MADE.extend(made.submit(work, path, 1) for _ in range(int(rest[0])))
    elif word == "pool":    # FOLDER WORKERS TASKS MEBIBYTES
        made = context.Pool(int(rest[0]), end_with_parent)
        MADE.append(made)
        MADE.extend(made.apply_async(work, (path, int(rest[2]))) for _ in range(int(rest[1])))
    elif word == "process":  # FOLDER MEBIBYTES
        made = context.Process(target=run, args=(path, int(rest[0])))
        made.start()
        MADE.append(made)
    else:
        return None
    return {}


if __name__ == "__main__":
    serve(command)
