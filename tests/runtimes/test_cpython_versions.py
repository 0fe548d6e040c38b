# SPDX-License-Identifier: GPL-2.0-only
"""Every CPython from 3.7 on that is installed, and the newer ones of another Debian: recognised executors, their figures,
the walk under churn, and the committed offsets against its headers."""
import glob
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import harness
from fixtures import factory
from harness import BUILD, ROOT, build_probe, run, wait_for
from test_blame import MIB, assert_blamed, initializer_of_a_package, made_up_code
from test_cpython_activity import (DEPTHS, c_functions, c_initializers, deep_recursion, dropped_executor,
                                   queue_at_an_address_used_before, stacks_apart)
from test_cpython import (SPIN, default_executors, figures, functions_given, one_of_each, pools_of, started,
                          walk_under_churn)


SUITE, FETCHED = "forky", ("3.14", "3.15")


@dataclass
class Python:
    """An interpreter of this system, or one below a root of its own."""
    path: str
    root: str = ""

    @property
    def argv(self):
        return ["chroot", self.root, self.path] if self.root else [self.path]

    @property
    def headers(self):
        """Its own answer, or where Debian has them."""
        return f"{self.root}/usr/include/{Path(self.path).name}" if self.root else self.path

    def version(self):
        return subprocess.run([*self.argv, "-c", "import platform; print(platform.python_version())"], check=True,
                              stdout=subprocess.PIPE, text=True).stdout.strip()

    def sees(self, path):
        """The path by which it reads a file of the tests."""
        if not self.root:
            return str(path)
        for program in path.parent.glob("*.py"):  # with what it imports
            shutil.copy(program, f"{self.root}/tmp")
        return f"/tmp/{path.name}"


