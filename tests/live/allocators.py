# SPDX-License-Identifier: GPL-2.0-only
"""Allocators: how a workload is run with each of them. It must not know what is asserted."""
import os
import subprocess
from pathlib import Path

from harness import BUILD, ROOT, Workload


def library(name):
    """By its soname, wherever Debian has put it for this architecture."""
    found = sorted(Path("/usr/lib").glob(f"*-linux-gnu/{name}"))
    assert found, f"{name} is not installed: see tools/packages"
    return str(found[0])


def preload(name, **more):
    return lambda: {"LD_PRELOAD": library(name), **more}


def tuned(**settings):
    return lambda: settings


JEMALLOC, TCMALLOC, MIMALLOC = "libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2.0"
PRELOADED = {"jemalloc": preload(JEMALLOC), "tcmalloc": preload(TCMALLOC), "mimalloc": preload(MIMALLOC)}


def musl_static(folder, name="allocators"):
    """The workload as a static program of musl's."""
    binary = folder / name
    subprocess.run(["musl-gcc", "-static", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", "-pthread", "-o", binary,
                    ROOT / f"tests/workloads/{name}.c"], check=True)
    return binary


class Allocators(Workload):
    def __init__(self, *roles, environment=None, binary=None):
        self.binary = str(binary or BUILD / "workloads/allocators")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUN"))}
        super().__init__("allocators", *roles, env=clean | (environment or {}))

    def program(self, name):  # pylint: disable=arguments-differ
        return [self.binary]

    def maps(self):
        return Path(f"/proc/{self.pid}/maps").read_text(encoding="utf-8")
