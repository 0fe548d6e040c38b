#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""An asyncio loop whose executor runs a heavy native model: the memory of each worker stays, so it looks like
a leak until all workers have started. Commands on stdin, a JSON line back each: `run JOBS`, `truth`."""
import argparse
import asyncio
import concurrent.futures
import json
import os
import sys

import akaze

kept = []


class NobodyIsIdle:
    """Python 3.6 and 3.7 started a worker for every job until the bound, idle workers or not."""

    def acquire(self, timeout=None):
        return False

    def release(self):
        pass


def job(leak):
    found = akaze.count_key_points()
    if leak:
        kept.append(akaze.PICTURE.copy())
    return found


def truth():
    with open("/proc/self/status", encoding="ascii") as status:
        fields = dict(line.split(":", 1) for line in status)
    return {"pid": os.getpid(), "rss_anon": int(fields["RssAnon"].split()[0]) << 10, "threads": int(fields["Threads"])}


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, help="an executor of its own with this bound; else the default one")
    parser.add_argument("--eager", action="store_true", help="a new worker for every job, as before Python 3.8")
    parser.add_argument("--leak", action="store_true", help="keep a picture of 0.9 MiB for every job: a true leak")
    options = parser.parse_args()
    loop = asyncio.get_running_loop()
    executor = concurrent.futures.ThreadPoolExecutor(options.workers)
    if options.eager:
        executor._idle_semaphore = NobodyIsIdle()  # pylint: disable=protected-access
    loop.set_default_executor(executor)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print(json.dumps({"ready": os.getpid()}), flush=True)
    while line := (await commands.readline()).decode():
        word, *arguments = line.split()
        if word == "run":
            await asyncio.gather(*(loop.run_in_executor(None, job, options.leak) for _ in range(int(arguments[0]))))
        print(json.dumps(truth()), flush=True)
    os._exit(0)


asyncio.run(main())