def pythons():
    """Debian's, those of a pyenv, and the fetched; by version"""
    paths = ["/usr/bin/python3", *glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python3"))]
    found = [Python(path) for path in paths]
    for version in FETCHED:
        root = subprocess.run([ROOT / "tools/python", BUILD, SUITE, version], check=True, stdout=subprocess.PIPE,
                              text=True).stdout.strip()
        found.append(Python(f"/usr/bin/python{version}", root))
    named = {python.version(): python for python in found}
    return {version: python for version, python in named.items() if tuple(map(int, version.split(".")[:2])) >= (3, 7)}


PYTHONS = pythons()


class Versioned(harness.Workload):
    def __init__(self, version, source="executors.py"):
        self.version = version
        super().__init__(source)

    def program(self, name):  # pylint: disable=arguments-differ
        python = PYTHONS[self.version]
        return [*python.argv, python.sees(ROOT / "tests/workloads" / name)]


versioned = factory(Versioned)


@pytest.fixture(scope="session")
def probe(tmp_path_factory):
    return build_probe("tests/live/probe_cpython.c", tmp_path_factory.mktemp("cpython"))


@pytest.mark.parametrize("version", sorted(PYTHONS))
def test_blame(versioned, watch, final, version):
    """Of workers that were there at the attach, and of those that were born since."""
    program = versioned(version, "growers.py")
    program.ask("executor before 1")
    program.ask("executor since 3")
    program.ask("run before keep_little 1")
    watching = watch(program.pid)
    much = program.ask("run before keep_much 6")["line"]
    small = program.ask("run since keep_small 12")["line"]
    target = final(watching, program)
    assert_blamed(pools_of(target)["before_*"], "keep_much", much, 6 * 4 * MIB)
    # Which executor newborns are of may be told a reading later.
    since = [pool for pool in target["pools"] if pool["blame"] and pool["blame"][0]["function"] == "keep_small"]
    assert len(since) == 1, target["pools"]
    assert_blamed(since[0], "keep_small", small, 12 * 4000 * 752)


@pytest.mark.parametrize("version", sorted(PYTHONS))
def test_initializer_of_a_package(versioned, watch, final, version):
    initializer_of_a_package(versioned(version, "growers.py"), watch, final)


@pytest.mark.parametrize("version", sorted(PYTHONS))
def test_made_up_code(versioned, watch, final, version):
    made_up_code(versioned(version, "growers.py"), watch, final)


@pytest.mark.parametrize("version", sorted(PYTHONS))
def test_executors(versioned, version):
    program = versioned(version)
    program.ask("executor a 4")
    program.ask("submit a 2")
    started(program, "a", 2)
    program.ask("open a")
    program.ask("executor b 3 resize")
    program.ask("spin b 5")
    program.ask("executor c 9 resize")
    program.ask("submit c 2")
    default = min(32, os.cpu_count() + 4) if tuple(map(int, version.split(".")[:2])) >= (3, 8) else os.cpu_count() * 5
    expected = one_of_each(program) | {
        "ThreadPoolExecutor-0_*": ("ThreadPoolExecutor", 2, 4, 0, 0),
        "resize_*": ("ThreadPoolExecutor", 3, 3, 3, 2),
        "resize_*#2": ("ThreadPoolExecutor", 2, 9, 2, 0),
        "asyncio_*": ("ThreadPoolExecutor", 3, default, 3, 0),
    }
    for name, count in (("b", 3), ("c", 2)):
        started(program, name, count)

    def idle():
        target = run("dump", "--json", "-p", program.pid).target()
        pools = pools_of(target)
        return target if pools["ThreadPoolExecutor-0_*"]["busy"] == 0 else None
    target = wait_for(idle, "the first executor to be idle")
    assert target["runtime"] == f"cpython {version}"
    assert {name: figures(pool) for name, pool in pools_of(target).items()} == expected
    doing = {thread["doing"] for thread in target["thread_list"] if thread["pool"] == "resize_*"}
    assert doing == {f"spin (executors.py:{SPIN})"}


@pytest.mark.parametrize("version", sorted(PYTHONS))
def test_default_executors_of_loops(versioned, version):
    default_executors(versioned(version), "asyncio")


@pytest.mark.parametrize("version", sorted(PYTHONS))
def test_functions_given(versioned, version):
    functions_given(versioned(version))


@pytest.mark.parametrize("version", sorted(PYTHONS))
def test_code_of_one_line_has_its_line(versioned, version):
    """To 3.9 its table of lines is empty."""
    program = versioned(version)
    program.ask("executor a 4 resize")
    line = program.ask("sleep a")["line"]

    def doing():
        target = run("dump", "--json", "-p", program.pid).target()
        return [thread["doing"] for thread in target["thread_list"] if "lambda" in (thread["doing"] or "")]
    doing, = wait_for(doing, "the task to run")
    assert doing.endswith(f"(executors.py:{line})")


@pytest.mark.parametrize("version", sorted(PYTHONS))
def test_who_is_busy_where_it_is_hard_to_tell(versioned, watch, version):
    c_functions(versioned(version))
    c_initializers(versioned(version))
    dropped_executor(versioned(version))
    stacks_apart(versioned(version))
    if not version.startswith("3.7."):  # which knows no thread's number: who is who is told by two readings
        queue_at_an_address_used_before(versioned(version), watch)
    for depth in DEPTHS:
        deep_recursion(versioned(version), depth)


@pytest.mark.parametrize("version", [version for version in sorted(PYTHONS) if int(version.split(".")[1]) >= 13])
def test_without_the_interpreters_lock_it_says_that_it_is_not_read(versioned, version):
    """Debian has no such build: an interpreter that describes itself as one is taken at its word."""
    program = versioned(version)
    program.ask("claim_free_threaded")
    program.ask("executor a 4 resize")
    program.ask("submit a 3")
    started(program, "a", 3)
    target = run("dump", "--json", "-p", program.pid).target()
    assert target["runtime"] == f"cpython {version}t (executors not read)"
    assert target["runtime_readings"] is None
    for pool in target["pools"]:
        assert (pool["kind"], pool["capacity"], pool["busy"], pool["queued"]) == ("threads", None, None, None), pool
    assert "executors not read" in run("dump", "-p", program.pid).out


@pytest.mark.parametrize("version", sorted(PYTHONS))
def test_walk_under_churn(versioned, version, probe):
    walk_under_churn(versioned(version), probe, 8)


@pytest.mark.parametrize("version", sorted(PYTHONS))
def test_offsets_are_those_of_the_headers(version):
    subprocess.run([ROOT / "tools/cpython-offsets", "--check", PYTHONS[version].headers], check=True)
