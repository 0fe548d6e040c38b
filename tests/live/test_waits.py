# SPDX-License-Identifier: GPL-2.0-only
"""Busy of an OpenMP team, which no runtime tells of: by where its workers wait, as the team goes in and out of tasks."""
import subprocess

import pytest

import harness
from fixtures import factory
from harness import POOLSCOPE, ROOT, SANITIZED, run, wait_for
from test_cpython import dump_until, pools_of

TEAM = ROOT / "tests/runtimes/programs/waits_openmp.c"
TEAMS = "team:master/libgomp"


class Team(harness.Workload):
    def program(self, name):
        return [str(name)]


team = factory(Team)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("team") / "team"
    subprocess.run(["gcc", "-O2", "-fopenmp", "-pthread", "-o", path, TEAM], check=True)
    return path


def team_of(target):
    return pools_of(target)[TEAMS]


def idle(running):
    return team_of(dump_until(running, lambda pools: pools[TEAMS]["busy"] == 0, "the team to be idle"))


def test_idle_busy_idle(team, program):
    """Busy are those who wait in a task, by the call that a runtime may wait by as well."""
    running = team(program, 9)
    assert idle(running)["threads"] == 8
    for count in (3, 8):
        running.ask(f"in {count} 0")
        pool = team_of(dump_until(running, lambda pools, n=count: pools[TEAMS]["busy"] == n, f"{count} to be busy"))
        assert (pool["threads"], pool["running"], pool["busy_peak"], pool["right_size"]) == (8, 0, count, None)
        running.ask("out")
        idle(running)


@pytest.mark.parametrize("binary", (POOLSCOPE, SANITIZED), ids=("agent", "sanitized"))
def test_from_look_to_look(team, program, watch, final, binary):
    """One agent over time: who was idle is busy later and idle again, and what was the most."""
    running = team(program, 6)
    idle(running)
    watching = watch(running.pid, "--interval", "100ms", binary=binary)
    for count in (4, 2):
        running.ask(f"in {count} 0")
        team_of(dump_until(running, lambda pools, n=count: pools[TEAMS]["busy"] == n, "them to be busy"))
        if count == 4:
            running.ask("out")
            idle(running)
    target = final(watching, running)
    members = [thread["busy"] for thread in target["thread_list"] if thread["pool"] == TEAMS]
    assert (team_of(target)["busy"], sorted(members)) == (2, [False] * 3 + [True] * 2)
    assert team_of(target)["busy_peak"] in (2, 4)  # 4 if a look fell into it


def test_who_came_and_went(team, program, watch, final):
    """A team that is made while it is watched, by a program that was there."""
    running = team(program, 5)
    watching = watch(running.pid)
    running.ask("in 4 0")
    assert team_of(final(watching, running))["busy"] == 4


def test_threads_by_hand_are_not_told(workload):
    """Nothing is known of how they wait, and nothing is guessed."""
    running = workload("duty", "idle:5:0")
    target = run("dump", "--json", "-p", running.pid).target()
    assert pools_of(target)["idle-*"]["busy"] is None
    assert all(thread["busy"] is None for thread in target["thread_list"])
