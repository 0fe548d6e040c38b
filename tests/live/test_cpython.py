# SPDX-License-Identifier: GPL-2.0-only
"""CPython's executors from outside, with Debian's own interpreter and its standard library: instances, figures,
names, what each worker runs; queues that build up and drain; everything under churn."""
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

import harness
from exporter import Exporter
from fixtures import factory
from harness import ROOT, build_probe, run, wait_for

exporter = factory(Exporter)

SOURCE = ROOT / "tests/workloads/executors.py"
SPIN = next(number for number, line in enumerate(SOURCE.read_text().splitlines(), 1) if "SPIN:" in line)
CHURN_PASSES, CHURN_SECONDS = 10000, 30


@pytest.fixture
def executors(workload):
    return lambda **options: workload("executors.py", **options)


def started(program, name, count):
    wait_for(lambda: program.ask(f"started {name}")["count"] >= count, f"{count} tasks of {name} to begin")


def pools_of(target):
    return {pool["name"]: pool for pool in target["pools"]}


def figures(pool):
    return tuple(pool[key] for key in ("kind", "threads", "capacity", "busy", "queued"))


def dump_until(program, condition, what):
    """What a worker does between two tasks is true as well: dumps until it is over."""
    def dumped():
        target = run("dump", "--json", "-p", program.pid).target()
        return target if condition(pools_of(target)) else None
    return wait_for(dumped, what)


def settled(name, busy, queued):
    return lambda pools: name in pools and (pools[name]["busy"], pools[name]["queued"]) == (busy, queued)


def test_queue_builds_up_and_drains(executors):
    program = executors()
    program.ask("executor a 3 resize")
    program.ask("submit a 8")
    started(program, "a", 3)
    target = run("dump", "--json", "-p", program.pid).target()
    assert figures(pools_of(target)["resize_*"]) == ("ThreadPoolExecutor", 3, 3, 3, 5)
    assert pools_of(target)["resize_*"]["busy_peak"] == 3
    version = subprocess.run(["/usr/bin/python3", "-c", "import platform; print(platform.python_version())"],
                             check=True, stdout=subprocess.PIPE).stdout.decode().strip()
    assert target["runtime"] == f"cpython {version}"
    program.ask("open a")
    target = dump_until(program, settled("resize_*", 0, 0), "the queue to drain")
    assert figures(pools_of(target)["resize_*"]) == ("ThreadPoolExecutor", 3, 3, 0, 0)
    for thread in target["thread_list"]:
        if thread["pool"] == "resize_*":
            assert thread["busy"] is False and thread["doing"] is None


def test_one_agent_sees_it_fill_and_drain_and_go(executors, exporter):
    """By the metrics of an agent that was there all the time."""
    program = executors()
    program.ask("executor a 4 resize")
    serving = exporter("-p", program.pid, "--interval", "0.2")
    pool = {"process": "python3", "pool": "resize_*"}
    program.ask("submit a 9")
    for name, figure in (("threads", 4), ("threads_busy", 4), ("threads_capacity", 4), ("threads_started_total", 4)):
        serving.wait_value(figure, f"poolscope_pool_{name}", **pool)
    serving.wait_value(5, "poolscope_pool_queued_tasks", **pool)
    assert serving.value("poolscope_pool_info", kind="ThreadPoolExecutor", **pool) == 1
    program.ask("open a")
    serving.wait_value(0, "poolscope_pool_queued_tasks", **pool)
    serving.wait_value(0, "poolscope_pool_threads_busy", **pool)
    # Its pool stays listed with what was counted, without figures of what is no more.
    program.ask("shutdown a")
    serving.wait_value(0, "poolscope_pool_threads", **pool)
    serving.wait_value(4, "poolscope_pool_threads_exited_total", **pool)
    serving.wait_value(None, "poolscope_pool_threads_capacity", **pool)
    serving.wait_value(None, "poolscope_pool_queued_tasks", **pool)
    assert serving.value("poolscope_pool_threads_busy", **pool) == 0


