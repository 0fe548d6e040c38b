# SPDX-License-Identifier: GPL-2.0-only
"""anyio's worker threads without a server: each line on stdin is answered with a line of JSON. Tasks are functions of C;
loops come and go."""
import importlib
import json
import os
import sys
import threading

import anyio
import anyio.to_thread

PIPES = {}


async def run(name, tasks, tokens):
    anyio.to_thread.current_default_thread_limiter().total_tokens = tokens
    async with anyio.create_task_group() as group:
        for _ in range(tasks):
            group.start_soon(anyio.to_thread.run_sync, os.read, PIPES[name][0], 1)


def use_slots():
    """As anyio has it from 4.14 on."""
    backend = importlib.import_module("anyio._backends._asyncio")
    slots = "_total_tokens", "_borrowers", "_wait_queue"
    members = {name: value for name, value in vars(backend.CapacityLimiter).items()
               if name not in ("__dict__", "__weakref__", *slots)}
    begin = members["__init__"]

    def begin_with_tokens(self, tokens):
        self._total_tokens = 0  # of the class, before
        begin(self, tokens)
    members |= {"__slots__": slots, "__init__": begin_with_tokens}
    base = type("CapacityLimiterBase", (), {"__slots__": ()})
    backend.CapacityLimiter = type("CapacityLimiter", (base,), members)


def main():
    made = {}
    if "slots" in sys.argv[1:]:
        use_slots()
    print(json.dumps({"ready": os.getpid()}), flush=True)
    for line in sys.stdin:
        word, name, *rest = line.split()
        if word == "run":  # NAME TASKS TOKENS: a loop of its own, in a thread of that name
            PIPES[name] = os.pipe()
            made[name] = threading.Thread(target=lambda: anyio.run(run, name, *map(int, rest)), name=name, daemon=True)
            made[name].start()
        elif word == "unblock":  # NAME COUNT
            os.write(PIPES[name][1], bytes(int(rest[0])))
        elif word == "join":  # NAME: until its loop has ended
            made[name].join(60)
        print(json.dumps({}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
