# SPDX-License-Identifier: GPL-2.0-only
"""Pages that only look like memory, and threads that only look like the program's: kernels differ in how they show
them, so each is asked. One scripted process, watched from before its first call, compared with its own truth."""
import json

import pytest

from harness import assert_adds_up, assert_identity
from machine import boot, sections, series

K, M = 1 << 10, 1 << 20
GUARD_MAPPED, GUARD = "a mmap guard 1M\na touch guard 0 64K", "a madvise guard 102 512K 64K"  # MADV_GUARD_INSTALL
STORY = f"""
# khugepaged would add pages between the truth and the agent's last look.
echo never >/sys/kernel/mm/transparent_hugepage/enabled
echo 4 >/proc/sys/vm/nr_hugepages
mkfifo /tmp/commands
puppet 200 </tmp/commands >/tmp/answers &
target=$!
exec 3>/tmp/commands
tell() {{
	count=$(wc -l </tmp/answers)
	echo "$@" >&3
	until [ $(wc -l </tmp/answers) -gt $count ]; do sleep 0.05; done
	tail -n 1 /tmp/answers
}}
until grep -q ready /tmp/answers; do sleep 0.1; done
tell main spawn before
tell before uring 1
poolscope dump --json --after 300 -p $target >/tmp/out 2>/tmp/err &
agent=$!
attached $agent $target
tell main spawn a
tell a uring 3
tell a mmap zero 2M
tell a madvise zero 15
tell a read zero
tell a touch zero 0 64K
tell a mmap whole 4M
tell a madvise whole 14
tell a read whole
tell a huge huge 4M
{"".join(f"tell {line}" + chr(10) for line in GUARD_MAPPED.splitlines())}
report guard tell {GUARD}
until [ $(cat /proc/$target/task/*/comm | grep -c iou-wrk) = 4 ]; do sleep 0.1; done
report truth tell truth
kill -INT $agent
wait $agent
show dump $?
kill -KILL $target
"""


@pytest.fixture(scope="session")
def told(kernel, tmp_path_factory):
    """The target as JSON, the workload's truth, the answer to MADV_GUARD_INSTALL."""
    found = sections(boot(kernel, STORY, tmp_path_factory.mktemp("vm")))
    return found["dump"].target(), json.loads(found["truth"].out), json.loads(found["guard"].out)


def thread_of(told, name):
    target, truth, _ = told
    thread, = (thread for thread in target["thread_list"] if thread["tid"] == truth["threads"][name]["tid"])
    return thread


def test_zero_pages_hugetlb_and_guards_are_not_charged(kernel, told):
    target, truth, guard = told
    assert truth["ranges"]["huge"] == 4 * M, "the workload itself sees them present: else this tests nothing"
    assert guard.get("ok") if series(kernel) >= (6, 13) else guard["error"] == "Invalid argument"
    assert thread_of(told, "a")["memory"]["mmap"]["resident_bytes"] == 64 * K + 64 * K
    assert target["memory"]["swapped_bytes"] == 0


def test_the_identity_holds(told):
    assert_identity(told[0])
    assert_adds_up(told[0])


def test_io_workers_are_a_pool_of_their_own(told):
    target, truth, _ = told
    pools = {pool["name"]: pool for pool in target["pools"]}
    for name in ("a", "before"):  # a creator keeps its stack
        memory = thread_of(told, name)["memory"]
        assert memory["stack"]["resident_bytes"] == truth["threads"][name]["stack"] > 0
    workers = [thread for thread in target["thread_list"] if thread["pool"] == "iou-*"]
    assert len(workers) == pools["iou-*"]["threads"] == 4 and pools["iou-*"]["kind"] == "io_uring workers"
    assert [thread["memory"]["mapped_bytes"] for thread in workers] == [0] * 4
