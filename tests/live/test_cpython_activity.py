# SPDX-License-Identifier: GPL-2.0-only
"""Who is busy and who is idle, and of which executor, where it is hard to tell: functions of C as tasks and initializers,
executors that nobody holds, a queue at the address of another's, deep recursion."""
import signal

from harness import run, wait_for
from test_cpython import dump_until, executors, exporter, figures, pools_of, settled, started  # noqa: F401 pylint: disable=unused-import

DEPTHS = 700, 4000  # frames


def c_functions(program):
    """One worker of three executes nothing."""
    program.ask("executor a 3 resize")
    program.ask("submit a 3")  # so that there are three
    started(program, "a", 3)
    program.ask("open a")
    program.ask("pool p 3")
    for name in "a", "p":
        program.ask(f"block {name} 2")
    target = dump_until(program, lambda pools: {settled(name, 2, 0)(pools) for name in ("resize_*", "ThreadPool")} == {True},
                        "two of three to be busy in both")
    assert figures(pools_of(target)["resize_*"]) == ("ThreadPoolExecutor", 3, 3, 2, 0)
    assert figures(pools_of(target)["ThreadPool"]) == ("ThreadPool", 3, 3, 2, 0)
    of = {name: {thread["busy"]: thread["doing"] for thread in target["thread_list"] if thread["pool"] == name}
          for name in ("resize_*", "ThreadPool")}
    assert "run (thread.py:" in of["resize_*"][True], of
    assert of["ThreadPool"][True].startswith("worker (pool.py:"), of
    assert of["resize_*"][False] is None and of["ThreadPool"][False] is None, of
    for name in "a", "p":
        program.ask(f"unblock {name} 2")
    dump_until(program, lambda pools: {settled(name, 0, 0)(pools) for name in ("resize_*", "ThreadPool")} == {True},
               "all to be idle")


def c_initializers(program):
    """Who is in his initializer executes what he was given, whatever language it is in."""
    program.ask("begin early executor 3")
    program.ask("begin p pool 2")
    target = dump_until(program, lambda pools: settled("early_*", 3, 3)(pools) and settled("ThreadPool", 2, 0)(pools),
                        "the initializers to begin")
    assert figures(pools_of(target)["early_*"]) == ("ThreadPoolExecutor", 3, 3, 3, 3)
    program.ask("unblock early 3")
    program.ask("unblock p 2")
    dump_until(program, lambda pools: settled("early_*", 0, 0)(pools) and settled("ThreadPool", 0, 0)(pools),
               "all to be idle")


def dropped_executor(program):
    """Its workers go on to the end of the queue, in which there is an end for each of them."""
    program.ask("drop lost 5 12")
    started(program, "lost", 5)
    pools = pools_of(run("dump", "--json", "-p", program.pid).target())
    assert figures(pools["lost_*"]) == ("ThreadPoolExecutor", 5, None, 5, 7)
    program.ask("open lost")


def queue_at_an_address_used_before(program, watch):
    program.ask("executor a 3 alpha")
    program.ask("submit a 3")
    started(program, "a", 3)
    watching = watch(program.pid, "--interval", "60s")  # no refresh between the first and the last
    program.ask("open a")
    program.ask("replace a b 5 beta")
    program.ask("submit b 7")
    started(program, "b", 5)
    watching.process.send_signal(signal.SIGINT)
    pools = pools_of(watching.wait().target())
    assert figures(pools["beta_*"]) == ("ThreadPoolExecutor", 5, 5, 5, 2)
    assert figures(pools["alpha_*"]) == ("ThreadPoolExecutor", 0, None, 0, None)


def deep_recursion(program, depth):
    program.ask("executor a 2 resize")
    program.ask("submit a 2")
    started(program, "a", 2)
    program.ask("open a")
    program.ask(f"recurse a {depth}")
    started(program, "a", 1)
    target = dump_until(program, settled("resize_*", 1, 0), "one to be busy")
    assert figures(pools_of(target)["resize_*"]) == ("ThreadPoolExecutor", 2, 2, 1, 0)
    assert set(pools_of(target)) == {"main", "resize_*"}
    assert target["runtime_readings"]["unread_threads"] == 0
    program.ask("open a")