def one_of_each(program):
    """Every kind but the ThreadPoolExecutors that a test makes itself, all at work; what is to be seen of them, but for
    the loop's default executor, whose capacity differs by version."""
    for command in ("pool p 3", "submit p 7", "loop l", "submit l 3", "threads x 2", "threads y 3 consumer", "watcher"):
        program.ask(command)
    for name, count in (("p", 3), ("l", 3), ("x", 2), ("y", 3), ("watcher", 1)):
        started(program, name, count)
    return {
        "ThreadPool": ("ThreadPool", 3, 3, 3, 4),
        "Pool-helpers": ("threading.Thread", 3, None, None, None),
        "executors.py:in_loop": ("threading.Thread", 1, None, None, None),
        "executors.py:consume": ("threading.Thread", 2, None, None, None),
        "executors.py:Watcher.run": ("threading.Thread", 1, None, None, None),
        "consumer-*": ("threading.Thread", 3, None, None, None),
        "main": ("threads", 1, None, None, None),
    }


def test_instances_apart(executors):
    program = executors()
    program.ask("executor a 4")
    program.ask("submit a 2")
    program.ask("executor b 3 resize")
    program.ask("submit b 5")
    started(program, "b", 3)
    program.ask("executor c 9 resize")
    program.ask("submit c 2")
    expected = one_of_each(program) | {
        "ThreadPoolExecutor-0_*": ("ThreadPoolExecutor", 2, 4, 2, 0),
        "resize_*": ("ThreadPoolExecutor", 3, 3, 3, 2),
        "resize_*#2": ("ThreadPoolExecutor", 2, 9, 2, 0),
        "asyncio_*": ("ThreadPoolExecutor", 3, min(32, os.cpu_count() + 4), 3, 0),
    }
    for name, count in (("a", 2), ("b", 3), ("c", 2)):
        started(program, name, count)
    target = run("dump", "--json", "-p", program.pid).target()
    assert {name: figures(pool) for name, pool in pools_of(target).items()} == expected
    assert [name for name, pool in pools_of(target).items() if pool["runtime_threads"]] == ["Pool-helpers"]
    harness.assert_adds_up(target)
    # The same threads have the same pools in the eyes of another agent.
    again = run("dump", "--json", "-p", program.pid).target()
    assert ({t["tid"]: t["pool"] for t in target["thread_list"]} == {t["tid"]: t["pool"] for t in again["thread_list"]})
    readings = again["runtime_readings"]
    assert readings["passes"] >= 1 and readings["failed_passes"] == 0 and readings["unread_threads"] == 0


def functions_given(program):
    """Threads without a frame of the program's own are told by what they were given."""
    program.ask("given")
    wait_for(lambda: program.ask("wait_threads 5")["count"] >= 5, "the threads to begin")
    expected = {"main": 1, "time.sleep": 2, "_thread.lock.acquire": 1, "threading.py:Event.wait": 1}
    threads = []

    def told():
        threads[:] = [(pool["name"], pool["threads"]) for pool in run("dump", "--json", "-p", program.pid).target()["pools"]]
        return dict(threads) == expected
    try:
        wait_for(told, "the functions to be told")
    except AssertionError:
        raise AssertionError(threads) from None


def test_functions_given(executors):
    functions_given(executors())


TWO_PACKAGES = """
import json, os, sys, threading
from pk1 import tasks as first
from pk2 import tasks as second
for tasks in (first, second, first, second, first):
    threading.Thread(target=tasks.run, daemon=True).start()
print(json.dumps({"ready": os.getpid()}), flush=True)
sys.stdin.read()
"""


def test_functions_of_one_name_in_two_packages(workload, tmp_path):
    for package in ("pk1", "pk2"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "tasks.py").write_text("import time\ndef run():\n    time.sleep(3600)\n")
    (tmp_path / "app.py").write_text(TWO_PACKAGES)
    program = workload(str(tmp_path / "app.py"))
    for _ in range(2):
        pools = pools_of(run("dump", "--json", "-p", program.pid).target())
        assert {name: pool["threads"] for name, pool in pools.items()} == {"main": 1, "tasks.py:run": 3, "tasks.py:run#2": 2}


