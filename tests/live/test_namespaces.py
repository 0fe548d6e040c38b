# SPDX-License-Identifier: GPL-2.0-only
"""Targets in namespaces of their own, and an agent in one: right figures or a refusal, never nothing."""
import json

from harness import BUILD, POOLSCOPE, Agent, assert_identity
from test_attach import compare

NAMESPACES = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
POOL = "resize:threads=4,stack=128K,mmap=1M,arena=1M,routine=resize_main"


def test_target_in_pid_and_mount_namespaces(pools, watch, final):
    workload = pools(POOL, prefix=NAMESPACES)
    assert workload.ns_pid == 1 != workload.pid
    watching = watch(workload.pid)
    truth = workload.fill()
    tids = workload.host_tids()
    target = final(watching, workload)
    assert (target["pid"], target["ns_pid"]) == (workload.pid, 1)
    compare(target, truth, tids)
    assert_identity(target)
    assert any("resize_main" in pool["name"] for pool in target["pools"])


def agent_inside(agent, *options):
    script = (f'"{BUILD}/workloads/pools" --pool {POOL} --duration 20s & '
              f'sleep 1; "{POOLSCOPE}" dump --json --after 2 -p $! {" ".join(options)}; code=$?; '
              'kill $!; wait; exit $code')
    return agent(script, binary="-c", prefix=(*NAMESPACES, "sh")).wait()


def test_agent_in_a_pid_namespace(agent):
    done = agent_inside(agent)
    if done.code == 4:
        assert "namespace" in done.err, done
        return
    assert done.code == 0, done
    target, = json.loads(done.out)["targets"]
    assert target["threads"] == 5 and len(target["thread_list"]) == 5
    assert sum(pool["memory"]["resident_bytes"] for pool in target["pools"]) >= 4 << 20


def test_agent_in_a_pid_namespace_with_the_procfs_of_its_parent():
    """PIDs of --procfs that lie outside the agent's own namespace still mean the same processes."""
    workload = Agent("--pool", POOL, "--duration", "20s", binary=str(BUILD / "workloads/pools"))
    try:
        watching = Agent("dump", "--json", "--after", "2", "-p", workload.process.pid,
                         prefix=("unshare", "--pid", "--fork", "--kill-child"))
        done = watching.wait()
        assert done.code in (0, 4), done
        if done.code == 4:
            assert done.err.strip() and not done.out.strip(), done
        else:
            target, = json.loads(done.out)["targets"]
            assert target["pid"] == workload.process.pid and target["threads"] == 5
    finally:
        workload.close()
