# SPDX-License-Identifier: GPL-2.0-only
"""Pools' names over time and over restarts of poolscope: an agent that saw every birth and one that came late put the
same threads into pools of the same names; what folds is bounded and the same for both; who empties stays listed."""
from pathlib import Path

from harness import run
from programs import compiled, program  # noqa: F401 pylint: disable=unused-import
from test_cpython import executors, exporter, pools_of, started  # noqa: F401 pylint: disable=unused-import

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
MIB = 1 << 20


def placed(target):
    return {thread["tid"]: thread["pool"] for thread in target["thread_list"]}


def compared(watching, final, started_program, *options):
    """The pools by name, as the agent that was there all the time and two that came late have them alike."""
    late = [run("dump", "--json", "-p", started_program.pid, *options).target() for _ in range(2)]
    early = final(watching, started_program)
    for other in late:
        assert placed(other) == placed(early)
    return pools_of(early)


def test_unnamed_executors_have_the_number_that_python_gave_them(executors, watch, final):
    program = executors()
    watching = watch(program.pid)
    for command in ("executor a 2", "executor b 3", "executor c 4", "submit b 3", "submit c 1", "submit a 2"):
        program.ask(command)
    for name, count in (("b", 3), ("c", 1), ("a", 2)):
        started(program, name, count)
    pools = compared(watching, final, program)
    assert {name: pool["capacity"] for name, pool in pools.items() if name != "main"} == {
        "ThreadPoolExecutor-0_*": 2, "ThreadPoolExecutor-1_*": 3, "ThreadPoolExecutor-2_*": 4}


def test_namesakes_are_numbered_by_their_oldest_worker(executors, watch, final):
    """Not by when they were made, nor by where their objects lie."""
    program = executors()
    watching = watch(program.pid)
    for number in range(1, 7):
        program.ask(f"executor x{number} {number} resize")
    order = (4, 1, 6, 2, 5, 3)
    for number in order:
        program.ask(f"submit x{number} {number}")
        started(program, f"x{number}", number)
    pools = compared(watching, final, program)
    names = ["resize_*"] + [f"resize_*#{number}" for number in range(2, 7)]
    assert {name: pools[name]["capacity"] for name in names} == dict(zip(names, order))


def test_a_namesake_keeps_its_name_when_an_older_one_goes(executors, exporter):
    program = executors()
    serving = exporter("-p", program.pid, "--interval", "0.2")
    for name, workers in (("a", 2), ("b", 3)):
        program.ask(f"executor {name} {workers} resize")
        program.ask(f"submit {name} {workers}")
        started(program, name, workers)
    second = {"process": "python3", "pool": "resize_*#2"}
    serving.wait_value(3, "poolscope_pool_threads", **second)
    program.ask("open a")
    program.ask("shutdown a")
    serving.wait_value(0, "poolscope_pool_threads", process="python3", pool="resize_*")
    assert serving.value("poolscope_pool_threads", **second) == 3
    # The next of that name takes the number that is free: names do not grow with each that comes and goes.
    program.ask("executor c 4 resize")
    program.ask("submit c 4")
    serving.wait_value(4, "poolscope_pool_threads", process="python3", pool="resize_*")
    assert serving.value("poolscope_pool_threads_capacity", **second) == 3
    serving.wait_value(6, "poolscope_pool_threads_started_total", process="python3", pool="resize_*")


def families(started_program, names):
    """A thread of each name; the younger it is the smaller its tid, as after the end of the range of tids."""
    for place, name in enumerate(names):
        LAST_PID.write_text(str(30000 - 200 * place))
        started_program.ask(name)
    tids = [int(task.name) for task in Path(f"/proc/{started_program.pid}/task").iterdir()]
    by_name = {Path(f"/proc/{started_program.pid}/task/{tid}/comm").read_text().strip(): tid for tid in tids}
    assert sorted(names, key=by_name.get, reverse=True) == names, by_name


def test_the_first_sixteen_families_stay_apart(program, tmp_path, watch, final):
    started_program = program(compiled(tmp_path, "families.c", "gcc"))
    watching = watch(started_program.pid)
    families(started_program, [f"job{number}-0" for number in range(20)])
    pools = compared(watching, final, started_program)
    assert {name: pool["threads"] for name, pool in pools.items()} == {
        "main": 1, **{f"job{number}-*": 1 for number in range(16)}, "job*-*": 4}


def test_the_first_of_all_stay_apart(program, tmp_path, watch, final):
    config = tmp_path / "poolscope.yaml"
    config.write_text("defaults:\n  max_pools: 5\n")
    started_program = program(compiled(tmp_path, "families.c", "gcc"))
    watching = watch(started_program.pid, "-c", config)
    names = [letter * 3 for letter in "hbgafced"]
    families(started_program, names)
    pools = compared(watching, final, started_program, "-c", config)
    assert {name: pool["threads"] for name, pool in pools.items()} == {
        "main": 1, "other": 3, **{name: 1 for name in names[:5]}}


def test_the_first_of_pythons_threads_stay_apart(executors, watch, final, tmp_path):
    """Whose order in memory says nothing about their age: states of ended threads are used again."""
    program = executors()
    watching = watch(program.pid)
    program.ask("executor warm 20")
    program.ask("submit warm 20")
    started(program, "warm", 20)
    program.ask("open warm")
    program.ask("shutdown warm")
    for number in range(20):
        program.ask(f"threads x{number} 1 job{number}")
        started(program, f"x{number}", 1)
    pools = compared(watching, final, program)
    kept = {f"job{number}-*": 1 for number in range(16)}
    assert {name: pool["threads"] for name, pool in pools.items() if pool["threads"]} == {
        "main": 1, **kept, "job*-*": 4}
    config = tmp_path / "poolscope.yaml"
    config.write_text("defaults:\n  max_pools: 5\n")
    target = run("dump", "--json", "-p", program.pid, "-c", config).target()
    assert {name: pool["threads"] for name, pool in pools_of(target).items()} == {
        "main": 1, "other": 15, **{f"job{number}-*": 1 for number in range(5)}}


def test_who_empties_stays_with_what_it_orphaned(executors, exporter):
    program = executors()
    serving = exporter("-p", program.pid, "--interval", "0.2")
    pool = {"process": "python3", "pool": "resize_*"}
    program.ask("executor a 3 resize")
    program.ask("submit a 3")
    started(program, "a", 3)
    serving.wait_value(3, "poolscope_pool_threads", **pool)
    program.ask("open a")
    program.ask("hold a 6 4096")
    program.ask("shutdown a")
    serving.wait_value(0, "poolscope_pool_threads", **pool)
    serving.wait_value(3, "poolscope_pool_threads_exited_total", **pool)
    orphaned = serving.value("poolscope_pool_memory_orphaned_bytes", **pool)
    assert 24 * MIB <= orphaned <= 34 * MIB, orphaned
    assert serving.value("poolscope_pool_memory_resident_bytes", region="mmap", **pool) >= 24 * MIB
    # It comes back under its name, with new workers, and what the former ones left is still told apart.
    program.ask("executor b 2 resize")
    program.ask("submit b 2")
    serving.wait_value(2, "poolscope_pool_threads", **pool)
    serving.wait_value(5, "poolscope_pool_threads_started_total", **pool)
    assert serving.value("poolscope_pool_memory_orphaned_bytes", **pool) >= 24 * MIB