def default_executors(program, module):
    """Of three loops that run: made by the loop itself, by the program, and by the program with a name; and one that is
    no loop's."""
    for commands, name, count in (((), "first", 3), (("executor made 5", "default second made"), "second", 2),
                                  (("executor named 7 mine", "default third named"), "third", 4),
                                  (("executor other 4",), "other", 1)):
        if name != "other":
            program.ask(f"loop {name} {module}")
        for command in (*commands, f"submit {name} {count}"):
            program.ask(command)
        started(program, name, count)  # pools of one name are numbered by age
    pools = pools_of(run("dump", "--json", "-p", program.pid).target())
    of_executors = {name: figures(pool) for name, pool in pools.items() if pool["kind"] == "ThreadPoolExecutor"}
    others = [name for name in of_executors if name.startswith("ThreadPoolExecutor-")]
    assert len(others) == 1 and of_executors.pop(others[0]) == ("ThreadPoolExecutor", 1, 4, 1, 0), pools
    assert of_executors.pop("asyncio_*")[1::2] == (3, 3), pools
    assert of_executors == {"asyncio_*#2": ("ThreadPoolExecutor", 2, 5, 2, 0), "mine_*": ("ThreadPoolExecutor", 4, 7, 4, 0)}


def test_default_executors_of_loops(executors):
    default_executors(executors(), "asyncio")


@pytest.mark.parametrize("oldest", ("executor", "threads"))
def test_plain_threads_are_no_workers_of_a_namesake(executors, watch, oldest):
    """Threads that carry the names that an executor gives to its workers."""
    program = executors()
    executor, threads = ("executor a 4 worker", "submit a 4"), ("threads w 2 worker _",)
    expected = [("worker_*", ("ThreadPoolExecutor", 4, 4, 4, 0)), ("worker_*#2", ("threading.Thread", 2, None, None, None))]
    if oldest == "threads":
        expected = [("worker_*", expected[1][1]), ("worker_*#2", expected[0][1])]
    early = watch(program.pid, "--limit", "worker_*:threads=100%", after=4)
    for command in executor + threads if oldest == "executor" else threads + executor:
        program.ask(command)
        time.sleep(1.2)  # the agent that is there already sees the one before the other
    started(program, "a", 4)
    started(program, "w", 2)
    early = early.wait()
    assert "OVER" not in early.err
    for target in (early.target(), run("dump", "--json", "-p", program.pid).target()):
        pools = pools_of(target)
        assert [(name, figures(pools[name])) for name in sorted(pools) if name.startswith("worker")] == expected


def test_one_at_a_time_is_one_pool(executors, watch):
    """Each begins when the one before has ended, between two looks."""
    program = executors()
    program.ask("turns t 2 0.9")
    pools = pools_of(watch(program.pid, after=6).wait().target())
    assert [name for name in pools if name.startswith("t_")] == ["t_*"]
    assert pools["t_*"]["threads_peak"] == 2 and pools["t_*"]["threads_started"] >= 8


def test_a_creator_has_no_guests(executors):
    """Workers that live for moments only are in no pool of who made them, whenever one looks."""
    program = executors()
    program.ask("turns t 7 0.02")
    for _ in range(8):
        target = run("dump", "--json", "--after", "0.5", "-p", program.pid).target()
        driver = pools_of(target)["driver"]
        assert (driver["threads"], driver["threads_peak"]) == (1, 1), [t for t in target["thread_list"] if t["pool"] == "driver"]


def test_what_each_worker_runs(executors):
    program = executors()
    program.ask("executor a 2 spinner")
    program.ask("spin a 2")
    started(program, "a", 2)
    wait_for(lambda: [t["doing"] for t in run("dump", "--json", "-p", program.pid).target()["thread_list"]
                      if t["pool"] == "spinner_*"] == [f"spin (executors.py:{SPIN})"] * 2, "both workers to spin")
    done = run("dump", "-p", program.pid)
    assert done.code == 0
    for word in ("DOING", f"spin (executors.py:{SPIN})", "spinner_*", "BUSY", "QUEUE", "2/-/2"):
        assert word in done.out, (word, done)
    program.ask("open a")