def stacks_apart(program):
    """Frames that do not lead back to where the thread began, as a greenlet's: attached to then, and when it is back."""
    program.ask("executor a 3 some")
    program.ask("submit a 3")
    started(program, "a", 3)
    program.ask("open a")
    program.ask("executor b 2 all")
    program.ask("pool p 2")
    for name, count in (("a", 2), ("b", 3), ("p", 1)):
        program.ask(f"apart {name} {count}")
    program.ask("thread_apart t")
    program.ask("thread_apart n named-7")
    for name, count in (("a", 2), ("b", 2), ("p", 1), ("t", 1), ("n", 1)):
        started(program, name, count)
    target = dump_until(program, lambda pools: settled("some_*", 2, 0)(pools) and settled("ThreadPool", 1, 0)(pools),
                        "the others to be idle")
    pools = pools_of(target)
    assert figures(pools["some_*"]) == ("ThreadPoolExecutor", 3, 3, 2, 0)
    assert figures(pools["all_*"]) == ("ThreadPoolExecutor", 2, 2, 2, 1)
    assert figures(pools["ThreadPool"]) == ("ThreadPool", 2, 2, 1, 0)
    assert set(pools) == {"main", "some_*", "all_*", "ThreadPool", "Pool-helpers", "executors.py:apart", "named-*"}
    assert target["runtime_readings"]["unread_threads"] == 0
    for name in "a", "b", "p":
        program.ask(f"open {name}")
    dump_until(program, lambda pools: {settled(name, 0, 0)(pools) for name in ("some_*", "all_*", "ThreadPool")} == {True},
               "all to be idle")


def test_stacks_apart(executors):  # noqa: F811
    stacks_apart(executors())


def test_stacks_apart_are_told_by_who_watches(executors, exporter):  # noqa: F811
    """Workers that are known go to another stack; others are seen there first, and are idle when they are back."""
    program = executors()
    program.ask("executor a 2 known")
    program.ask("submit a 2")
    started(program, "a", 2)
    program.ask("executor b 2 new")
    serving = exporter("-p", program.pid, "--interval", "0.2")
    serving.wait_value(2, "poolscope_pool_threads_busy", process="python3", pool="known_*")
    program.ask("open a")
    serving.wait_value(0, "poolscope_pool_threads_busy", process="python3", pool="known_*")
    for name in "a", "b":
        program.ask(f"apart {name} 2")
    for pool in "known_*", "new_*":
        serving.wait_value(2, "poolscope_pool_threads_busy", process="python3", pool=pool)
        assert serving.value("poolscope_pool_threads", process="python3", pool=pool) == 2
    for name in "a", "b":
        program.ask(f"open {name}")
    for pool in "known_*", "new_*":
        serving.wait_value(0, "poolscope_pool_threads_busy", process="python3", pool=pool)
        assert serving.value("poolscope_pool_threads", process="python3", pool=pool) == 2


def test_functions_of_c(executors):  # noqa: F811
    c_functions(executors())


def test_initializers_of_c(executors):  # noqa: F811
    c_initializers(executors())


def test_dropped_executor(executors):  # noqa: F811
    dropped_executor(executors())


def test_queue_at_an_address_used_before(executors, watch):  # noqa: F811
    queue_at_an_address_used_before(executors(), watch)


def test_deep_recursion(executors):  # noqa: F811
    for depth in DEPTHS:
        deep_recursion(executors(), depth)


def test_deeper_than_it_is_followed(executors):  # noqa: F811
    """Of whom it can't be told whose worker he is, it is told what he does; and of no executor how many are busy."""
    program = executors()
    program.ask("executor a 2 resize")
    program.ask("submit a 2")
    started(program, "a", 2)
    program.ask("open a")
    program.ask("recurse a 40000")
    started(program, "a", 1)
    target = run("dump", "--json", "-p", program.pid).target()
    pools = pools_of(target)
    assert (pools["resize_*"]["threads"], pools["resize_*"]["busy"]) == (1, None)
    assert target["runtime_readings"]["unread_threads"] > 0
    assert len([thread for thread in target["thread_list"] if (thread["doing"] or "").startswith("Condition.wait")]) == 1


def test_how_old_a_reading_is(executors, exporter):  # noqa: F811
    """With a budget that has no room for one at each refresh, figures say how old they are; with the usual one they are new."""
    program = executors()
    program.ask("executor a 60 resize")
    program.ask("submit a 60")
    started(program, "a", 60)
    usual, small = (exporter("-p", program.pid, "--interval", "0.2", "--cpu-budget", budget) for budget in ("1", "0.01"))
    age = "poolscope_process_activity_age_seconds"
    wait_for(lambda: (small.value(age, process="python3") or 0) > 1.5, "a reading that is put off")
    assert usual.value(age, process="python3") < 1
    for serving in (usual, small):
        serving.wait_value(60, "poolscope_pool_threads_busy", process="python3", pool="resize_*")
    program.ask("open a")
    usual.wait_value(0, "poolscope_pool_threads_busy", process="python3", pool="resize_*")
    busy, old = (small.value(name, process="python3", **more) for name, more in
                 (("poolscope_pool_threads_busy", {"pool": "resize_*"}), (age, {})))
    assert busy == 0 or old > 0.1, "an old figure that says that it is new"
    small.wait_value(0, "poolscope_pool_threads_busy", process="python3", pool="resize_*")
