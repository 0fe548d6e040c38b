# SPDX-License-Identifier: GPL-2.0-only
"""Targets in namespaces of their own, and an agent in one: right figures or a refusal, never nothing."""
import json

from harness import BUILD, POOLSCOPE, Agent, assert_identity, run, wait_for
from test_attach import compare
from test_cpython import figures, pools_of, started

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


def in_chroot(folder):
    return ("unshare", "--mount", "sh", "-c", f'mount --rbind / "{folder}" && exec chroot "{folder}" "$@"', "sh")


def without_first_thread(workload, command):
    """Attached only then: what /proc shows of its files is closed, and the paths in the maps of a chroot begin at our
    root, not at its own."""
    workload.send(command)
    wait_for(lambda: "Z" in workload.thread_states(), "the first thread to end")
    return run("dump", "--json", "-p", workload.pid).target()


def test_chroot_whose_first_thread_has_gone(pools, tmp_path):
    workload = pools(POOL, prefix=in_chroot(tmp_path))
    for command in ("start", "full"):
        workload.ask(command)
    threads = without_first_thread(workload, "leader-exit")["thread_list"]
    assert [(thread["start_routine"], thread["module"]) for thread in threads] == [("resize_main", "pools")] * 4


def test_cpython_in_a_chroot_whose_first_thread_has_gone(workload, tmp_path):
    program = workload("executors.py", prefix=in_chroot(tmp_path))
    program.ask("executor a 4 resize")
    program.ask("submit a 3")
    started(program, "a", 3)
    target = without_first_thread(program, "leave")
    assert target["runtime"].startswith("cpython 3."), target["runtime"]
    assert figures(pools_of(target)["resize_*"]) == ("ThreadPoolExecutor", 3, 4, 3, 0)


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
