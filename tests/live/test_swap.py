# SPDX-License-Identifier: GPL-2.0-only
"""Pages that are swapped out are not resident, are counted beside, and keep their owner: when they are back they are his, whoever
touched them. (On a machine without swap, a small file is swapped to while this runs.)"""
import os
import signal
import subprocess
from pathlib import Path

import pytest

from harness import BUILD, assert_adds_up, assert_identity, wait_for

M = 1 << 20
PAGEOUT = 21  # MADV_PAGEOUT, Linux 5.4


@pytest.fixture
def swap():
    """Beside the build: /tmp may be in memory."""
    if len(Path("/proc/swaps").read_text(encoding="ascii").splitlines()) > 1:
        yield
        return
    file = BUILD / f"swap-{os.getpid()}"
    try:
        file.write_bytes(bytes(32 * M))
        file.chmod(0o600)
        subprocess.run(["/usr/sbin/mkswap", file], check=True, stdout=subprocess.DEVNULL)
        done = subprocess.run(["/usr/sbin/swapon", file], stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this kernel does not allow swap here: {done.stderr.strip()}")
        try:
            yield
        finally:
            subprocess.run(["/usr/sbin/swapoff", file], check=True)
    finally:
        file.unlink(missing_ok=True)


def swapped(workload):
    status = Path(f"/proc/{workload.pid}/status").read_text(encoding="ascii")
    return int(status.split("VmSwap:")[1].split()[0]) << 10


def test_pages_that_are_swapped_out_keep_their_owner(swap, puppet, watch, final):  # pylint: disable=unused-argument
    workload = puppet()
    workload.script("main spawn a\nmain spawn b")
    out, back = watch(workload.pid), watch(workload.pid)
    workload.script("a mmap x 8M\na touch x")

    def page_out():  # a page that another looks at just then stays
        workload.ask(f"b madvise x {PAGEOUT} 0 4M")
        return swapped(workload) >= 4 * M
    wait_for(page_out, "4 MiB to be swapped out")
    truth = workload.ask("truth")
    target = final(out, workload)
    tids = {name: thread["tid"] for name, thread in truth["threads"].items()}

    def mmap_of(name):
        return next(t for t in target["thread_list"] if t["tid"] == tids[name])["memory"]["mmap"]
    assert target["memory"]["swapped_bytes"] == swapped(workload) >= 4 * M
    assert (mmap_of("a"), mmap_of("b")["resident_bytes"]) == ({"resident_bytes": 4 * M, "mapped_bytes": 8 * M}, 0)
    assert_identity(target)
    os.kill(workload.pid, signal.SIGCONT)
    workload.script("b read x")
    target = final(back, workload)
    assert (mmap_of("a")["resident_bytes"], mmap_of("b")["resident_bytes"]) == (8 * M, 0)
    assert_identity(target)
    assert_adds_up(target)
