# SPDX-License-Identifier: GPL-2.0-only
"""Two executors: one makes objects of a C library, the other keeps them (handed on), or each keeps what it makes. usage:
handles.py LIBRARY handed|kept"""
import concurrent.futures
import ctypes
import json
import os
import queue
import sys
import threading

OBJECT, WORKERS, EACH = 24 << 20, 3, 2
library = ctypes.CDLL(sys.argv[1])
library.object_new.restype = library.session_new.restype = ctypes.c_void_p
library.object_new.argtypes = library.work.argtypes = [ctypes.c_size_t]
library.session_add.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
handles, rest = queue.Queue(), threading.Event()
made, taken = threading.Barrier(WORKERS + 1), threading.Barrier(WORKERS + 1)
kept = sys.argv[2] == "kept"


def settle(barrier):
    for _ in range(200):
        sorted(str(i) for i in range(100))
    library.run_on()
    barrier.wait()
    rest.wait()


def decode():
    session = library.session_new()
    for _ in range(EACH):
        if kept:
            library.session_add(session, library.object_new(OBJECT))
        else:
            handles.put(library.object_new(OBJECT))
    settle(made)


def render():
    session = library.session_new()
    library.work(16 * OBJECT)
    for _ in range(0 if kept else EACH):
        library.session_add(session, handles.get())
    settle(taken)


decoders = concurrent.futures.ThreadPoolExecutor(WORKERS, "decode")
renderers = concurrent.futures.ThreadPoolExecutor(WORKERS, "render")
for _ in range(WORKERS):
    decoders.submit(decode)
    renderers.submit(render)
made.wait()
taken.wait()
print(json.dumps({"ready": os.getpid(), "made": OBJECT * WORKERS * EACH}), flush=True)
sys.stdin.read()
os._exit(0)
