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


def late(rounds):
    """The bar of late attach: 1,000 threads and 200 arenas that were there before, 300 ms."""
    argv = [f"{BUILD}/workloads/pools", "--control", "--arenas", "200", "--duration", "300s", "--heap", "4M"]
    argv += ["--pool", "crowd:threads=1000,stack=16K,arena=192K", "--pool", "numeric:threads=100,mmap=1M,routine=decode_main"]
    pools = subprocess.Popen(argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        for command in ("", "full\n", "still\n"):
            pools.stdin.write(command)
            pools.stdin.flush()
            answer = json.loads(pools.stdout.readline())
            pid = answer.get("ready") or pid
        runs = [dump(pid) for _ in range(rounds)]
    finally:
        pools.stdin.close()
        pools.kill()
        pools.wait()
    target = runs[-1][1]
    known = sum(pool["memory"]["kept_bytes"] is not None for pool in target["pools"])
    print(f"Late attach: start to first snapshot, {target['threads']} threads, 200 arenas: "
          f"{spread([took * 1000 for took, _ in runs])} ms; attributed "
          f"{target['memory']['attributed_resident_bytes'] / target['memory']['rss_anon_bytes']:.1%} of RssAnon, "
          f"kept bytes known of {known} of {len(target['pools'])} pools")


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
    late(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
    saturation(6)