def test_rules_of_the_config_win(executors, tmp_path):
    program = executors()
    program.ask("executor a 2 resize")
    program.ask("submit a 2")
    started(program, "a", 2)
    config = tmp_path / "poolscope.yaml"
    config.write_text("targets:\n  - name: x\n    match: { name: python3 }\n"
                      "    pool_rules:\n      - { pool: mine, kind: our workers, module: \"python3*\" }\n")
    done = run("dump", "--json", "-c", config, "-p", program.pid)
    pools = pools_of(done.target())
    assert set(pools) == {"main", "mine"} and figures(pools["mine"]) == ("our workers", 2, 2, 2, 0)


def test_limit_in_percent_of_the_capacity(executors):
    program = executors()
    program.ask("executor a 4 resize")
    program.ask("submit a 3")
    started(program, "a", 3)
    target = run("dump", "--json", "--limit", "resize_*:threads=50%", "-p", program.pid).target()
    limit, = pools_of(target)["resize_*"]["limits"]
    assert (limit["value"], limit["max"], limit["state"]) == (3, 2, "over")


def test_in_other_namespaces(workload, tmp_path):
    """Another PID namespace, and an interpreter that is to be seen in its own mount namespace alone."""
    inner = tmp_path / "inner"
    inner.mkdir()
    script = f"mount -t tmpfs none {inner} && cp /usr/bin/python3 {inner}/python3 && exec {inner}/python3 {SOURCE}"
    program = workload("executors.py", prefix=("unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c",
                                               script, "--"))
    assert not (inner / "python3").exists()
    program.ask("executor a 2 resize")
    program.ask("submit a 5")
    started(program, "a", 2)
    target = run("dump", "--json", "-p", program.pid).target()
    assert target["ns_pid"] != target["pid"]
    assert figures(pools_of(target)["resize_*"]) == ("ThreadPoolExecutor", 2, 2, 2, 3)


EMBED = """#include <Python.h>
int main(int argc, char **argv) { return Py_BytesMain(argc, argv); }
"""


def build_embedded(folder):
    """A program of another name with the interpreter in it, statically, position independent."""
    ask = "import sysconfig; print(sysconfig.get_paths()['include']); print(sysconfig.get_config_var('LIBPL')); " \
          "print(sysconfig.get_config_var('LDVERSION'))"
    include, library, version = subprocess.run(["/usr/bin/python3", "-c", ask], check=True, stdout=subprocess.PIPE,
                                               text=True).stdout.split()
    (folder / "embed.c").write_text(EMBED)
    subprocess.run(["cc", "-fPIE", "-pie", f"-I{include}", "-o", folder / "re[size]d", folder / "embed.c",
                    "-Wl,--export-dynamic", f"{library}/libpython{version}-pic.a", "-lm", "-lz", "-lexpat"], check=True)
    return folder / "re[size]d"


OLDER = """#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
void *_PyThreadState_Current;
static void *t_bootstrap(void *none) { return pause(), none; }
int main(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, t_bootstrap, NULL);
	printf("{\\"ready\\": %d}\\n", getpid());
	fflush(stdout);
	return getchar();
}
"""


def test_one_from_before_3_7_says_that_it_is_not_read(workload, tmp_path):
    """Debian has none: by the one symbol that shows it."""
    (tmp_path / "older.c").write_text(OLDER)
    subprocess.run(["cc", "-pthread", "-rdynamic", "-o", tmp_path / "older", tmp_path / "older.c"], check=True)
    program = workload(str(tmp_path / "older"))
    target = run("dump", "--json", "-p", program.pid).target()
    assert target["runtime"] == "cpython before 3.7 (executors not read)"
    assert {pool: figures["threads"] for pool, figures in pools_of(target).items()} == {"main": 1, "older:t_bootstrap": 1}


class Embedded(harness.Workload):
    def __init__(self, program):
        self.embedded = program
        super().__init__("executors.py")

    def program(self, name):  # pylint: disable=arguments-differ
        return [str(self.embedded), str(SOURCE)]


