# SPDX-License-Identifier: GPL-2.0-only
"""Families of processes: one row each with what it is there for, and their totals; Python's own pools of processes with
every Python that is installed, uvicorn's and gunicorn's workers."""
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

import harness
from fixtures import factory
from harness import ROOT, run, wait_for
from screen import screen  # noqa: F401 pylint: disable=unused-import
from test_cpython import pools_of
from test_cpython_versions import PYTHONS, Python

WORKER, PLAIN, POOL = "ProcessPoolExecutor worker", "multiprocessing worker", "multiprocessing.Pool worker"


def descendants(pid):
    """All of them, by PID; of one that has ended, none."""
    try:
        lists = [(task / "children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    children = [int(word) for words in lists for word in words.split()]
    return sorted(children + [one for child in children for one in descendants(child)])


class Parent(harness.Workload):
    """A program whose children end with it, or are ended."""

    def close(self):
        pids = descendants(self.process.pid)
        super().close()
        for pid in pids:  # those that end with it have ended, or will
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


class Family(Parent):
    def __init__(self, method, folder, python=Python("/usr/bin/python3")):
        self.python = python
        self.folder = Path(f"{python.root}{folder}")  # the same path to the program, below its root
        self.folder.mkdir(parents=True, exist_ok=True)
        super().__init__("processes.py", method)

    def program(self, name):  # pylint: disable=arguments-differ
        return [*self.python.argv, self.python.sees(ROOT / "tests/workloads" / name)]

    def working(self, count):
        """PIDs of those that have begun."""
        wait_for(lambda: len(list(self.folder.iterdir())) >= count, f"{count} workers to begin")
        return sorted(int(path.name) for path in self.folder.iterdir())


family = factory(Family)


def roles(targets):
    return {target["pid"]: target["role"] for target in targets}


def followed(pid, wanted):
    """Dumps the family until each of `wanted` (PID -> role) is told so: a child that imports is not there yet."""
    told = {}

    def dumped():
        told.clear()
        targets = run("dump", "--json", "-f", "-p", pid).json()["targets"]
        told.update(roles(targets))
        return targets if wanted.items() <= told.items() else None
    try:
        return wait_for(dumped, "the roles")
    except AssertionError as late:
        raise AssertionError(f"{late}: {told} instead of {wanted}") from None


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_process_pool_executor(family, tmp_path, method):
    program = family(method, tmp_path)
    program.ask(f"executor {tmp_path} 3 5 8")
    workers = program.working(3)
    targets = followed(program.pid, {program.pid: None} | dict.fromkeys(workers, WORKER))
    assert {target["pid"] for target in targets} == {program.pid, *descendants(program.pid)}
    others = {role for pid, role in roles(targets).items() if pid != program.pid and pid not in workers}
    assert others == {"fork": set(), "spawn": {"multiprocessing resource tracker"},
                      "forkserver": {"multiprocessing resource tracker", "multiprocessing fork server"}}[method]
    parent, = (target for target in targets if target["pid"] == program.pid)
    manager = pools_of(parent)["ProcessPoolExecutor"]
    assert (manager["kind"], manager["threads"], manager["capacity"]) == ("ProcessPoolExecutor", 1, None)
    assert manager["processes"] == {"count": 3, "max": 3, "pending_tasks": 5}
    assert all(pool["processes"] is None for pool in parent["pools"] if pool is not manager)
    for target in targets:
        if target["pid"] in workers:
            assert target["memory"]["rss_anon_bytes"] >= 8 << 20
            main, = (thread for thread in target["thread_list"] if thread["tid"] == target["pid"])
            assert main["doing"].startswith("work (processes.py:"), main


@pytest.mark.parametrize("version", sorted(PYTHONS))
def test_every_python(family, tmp_path, version):
    """Three kinds of children of one parent."""
    program = family("fork", tmp_path, PYTHONS[version])
    wanted, known = {program.pid: None}, set()
    for command, count, role in ((f"process {tmp_path} 1", 1, PLAIN), (f"pool {tmp_path} 2 2 1", 2, POOL),
                                 (f"executor {tmp_path} 2 3 1", 2, WORKER)):
        program.ask(command)
        born = set(program.working(len(known) + count)) - known
        known |= born
        wanted |= dict.fromkeys(born, role)
    targets = followed(program.pid, wanted)
    parent, = (target for target in targets if target["pid"] == program.pid)
    assert pools_of(parent)["ProcessPoolExecutor"]["processes"] == {"count": 2, "max": 2, "pending_tasks": 3}
    assert pools_of(parent)["Pool-helpers"]["threads"] == 3  # of the pool of processes: no ThreadPool is there


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_children_forked_later(family, tmp_path, watch, method):
    """When it is read first, a child may stand where its parent forked it."""
    program = family(method, tmp_path)
    watching = watch(program.pid, "-f")
    program.ask(f"executor {tmp_path} 2 2 4")
    workers = program.working(2)
    if method == "forkserver":
        time.sleep(4)  # it is read again half a second, 1.5 and 3.5 seconds later
    watching.process.send_signal(signal.SIGINT)
    told = roles(watching.wait().json()["targets"])
    assert {program.pid, *workers} <= set(told)
    assert {told[pid] for pid in workers} == {WORKER}
    assert method == "forkserver" or set(told) == {program.pid, *workers}


def rows_of(text):
    """The table of processes: PID or `total` -> the words of its row."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if re.match(r" *PID +PROCESS +WHAT", line))
    rows = {}
    for line in lines[start + 1:]:
        rows[line.split()[0]] = line
        if line.split()[0] == "total":
            return rows
    raise AssertionError(text)


def test_one_table_with_totals(family, tmp_path):
    program = family("fork", tmp_path)
    program.ask(f"executor {tmp_path} 3 3 16")
    workers = program.working(3)
    followed(program.pid, dict.fromkeys(workers, WORKER))
    done = run("dump", "-f", "-p", program.pid, "--limit", "resident_bytes=1MiB")
    assert done.code == 0, done
    rows = rows_of(done.out)
    assert set(rows) == {"total", str(program.pid), *map(str, workers)}
    assert " parent " in rows[str(program.pid)] and " OVER " in rows[str(program.pid)]
    for pid in workers:
        assert WORKER in rows[str(pid)] and " OVER " in rows[str(pid)]
    assert "4 processes" in rows["total"] and " OVER " in rows["total"]
    assert done.out.count("PROCESS ") == 1
    # Without its children it has no relatives.
    assert "PROCESS " not in run("dump", "-p", program.pid).out


def test_top_shows_the_family(family, tmp_path, screen):  # noqa: F811 pylint: disable=redefined-outer-name
    program = family("fork", tmp_path)
    program.ask(f"executor {tmp_path} 3 3 4")
    workers = program.working(3)
    screen = screen(120, 40)
    screen.top("-f", "-p", program.pid, "--interval", "0.3")
    text = screen.until("4 processes")
    assert "Tab: target" not in text
    assert re.search(f"{program.pid} +python3 +parent", text)
    screen.until(f"{workers[-1]} +python3 +{WORKER}")
    screen.press("Tab")
    screen.until(rf"^ *\S.* PID {workers[0]} ")
    os.kill(workers[0], signal.SIGKILL)  # then the executor is broken, and ends the others
    screen.until(f"{workers[0]} .* ended")
    screen.press("q")
    screen.assert_given_back()


def test_default_size_under_a_quota(family, tmp_path):
    from cgroups import Cgroup  # pylint: disable=import-outside-toplevel
    cpus = os.cpu_count()
    program = family("fork", tmp_path)
    cgroup = Cgroup(f"poolscope-processes-{os.getpid()}")
    try:
        cgroup.set("cpu.cfs_quota_us", "cpu.max", int(cpus * 100000 / 2))
        cgroup.enter(program.pid)
        program.ask(f"default {tmp_path} {cpus}")
        workers = program.working(cpus)
        targets = followed(program.pid, dict.fromkeys(workers, WORKER))
        parent, = (target for target in targets if target["pid"] == program.pid)
        fit = pools_of(parent)["ProcessPoolExecutor"]["cpu_fit"]
        fits = -(-cpus // 2)
        assert fit == (None if fits == cpus else {"size": cpus, "unit": "processes", "formula": f"{cpus} CPUs",
                                                  "fits": fits, "setting": f"max_workers={fits}"})
    finally:
        program.close()
        cgroup.remove()


FORKS = """
import ctypes, multiprocessing.pool, os, subprocess, sys, time

def fork(_):  # in a thread of a ThreadPool, whose function is that of a multiprocessing.Pool's worker
    pid = os.fork()
    if not pid:
        ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
        sys.stdout.close()
        time.sleep(300)
        os._exit(0)
    return pid

pool = multiprocessing.pool.ThreadPool(1)
print('{"ready": %d, "forked": %d}' % (os.getpid(), pool.map(fork, [0])[0]), flush=True)
other = subprocess.Popen(["sleep", "300"])
sys.stdin.read()
other.kill()
"""


class Forks(Parent):
    def __init__(self):
        super().__init__("")

    def program(self, name):  # pylint: disable=arguments-differ
        return ["/usr/bin/python3", "-c", FORKS]


forks = factory(Forks)


def test_without_evidence_it_is_a_child(forks):
    program = forks()
    wait_for(lambda: len(descendants(program.pid)) == 2, "both children")
    targets = run("dump", "--json", "-f", "-p", program.pid, "--after", "3").json()["targets"]
    assert roles(targets) == dict.fromkeys([program.pid, *descendants(program.pid)])
    # What its thread was a worker of is its parent's.
    assert [(pool["capacity"], pool["busy"], pool["queued"]) for target in targets for pool in target["pools"]
            if pool["name"] == "main"] == [(None, None, None)] * 3
    rows = rows_of(run("dump", "-f", "-p", program.pid).out)
    assert all(" child " in rows[str(pid)] for pid in descendants(program.pid))


APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
"""


class Server:
    """A server of the app above: its parent process."""

    def __init__(self, folder, *command):
        (folder / "app.py").write_text(APP)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [word.replace("PORT", str(self.port)) for word in command]
        self.process = subprocess.Popen(["/usr/bin/python3", *command], cwd=folder, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        wait_for(self.answers, "the server to answer")

    def answers(self):
        assert self.process.poll() is None
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def close(self):
        pids = descendants(self.pid)
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


server = factory(Server)


def counted(pid, wanted):
    """Dumps the family until it has these roles, each so often."""
    told = []

    def dumped():
        told[:] = [target["role"] for target in run("dump", "--json", "-f", "-p", pid).json()["targets"]]
        return {role: told.count(role) for role in wanted} == wanted
    try:
        wait_for(dumped, "the roles")
    except AssertionError as late:
        raise AssertionError(f"{late}: {told}") from None
    return told


def test_uvicorn(server, tmp_path):
    serving = server(tmp_path, "-m", "uvicorn", "--workers", "2", "--port", "PORT", "--log-level", "error", "app:app")
    told = counted(serving.pid, {"uvicorn supervisor": 1, "uvicorn worker": 2})
    assert set(told) == {"uvicorn supervisor", "uvicorn worker", "multiprocessing resource tracker"}


def test_gunicorn(server, tmp_path):
    serving = server(tmp_path, "-m", "gunicorn", "--workers", "2", "--bind", "127.0.0.1:PORT", "app:wsgi")
    told = counted(serving.pid, {"gunicorn master": 1, "gunicorn worker": 2})
    assert set(told) == {"gunicorn master", "gunicorn worker"}
