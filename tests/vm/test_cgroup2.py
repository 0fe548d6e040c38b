# SPDX-License-Identifier: GPL-2.0-only
"""Control groups of version 2, on machines that have nothing else: bounds, selection, an OOM kill."""
import pytest

from machine import boot, sections

MIB = 1 << 20
BOUNDED = """
root=/sys/fs/cgroup
mkdir -p $root
mount -t cgroup2 none $root
echo "+memory +pids +cpu" >$root/cgroup.subtree_control
# group NAME MEMORY_MAX: a puppet in it, which follows what is written to /tmp/NAME
group() {
	mkdir $root/$1
	echo $2 >$root/$1/memory.max
	echo 50 >$root/$1/pids.max
	echo "50000 100000" >$root/$1/cpu.max
	mkfifo /tmp/$1
	(echo 0 >$root/$1/cgroup.procs; exec puppet 200) </tmp/$1 >/tmp/$1.answers &
	target=$!
}
group bounded 100M
bounded=$target
exec 3>/tmp/bounded
printf 'main mmap x 60M\\nmain touch x\\n' >&3
until [ "$(wc -l </tmp/bounded.answers)" -ge 2 ]; do sleep 0.1; done
report bounded poolscope dump --json -p $bounded --limit resident_bytes=50% --limit threads=10%
report selected poolscope dump --json --cgroup /bounded
group killed 64M
exec 4>/tmp/killed
poolscope dump --json --after 200 -p $target >/tmp/out 2>/tmp/err &
agent=$!
attached $agent $target
printf 'main mmap x 200M\\nmain touch x\\n' >&4
wait $agent
show killed $?
kill -KILL $bounded
"""


@pytest.fixture(scope="session", name="told")
def make_told(kernel, tmp_path_factory):
    return sections(boot(kernel, BOUNDED, tmp_path_factory.mktemp("vm")))


def test_bounds_are_read_and_percentages_refer_to_them(told):
    target = told["bounded"].target()
    cgroup = target["cgroup"]
    assert (cgroup["memory_max_bytes"], cgroup["pids_max"], cgroup["cpu_quota_cores"]) == (100 * MIB, 50, 0.5)
    assert 60 * MIB <= cgroup["memory_current_bytes"] < 100 * MIB
    limits = {limit["limit"]: limit for limit in target["limits"]}
    assert (limits["resident_bytes"]["max"], limits["resident_bytes"]["state"]) == (50 * MIB, "over")
    assert (limits["threads"]["max"], limits["threads"]["state"]) == (5, "ok")


def test_a_group_is_selected_by_its_path(told):
    assert told["selected"].target()["pid"] == told["bounded"].target()["pid"]


def test_an_oom_kill_is_told_from_a_signal(told):
    target = told["killed"].target()
    assert target["ended"]["how"] == "oom_killed", target["ended"]
    assert target["cgroup"]["oom_kills"] == 1
