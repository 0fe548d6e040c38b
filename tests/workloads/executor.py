# SPDX-License-Identifier: GPL-2.0-only
"""A Python ThreadPoolExecutor whose workers each keep some MiB: `executor.py WORKERS`. Answers `fill`, then stands
still; end of file ends it. It must not know poolscope."""
import concurrent.futures
import json
import os
import sys
import threading

kept, together = threading.local(), threading.Barrier(int(sys.argv[1]))


def job(number):
    together.wait()  # no worker takes two
    # Small blocks come from the thread's arena or pymalloc, large ones from mmap; the numbers differ by worker.
    kept.small = [bytes(900 + i % 90) for i in range(2000 * (1 + number % 3))]
    kept.large = [bytearray(300_000 + number * 1000) for _ in range(4)]
    return sum(map(len, kept.small)) + sum(map(len, kept.large))


def say(answer):
    print(json.dumps(answer), flush=True)


def main():
    with concurrent.futures.ThreadPoolExecutor(int(sys.argv[1])) as executor:
        say({"ready": os.getpid()})
        for line in sys.stdin:
            say({"kept": sum(executor.map(job, range(int(sys.argv[1]))))} if line == "fill\n" else {"error": line})


main()
