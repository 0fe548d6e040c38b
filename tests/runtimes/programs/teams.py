# SPDX-License-Identifier: GPL-2.0-only
"""An executor of 16 workers, each of which runs a team of four threads of its own: teams.py LIBRARY WORKERS. With more
than that on its command line it waits for a line first. With `nested`, too, and then teams of three, each thread of which
has one more within: it says when all are there, and ends those within at the next line."""
import ctypes
import json
import os
import sys
import threading
import time
from concurrent import futures

library = ctypes.CDLL(sys.argv[1])
workers = int(sys.argv[2])
there = threading.Barrier(workers)


def resize():
    assert library.run_team(4) == 6
    there.wait()


def resize_nested(hold):
    assert library.run_nested(3, 2, hold) == 6
    there.wait()


def wait_for_line():
    print(json.dumps({"ready": os.getpid()}), flush=True)
    sys.stdin.readline()


if len(sys.argv) > 3:
    wait_for_line()
executor = futures.ThreadPoolExecutor(16, thread_name_prefix="resize")
if sys.argv[3:] == ["nested"]:
    reading, writing = os.pipe()
    jobs = [executor.submit(resize_nested, reading) for _ in range(workers)]
    while ctypes.c_int.in_dll(library, "nested_there").value < workers * 6:
        time.sleep(0.01)
    wait_for_line()
    os.close(writing)
else:
    jobs = [executor.submit(resize) for _ in range(workers)]
for job in jobs:
    job.result()
print(json.dumps({"ready": os.getpid()}), flush=True)
sys.stdin.read()
os._exit(0)
