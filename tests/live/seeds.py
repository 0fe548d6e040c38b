# SPDX-License-Identifier: GPL-2.0-only
"""Seeds: which primitives a seed has, several targets in one agent, and how far poolscope's figures are from the
workload's own. It must not know what is asserted of them."""
import os
import random
import signal

from harness import PATIENCE, REGIONS, Agent, Workload, wait_for

# Each has its own trap; a seed takes some of them.
ALL = ("map noreserve fixed partial grow shrink move dontunmap reserve lock discard free guard huge shared image "
       "stack birth slab malloc realloc vfork guest fork brk").split()
# Beside random choices: each group alone, so that what goes wrong has a name.
GROUPS = ("map,partial", "map,noreserve,fixed", "map,grow,shrink", "map,move,dontunmap", "reserve,lock", "brk",
          "map,discard,free,guard", "huge,map,partial,move", "shared,image,fixed,map", "birth,stack,map",
          "birth,slab,stack", "malloc", "malloc,birth", "malloc,realloc,birth", "fork,map,birth", "vfork,map",
          "guest,map,partial", "map,fixed,partial,move,birth")


class Seeded(Workload):
    """A plan of one seed. Every third seed has arenas that are shared; with 0, malloc is not glibc's."""

    def __init__(self, seed, primitives=None, threads=5, arenas=None, env=None):
        self.seed = seed
        self.primitives = primitives or choice(seed)
        self.arenas = (2 if seed % 3 == 0 else 512) if arenas is None else arenas
        super().__init__("seeded", seed, self.primitives, threads, self.arenas, env=env)

    def __repr__(self):
        return f"seed {self.seed}: {self.primitives} (at most {self.arenas} arenas)"

    def resume(self):
        os.kill(self.pid, signal.SIGCONT)


def choice(seed):
    """Half of the seeds have one group, half a random mixture. malloc and brk would fight over the heap."""
    if seed % 2:
        return GROUPS[seed // 2 % len(GROUPS)]
    chosen = random.Random(seed).sample(ALL, 8)
    if "brk" in chosen:
        chosen = [name for name in chosen if name not in ("malloc", "realloc")]
    return ",".join(chosen)


def without_malloc(seed):
    """What can be compared page by page with any malloc: it maps by its own ways, and brk may be one of them."""
    names = [name for name in choice(seed).split(",") if name not in ("malloc", "realloc", "brk", "fork")]
    return ",".join(names or ("map", "partial", "birth"))


class Batch:
    """Several seeds side by side in one agent."""

    def __init__(self, workloads, *options):
        self.workloads, self.options = workloads, options
        self.agent = None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for workload in self.workloads:
            workload.close()
        if self.agent:
            self.agent.close()

    def attach(self, binary=None):
        pids = [word for workload in self.workloads for word in ("-p", workload.pid)]
        self.agent = Agent("dump", "--json", "--after", PATIENCE, *self.options, *pids, binary=binary)
        for workload in self.workloads:
            self.agent.attached(workload.pid)

    def go(self, operations, wait=True):
        for workload in self.workloads:
            workload.send(f"go {operations}")
        if wait:
            self.stand_still()

    def stand_still(self):
        for workload in self.workloads:
            workload.read()

    def compare(self):
        """(workload, its target, the truth before, the truth after). Standing still all the time, and stopped while
        the agent reads. Two truths: meanwhile the kernel may take pages that it was given leave to take."""
        before = [workload.ask("truth") for workload in self.workloads]
        for workload in self.workloads:
            workload.freeze()
        assert self.agent.running(), "the workloads were too slow: nothing was compared"
        self.agent.process.send_signal(signal.SIGINT)
        self.targets = {target["pid"]: target for target in self.agent.wait().json()["targets"]}
        for workload in self.workloads:
            workload.resume()
        after = [workload.ask("truth") for workload in self.workloads]
        return [(w, self.targets[w.pid], b, a) for w, b, a in zip(self.workloads, before, after)]


class Off:
    """How far one figure is from the truth."""

    def __init__(self, what, shown, *truths):
        self.what, self.shown, self.low, self.high = what, shown, min(truths), max(truths)

    @property
    def bytes(self):
        return max(0, self.low - self.shown, self.shown - self.high)

    def is_close(self):
        return self.bytes <= max(64 << 10, self.high // 100)

    def __repr__(self):
        return f"{self.what}: shown {self.shown}, true {self.low}" + (f" to {self.high}" if self.high > self.low else "")


def by_tid(truth):
    return {thread["tid"]: thread for thread in truth["threads"]}


def thread_figures(target, before, after, regions=REGIONS):
    """Each thread, region by region."""
    listed, after = {thread["tid"]: thread for thread in target["thread_list"]}, by_tid(after)
    for tid, thread in by_tid(before).items():
        for region in regions:
            shown = listed[tid]["memory"][region]["resident_bytes"]
            if shown or thread[region]:
                yield Off(f"{thread['pool']} {tid} {region}", shown, thread[region], after[tid][region])


def orphan_figures(target, before, after):
    pools = {pool["name"]: pool["memory"]["orphaned_bytes"] for pool in target["pools"]}
    for name, orphaned in before["orphaned"].items():
        shown = pools.get(name + "-*", 0)
        if shown or orphaned:
            yield Off(f"{name} orphaned", shown, orphaned, after["orphaned"][name])


def all_orphans_figure(target, before, after):
    yield Off("orphaned", sum(pool["memory"]["orphaned_bytes"] for pool in target["pools"]),
              *(sum(truth["orphaned"].values()) for truth in (before, after)))


def distribution(figures):
    """One line: how many figures are off by how much."""
    bounds = [(0, "exact"), (4 << 10, "<= 4 KiB"), (64 << 10, "<= 64 KiB"), (1 << 20, "<= 1 MiB"), (1 << 62, "more")]
    left, words = sorted(figure.bytes for figure in figures), []
    for bound, name in bounds:
        within = [error for error in left if error <= bound]
        left = left[len(within):]
        words.append(f"{name} {len(within)}")
    return f"{len(figures)} figures: " + ", ".join(words)
