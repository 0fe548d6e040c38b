#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Records the facts of live targets, with what the targets know of themselves behind them, for test_recordings.c.

Usage: tests/recordings/record.py [NAME...]   (root; after `make all build/record_facts`; all of them without a NAME)
A recording is kept when the agent's figures were right to the byte while it was made: then the model is to say the
same for ever. Run it anew when the facts change (agent/fact.h).
"""
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/live"))
import harness  # noqa: E402
from seeds import Seeded, by_tid, orphan_figures, thread_figures  # noqa: E402

RECORDER = str(harness.BUILD / "record_facts")
REGIONS = ("stack", "arena", "heap", "mmap")

# name: (primitives, arenas, attach: before or half-way through, options)
SEEDS = {
    "moves": ("map,noreserve,fixed,partial,grow,shrink,move,dontunmap", 512, "before", ()),
    "reserves": ("reserve,lock,discard", 512, "before", ()),
    "births": ("birth,stack,map,partial", 512, "before", ()),
    "slab": ("birth,slab,map", 512, "before", ()),
    "arenas": ("malloc,realloc,birth", 512, "before", ()),
    "shared_arenas": ("malloc,birth", 2, "before", ()),
    "guests": ("guest,vfork,map,partial", 512, "before", ()),
    "heap": ("brk,map,shared,image", 512, "before", ()),
    "half_way": ("map,partial,fixed,birth,reserve", 512, "half-way", ()),
    "losses": ("map,partial", 512, "losses", ("--ring", "4096")),
}
PUPPETS = {
    "leader_gone": "a mmap x 1M\na touch x\nmain exit\nmain exit\na mmap y 2M\na touch y\nb munmap x 0 64K",
    "uring": "a uring\na mmap x 1M\na touch x\nb uring\nb mremap x 3M\nb touch x",
}


def agent_for(pid, path, options, on_link=None):
    """on_link: called when the first program is attached, before the target is looked at."""
    agent = harness.Agent("dump", "--json", "--after", 60, "-p", pid, *options, binary=RECORDER,
                          env={**os.environ, "POOLSCOPE_FACTS": path})
    if on_link:
        folder = f"/proc/{agent.process.pid}/fd"
        harness.wait_for(lambda: any("bpf_link" in os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)), "a link")
        on_link()
    return agent.attached(pid)


def finish(agent, workload):
    workload.freeze()
    agent.process.send_signal(signal.SIGINT)
    return agent.wait().target()


def write_truth(path, lines):
    with open(path, "a", encoding="ascii") as out:
        out.write("".join(line + "\n" for line in lines))


def is_drained_after_seed(path):
    """Calls that were made before the seed was read come after it: the race that this recording is for."""
    seeded = 0
    for line in Path(path).read_text(encoding="ascii").splitlines():
        time, _, kind = line.split()[:3]
        seeded = int(time) if kind == "seed_end" else seeded
        if kind in ("made", "freed", "moved", "protected") and int(time) < seeded:
            return True
    return False


def record_seed(path, seed, primitives, arenas, attach, options):
    """True when every figure was right."""
    workload, agent = Seeded(seed, primitives, 4, arenas), None
    try:
        go = (lambda: workload.send("go 60")) if attach == "half-way" else None
        agent = agent_for(workload.pid, path, options, go)
        if attach != "half-way":
            workload.send(f"go {200 if attach == 'losses' else 25}")
        workload.read()
        truth = workload.ask("truth")
        target = finish(agent, workload)
    finally:
        workload.close()
        if agent:
            agent.close()
    figures = [*thread_figures(target, truth, truth), *orphan_figures(target, truth, truth)]
    exact = all(figure.shown <= figure.high if attach != "before" else figure.bytes == 0 for figure in figures
                if attach == "before" or "orphaned" not in figure.what)
    if not exact or target["memory"]["unexplained_bytes"] or set(by_tid(truth)) != {t["tid"] for t in target["thread_list"]}:
        return False
    if attach == "half-way" and not is_drained_after_seed(path):
        return False
    if attach == "losses" and not target["events"]["lost"]:
        return False
    lines = [] if attach == "before" else ["at_most"]
    for thread in truth["threads"]:
        lines.append(f"thread {thread['tid']} " + " ".join(str(thread[region]) for region in REGIONS))
        if thread["guest"]:
            lines.append(f"guest {thread['tid']}")
    lines += [f"orphaned {name}-* {bytes_}" for name, bytes_ in truth["orphaned"].items()]
    write_truth(path, lines)
    return True


def record_puppet(path, script):
    """Its truth is what the script says: only the figures that it names are expected; the rest is as shown."""
    workload, agent = harness.Puppet(), None
    try:
        workload.script("main spawn a\nmain spawn b")
        agent = agent_for(workload.pid, path, ())
        for line in script.splitlines():
            if line == "main exit" and "main" not in workload.ask("truth")["threads"]:
                continue
            workload.ask(line)
        target = finish(agent, workload)
    finally:
        workload.close()
        if agent:
            agent.close()
    lines = [f"thread {thread['tid']} " + " ".join(str(thread["memory"][region]["resident_bytes"]) for region in REGIONS)
             for thread in target["thread_list"]]
    sizes = sorted(thread["memory"]["mmap"]["resident_bytes"] for thread in target["thread_list"])
    wanted = {"leader_gone": [(3 << 20) - (64 << 10)], "uring": [1 << 20, 2 << 20]}[Path(path).stem]
    if [size for size in sizes if size] != wanted or target["memory"]["unexplained_bytes"]:
        print(f"{path}: {sizes}, {target['memory']}")
        return False
    write_truth(path, lines)
    return True


def main():
    os.chdir(ROOT)
    names = sys.argv[1:] or [*SEEDS, *PUPPETS]
    for name in names:
        path = f"tests/recordings/{name}.facts"
        if name in PUPPETS:
            done = any(record_puppet(path, PUPPETS[name]) for _ in range(5))
        else:
            done = any(record_seed(path, seed, *SEEDS[name]) for seed in range(1, 20))
        print(f"{name}: {os.path.getsize(path)} bytes" if done else f"{name}: no attempt was right")


if __name__ == "__main__":
    main()
