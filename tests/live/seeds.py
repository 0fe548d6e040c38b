# SPDX-License-Identifier: GPL-2.0-only
"""Seeds and what they are compared by: which primitives a seed has, how far poolscope's figures are from the
workload's own, and what may never differ. It must not know how a target is attached to."""
import random

from harness import REGIONS, Workload

# Each has its own trap; a seed takes some of them.
ALL = ("map noreserve fixed partial grow shrink move dontunmap reserve lock discard free guard huge shared image "
       "stack birth slab malloc realloc vfork guest fork brk").split()
# Beside random choices: each group alone, so that what goes wrong has a name.
GROUPS = ("map,partial", "map,noreserve,fixed", "map,grow,shrink", "map,move,dontunmap", "reserve,lock", "brk",
          "map,discard,free,guard", "huge,map,partial,move", "shared,image,fixed,map", "birth,stack,map",
          "birth,slab,stack", "malloc", "malloc,birth", "malloc,realloc,birth", "fork,map,birth", "vfork,map",
          "guest,map,partial", "map,fixed,partial,move,birth")
EXACT = 0  # bytes; what a figure may be off without being counted in the distribution


class Seeded(Workload):
    """A plan of one seed."""

    def __init__(self, seed, primitives=None, threads=5, arenas=512, **options):
        self.seed, self.arenas = seed, arenas
        self.primitives = primitives or choice(seed)
        super().__init__("seeded", seed, self.primitives, threads, arenas, **options)

    def __repr__(self):
        return f"seeded {self.seed} {self.primitives} (arenas {self.arenas})"


def choice(seed):
    """Half of the seeds have one group, half a random mixture. malloc and brk would fight over the heap."""
    if seed % 2:
        return GROUPS[seed // 2 % len(GROUPS)]
    chosen = random.Random(seed).sample(ALL, 8)
    if "brk" in chosen:
        chosen = [name for name in chosen if name not in ("malloc", "realloc")]
    return ",".join(chosen)


def expected_threads(truth):
    return {thread["tid"]: thread for thread in truth["threads"]}


def errors(target, truth):
    """(bytes off, bytes true) of each thread, and of what each pool has orphaned."""
    listed = {thread["tid"]: thread for thread in target["thread_list"]}
    found = []
    for tid, thread in expected_threads(truth).items():
        for region in REGIONS:
            shown = listed[tid]["memory"][region]["resident_bytes"] if tid in listed else 0
            if thread["pool"] == "main" and region == "heap":
                continue  # what of it was there before the attach is nobody's
            if shown or thread[region]:
                found.append((shown - thread[region], thread[region], f"{thread['pool']} {tid} {region}"))
    pools = {pool["name"]: pool for pool in target["pools"]}
    for name, orphaned in truth["orphaned"].items():
        shown = pools.get(name + "-*", {"memory": {"orphaned_bytes": 0}})["memory"]["orphaned_bytes"]
        if shown or orphaned:
            found.append((shown - orphaned, orphaned, f"{name} orphaned"))
    return found


def is_close(error, true):
    return abs(error) <= max(64 << 10, true // 100)
