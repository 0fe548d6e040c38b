# SPDX-License-Identifier: GPL-2.0-only
"""Who made whom: OpenMP teams below the pool whose workers have them, of threads that were there before the attach and
of those born later; and nothing where nothing is certain."""
import pytest

from harness import run, wait_for
from programs import PROGRAMS, compiled, program  # noqa: F401 pylint: disable=unused-import

MASTERS = "openmp_c:team_master"


def lineage(target):
    """name -> (parent, teams as JSON has them)"""
    return {pool["name"]: (pool["parent"], pool["teams"]) for pool in target["pools"]}


def teams(count, threads, bound=None):
    return {"count": count, "threads": threads, "bound": bound}


def assert_made_by(target, team, pool, each):
    """Each thread of the one has made `each` of the other."""
    makers = [thread["created_by"]["tid"] for thread in target["thread_list"] if thread["pool"] == team]
    tids = [thread["tid"] for thread in target["thread_list"] if thread["pool"] == pool]
    assert sorted(makers) == sorted(tids * each)


def test_there_before(program, tmp_path):
    """gcc's OpenMP leaves evidence of who made a team."""
    started = program(compiled(tmp_path, "openmp.c", "gcc", "-fopenmp"), "4", "5")
    target = run("dump", "--json", "-p", started.pid).target()
    assert lineage(target) == {"main": (None, None), MASTERS: (None, None), f"{MASTERS}/libgomp": (MASTERS, teams(5, 3))}
    assert_made_by(target, f"{MASTERS}/libgomp", MASTERS, 3)


def test_there_before_without_evidence(program, tmp_path):
    """LLVM's leaves none: unknown, not guessed."""
    started = program(compiled(tmp_path, "openmp.c", "clang", "-fopenmp"), "4", "5")
    target = run("dump", "--json", "-p", started.pid).target()
    assert lineage(target) == {"main": (None, None), MASTERS: (None, None), "libomp": (None, None)}
    assert all(thread["created_by"] is None for thread in target["thread_list"] if thread["pool"] == "libomp")


def test_mains_team(program, tmp_path):
    started = program(compiled(tmp_path, "openmp.c", "gcc", "-fopenmp"), "4")
    target = run("dump", "--json", "-p", started.pid).target()
    assert lineage(target) == {"main": (None, None), "libgomp": (None, teams(1, 3))}
    assert_made_by(target, "libgomp", "main", 3)


@pytest.mark.parametrize("compiler,library", [("gcc", "libgomp"), ("clang", "libomp")])
def test_an_executor_of_teams(program, tmp_path, watch, final, compiler, library):
    """16 workers of 16, each with a team of three beside itself; by births, then by evidence."""
    shared = compiled(tmp_path, "team.c", compiler, "-fopenmp", "-shared", "-fPIC")
    python = program("/usr/bin/python3", PROGRAMS / "teams.py", shared, 16, "wait")
    watching = watch(python.pid)
    python.send("")
    python.read()
    late = run("dump", "--json", "-p", python.pid).target()
    born = final(watching, python)
    pool = "resize_*/libgomp" if library == "libgomp" else library
    expected = {"main": (None, None), "resize_*": (None, None), pool: ("resize_*", teams(16, 3, 48))}
    assert lineage(born) == expected
    assert_made_by(born, pool, "resize_*", 3)
    if library == "libgomp":
        assert lineage(late) == expected
        assert_made_by(late, pool, "resize_*", 3)
    else:
        assert lineage(late)[library] == (None, None)


def test_dump_shows_the_tree_and_the_real_bound(program, tmp_path):
    shared = compiled(tmp_path, "team.c", "gcc", "-fopenmp", "-shared", "-fPIC")
    python = program("/usr/bin/python3", PROGRAMS / "teams.py", shared, 4)
    done = wait_for(lambda: run("dump", "-p", python.pid), "a dump")
    lines = done.out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("resize_* "))
    assert lines[at + 1].split()[1] == "resize_*/libgomp" and " 4x3 " in lines[at + 1], done
    assert "resize_*/libgomp below resize_*: 4 teams of 3; at most 48 threads, when each of 16 workers has one" in done.out, done


@pytest.mark.parametrize("compiler,library", [("gcc", "libgomp"), ("clang", "libomp")])
def test_teams_within_teams(program, tmp_path, watch, final, compiler, library):
    """Four workers, each in a team of three whose threads have a team of two: five helpers a worker, and as many for each of
    the 16 that there may be, also when gcc's teams within have ended."""
    shared = compiled(tmp_path, "team.c", compiler, "-fopenmp", "-shared", "-fPIC")
    python = program("/usr/bin/python3", PROGRAMS / "teams.py", shared, 4, "nested")
    watching = watch(python.pid)
    python.send("")
    python.read()
    pool = "resize_*/libgomp" if library == "libgomp" else library
    born = run("dump", "--json", "--after", "3", "-p", python.pid).target()
    expected = {"main": (None, None), "resize_*": (None, None), pool: ("resize_*", teams(4, 5, 80))}
    if library == "libgomp":
        assert lineage(born) == expected
    python.send("")
    python.read()
    left = 2 if library == "libgomp" else 5
    wait_for(lambda: len(list(python.thread_states())) == 1 + 4 * (1 + left), "helpers that have nothing to do to end")
    assert lineage(final(watching, python)) == {**expected, pool: ("resize_*", teams(4, left, 80))}
