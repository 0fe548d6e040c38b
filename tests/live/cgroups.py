# SPDX-License-Identifier: GPL-2.0-only
"""Cgroups of a test's own, as systemd would make them. It must not know what a test puts into them."""
import os
from contextlib import contextmanager
from pathlib import Path

from harness import wait_for


class Cgroup:
    """A cgroup of v1 (a folder for each controller, and one where systemd keeps its units) or v2."""

    def __init__(self, name):
        root = Path("/sys/fs/cgroup")
        self.v1 = (root / "memory").is_dir()
        self.roots = [root / part for part in ("memory", "pids", "cpu", "systemd", "unified") if (root / part).is_dir()]
        if not self.v1:
            self.roots = [root]
        self.folders = [folder / name for folder in self.roots]
        for folder in self.folders:
            folder.mkdir(exist_ok=True)
        if not self.v1:
            (root / "cgroup.subtree_control").write_text("+memory +pids +cpu")

    def set(self, v1, v2, value):
        for folder in self.folders:
            path = folder / (v1 if self.v1 else v2)
            if path.exists():
                path.write_text(str(value))

    def bound_memory(self, size):
        """Beyond it the kernel kills, also on a machine that swaps."""
        self.set("memory.limit_in_bytes", "memory.max", size)
        self.set("memory.swappiness", "memory.swap.max", 0)

    def enter(self, pid):
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def remove(self):
        for root, folder in zip(self.roots, self.folders):
            for pid in (folder / "cgroup.procs").read_text().split():
                (root / "cgroup.procs").write_text(pid)
            wait_for(lambda place=folder: not (place / "cgroup.procs").read_text(), "the cgroup to be empty")
            folder.rmdir()


@contextmanager
def confined(program, memory, *settings):
    """The program in a cgroup with so much memory and these settings, each (name in v1, name in v2, value); both end with
    it."""
    cgroup = Cgroup(f"poolscope-test-{os.getpid()}")
    try:
        if memory:
            cgroup.bound_memory(memory)
        for setting in settings:
            cgroup.set(*setting)
        cgroup.enter(program.pid)
        yield program
    finally:
        program.close()
        cgroup.remove()
