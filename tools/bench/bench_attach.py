"""Attach time: from the agent's start to the first snapshot printed, with 1,000 threads; and a saturated
target: what is lost, and whether the books close again."""
import json
import subprocess
import sys
import time

from bench_lib import BUILD, Workload, spread


def dump(pid, *more):
    """Seconds until the first byte of the snapshot, and the target in it."""
    start = time.monotonic()
    process = subprocess.Popen([f"{BUILD}/poolscope", "dump", "--json", "-p", str(pid), *more], stdout=subprocess.PIPE)
    first = process.stdout.read(1)
    took = time.monotonic() - start
    text = first + process.stdout.read()
    assert process.wait() == 0
    return took, json.loads(text)["targets"][0]


def attach(rounds):
    for threads in (10, 1000, 10000):
        with Workload("idlers", threads) as idlers:
            times = [dump(idlers.pid)[0] * 1000 for _ in range(rounds)]
        print(f"Attach: start to first snapshot, {threads} threads: {spread(times)} ms")


def saturation(seconds):
    with Workload("loops") as one, Workload("loops") as two:
        for loops in (one, two):
            loops.process.stdin.write(f"go mmap {seconds + 2}\n")
            loops.process.stdin.flush()
        for ring in ([], ["--ring", "4096"]):
            _, target = dump(one.pid, "--after", str(seconds / 2), *ring)
            events, memory = target["events"], target["memory"]
            print(f"Saturation ({' '.join(ring) or 'default ring'}): received {events['received']}, "
                  f"lost {events['lost']}, reseeds {events['reseeds']}, "
                  f"unexplained {memory['unexplained_bytes']} bytes while running")
        for loops in (one, two):
            loops.process.stdout.readline()
        _, target = dump(one.pid, "--after", "1")
        print(f"Saturation, standing still: unexplained {target['memory']['unexplained_bytes']} bytes")


if __name__ == "__main__":
    attach(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
    saturation(6)
