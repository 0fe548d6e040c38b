# SPDX-License-Identifier: GPL-2.0-only
"""An executor of 16 workers, each of which runs a team of four threads of its own: teams.py LIBRARY WORKERS. With more
than that on its command line it waits for a line first."""
import ctypes
import json
import os
import sys
import threading
from concurrent import futures

library = ctypes.CDLL(sys.argv[1])
workers = int(sys.argv[2])
there = threading.Barrier(workers)


def resize():
    assert library.run_team(4) == 6
    there.wait()


if len(sys.argv) > 3:
    print(json.dumps({"ready": os.getpid()}), flush=True)
    sys.stdin.readline()
executor = futures.ThreadPoolExecutor(16, thread_name_prefix="resize")
for job in [executor.submit(resize) for _ in range(workers)]:
    job.result()
print(json.dumps({"ready": os.getpid()}), flush=True)
sys.stdin.read()
os._exit(0)