embedded = factory(Embedded)


def test_embedded_in_another_program(embedded, tmp_path):
    program = embedded(build_embedded(tmp_path))
    program.ask("executor a 2 resize")
    program.ask("submit a 5")
    started(program, "a", 2)
    target = run("dump", "--json", "-p", program.pid).target()
    assert figures(pools_of(target)["resize_*"]) == ("ThreadPoolExecutor", 2, 2, 2, 3)
    assert target["runtime"].startswith("cpython 3.")


def test_through_another_procfs(executors, tmp_path):
    """Memory is read by /proc/PID/mem then: PIDs of that procfs mean nothing to system calls."""
    program = executors()
    program.ask("executor a 2 resize")
    program.ask("submit a 5")
    started(program, "a", 2)
    other = tmp_path / "proc"
    other.mkdir()
    subprocess.run(["mount", "--bind", "/proc", other], check=True)
    try:
        target = run("dump", "--json", "--procfs", other, "-p", program.pid).target()
    finally:
        subprocess.run(["umount", other], check=True)
    assert figures(pools_of(target)["resize_*"]) == ("ThreadPoolExecutor", 2, 2, 2, 3)


@pytest.fixture(scope="session")
def probe(tmp_path_factory):
    """probe_cpython, linked with the sanitized agent."""
    return build_probe("tests/live/probe_cpython.c", tmp_path_factory.mktemp("cpython"))


def walk_under_churn(program, probe, seconds=CHURN_SECONDS):
    """As many passes as wanted, or as fit: executors, pools and threads come and go meanwhile. Threads carry their pool in
    the kernel's name for them."""
    program.ask("churn 3")
    done = subprocess.run([probe, str(program.pid), str(CHURN_PASSES), str(seconds)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=seconds + harness.PATIENCE)
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    found = json.loads(done.stdout)
    print(f"walk under churn: {found}", flush=True)
    assert found["wrong"] == 0, done.stderr.decode()[-4000:]
    assert found["passes"] >= 100 and found["checked"] >= 1000, found
    assert found["failed_passes"] * 10 <= found["passes"], found
    return found


def test_walk_under_churn(executors, probe):
    walk_under_churn(executors(), probe)


def test_a_limit_of_an_executor_does_not_wait_for_a_refresh(executors, exporter):
    program = executors()
    program.ask("executor a 4 resize")
    program.ask("submit a 2")
    started(program, "a", 2)
    serving = exporter("-p", program.pid, "--interval", "10m", "--limit", "resize_*:threads=2")
    program.ask("submit a 1")
    wait_for(lambda: any("pool=resize_*" in line and "state=over" in line for line in serving.log), "the limit to be over")


def test_a_snapshot_is_of_one_moment(executors, exporter):
    """Workers that end while it is made must not be busy in it and gone from it."""
    program = executors()
    serving = exporter("-p", program.pid, "-i", "100ms")
    for name in "abcd":
        program.ask(f"turns {name} 8 0.01")
    seen, until = {}, time.monotonic() + harness.PATIENCE
    while len(seen) < 100 and time.monotonic() < until:
        series = serving.series()
        seen[series["poolscope_snapshot_timestamp_seconds",]] = [
            (key[1:], figure, series["poolscope_pool_threads", *key[1:]])
            for key, figure in series.items() if key[0] == "poolscope_pool_threads_busy"]
    assert len(seen) == 100 and any(busy for pools in seen.values() for _, busy, _ in pools)
    assert not [pool for pools in seen.values() for pool in pools if pool[1] > pool[2]]


def test_offsets_are_those_of_the_headers():
    """The committed table against the headers of Debian's interpreter, where they are there."""
    include = subprocess.run(["/usr/bin/python3", "-c", "import sysconfig; print(sysconfig.get_paths()['include'])"],
                             check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    assert Path(include, "Python.h").exists(), "the package libpython3-dev is missing (tools/packages)"
    subprocess.run([ROOT / "tools/cpython-offsets", "--check", "/usr/bin/python3"], check=True)
