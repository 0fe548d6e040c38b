# SPDX-License-Identifier: GPL-2.0-only
"""How targets end or become something else: exit, signals, exec, fork."""
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exporter import Exporter
from fixtures import factory
from harness import BUILD, Agent, assert_adds_up, assert_identity, build_of_32_bits, run, wait_for

exporter = factory(Exporter)


def test_exit_code(puppet, watch):
    workload = puppet()
    watching = watch(workload.pid, after=30)
    workload.send("main quit 3")
    target = watching.wait().target()
    assert (target["ended"]["how"], target["ended"]["code"]) == ("exited", 3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV], ids=lambda s: s.name)
def test_signal(puppet, watch, number):
    workload = puppet()
    watching = watch(workload.pid, after=30)
    os.kill(workload.pid, number)
    target = watching.wait().target()
    assert (target["ended"]["how"], target["ended"]["code"]) == ("signalled", number)


def slowed(process):
    """Each poll() of it takes 0.3 s from here on."""
    tracer = subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-e", "trace=poll,ppoll", "-e",
                               "inject=poll,ppoll:delay_enter=300000", "-p", str(process.pid)])
    status = Path(f"/proc/{process.pid}/status")
    wait_for(lambda: "TracerPid:\t0\n" not in status.read_text(encoding="ascii"), "strace to attach")
    return tracer


def test_who_ends_while_it_is_read(puppet, watch):
    """The last that a refresh does before it says who is gone is a poll(): most ends fall into that."""
    for _ in range(5):
        workload = puppet()
        watching = watch(workload.pid, "--interval", "0.2", after=30)
        tracer = slowed(watching.process)
        time.sleep(0.6)
        os.kill(workload.pid, signal.SIGKILL)
        target = watching.wait().target()
        tracer.wait()
        assert (target["ended"]["how"], target["ended"]["code"]) == ("signalled", signal.SIGKILL)


def test_exec_drops_what_was(puppet, watch, final):
    workload = puppet()
    workload.script("main spawn a")
    watching = watch(workload.pid)
    workload.script("a mmap x 32M\na touch x")
    workload.send("main exec")
    assert workload.read()["ready"] == workload.pid
    workload.script("main mmap y 1M\nmain touch y")
    truth = workload.ask("truth")
    target = final(watching, workload)
    assert target["ended"] is None and target["pid"] == workload.pid
    assert target["threads"] == 2  # main and the one that reads commands
    main = next(t for t in target["thread_list"] if t["tid"] == truth["threads"]["main"]["tid"])
    # The rest is what the program's loader mapped, in the same thread.
    assert 1 << 20 <= main["memory"]["mmap"]["resident_bytes"] < 2 << 20
    assert target["memory"]["attributed_resident_bytes"] < 16 << 20
    assert_identity(target)
    assert_adds_up(target)


def test_exec_of_a_32_bit_program(puppet, watch, final, tmp_path):
    """None is attached to; one that comes so says that only its threads are known."""
    program = build_of_32_bits(tmp_path)
    workload = puppet()
    watching = watch(workload.pid)
    showing = Agent("top", "--interval", "0.2", "-p", workload.pid).attached(workload.pid)
    workload.send(f"main exec {program}")
    wait_for(lambda: Path(f"/proc/{workload.pid}/comm").read_text(encoding="ascii") == "program32\n", "its exec")
    time.sleep(1)
    for agent in (watching, showing):
        agent.process.send_signal(signal.SIGINT)
    target, shown = watching.wait().target(), showing.wait()
    assert (target["comm"], target["threads"], target["memory_traced"]) == ("program32", 1, False)
    assert_identity(target)
    assert "A 32-bit program" in shown.out, shown


def test_exec_by_another_thread_keeps_the_pid(puppet, watch, final):
    workload = puppet()
    workload.script("main spawn a")
    watching = watch(workload.pid)
    workload.send("a exec")
    assert workload.read()["ready"] == workload.pid
    target = final(watching, workload)
    assert target["ended"] is None and target["threads"] == 2
    assert_identity(target)


def test_children_are_left_alone(puppet, watch, final):
    workload = puppet()
    watching = watch(workload.pid)
    workload.script("main mmap x 2M\nmain touch x\nmain fork 1M")
    target = final(watching, workload)
    assert target["pid"] == workload.pid and target["threads"] == 2
    assert_identity(target)


def test_children_have_their_parents_name_until_they_call_exec(watch):
    """Those that were there at the attach as those that are forked later."""
    name = "import os, sys, time; open('/proc/self/comm', 'w').write('parent'); print(flush=True); sys.stdin.readline()"
    fork = ("[os.fork() or (open('/proc/self/comm', 'w').write(f'kid-{i}'), time.sleep(60)) for i in range(2)]; "
            "import subprocess; subprocess.Popen(['sleep', '60']); print(flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", f"{name}; {fork}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          start_new_session=True) as parent:
        try:
            parent.stdout.readline()
            agents = [watch(parent.pid, "-f", after=3)]
            parent.stdin.write(b"\n")
            parent.stdin.flush()
            parent.stdout.readline()
            agents.append(watch(parent.pid, "-f", after=1))
            for agent in agents:
                assert sorted(target["name"] for target in agent.wait().json()["targets"]) == ["parent"] * 3 + ["sleep"]
        finally:
            os.killpg(parent.pid, signal.SIGKILL)


def test_children_are_followed(puppet, watch):
    workload = puppet()
    watching = watch(workload.pid, "-f")
    workload.script("main mmap x 2M\nmain touch x")
    child = workload.ask("main fork 1M")["child"]
    workload.freeze()
    os.kill(child, signal.SIGSTOP)
    watching.process.send_signal(signal.SIGINT)
    targets = {target["pid"]: target for target in watching.wait().json()["targets"]}
    assert set(targets) == {workload.pid, child}
    assert targets[child]["parent_pid"] == workload.pid
    assert targets[child]["memory"]["unattributed"]["inherited"] >= 2 << 20
    made = next(t for t in targets[child]["thread_list"] if t["tid"] == child)
    assert made["memory"]["mmap"]["resident_bytes"] == 1 << 20
    main = next(t for t in targets[workload.pid]["thread_list"] if t["tid"] == workload.pid)
    assert main["memory"]["mmap"]["resident_bytes"] == 2 << 20
    for target in targets.values():
        assert_identity(target)


def test_children_that_hold_more_are_pointed_at(puppet, agent):
    workload = puppet()
    workload.ask("main fork 24M")
    words = "1 child holds 2"  # 24 MiB and what it inherited
    assert words in agent("dump", "-p", str(workload.pid)).wait().out
    assert "take them in with -f" in agent("dump", "-p", str(workload.pid)).wait().out
    assert words not in agent("dump", "-f", "-p", str(workload.pid)).wait().out


def test_a_child_in_the_same_memory_holds_nothing_of_its_own(puppet, agent):
    workload = puppet()
    workload.script("main mmap x 24M\nmain touch x")
    for _ in range(2):
        workload.ask("main vm-clone")
    assert "child" not in agent("dump", "-p", str(workload.pid)).wait().out


def test_children_that_are_there_are_taken_in_too(puppet, agent):
    workload = puppet()
    child = workload.ask("main fork 1M")["child"]
    done = agent("dump", "--json", "-f", "-p", str(workload.pid)).wait()
    targets = {target["pid"]: target for target in done.json()["targets"]}
    assert set(targets) == {workload.pid, child}
    assert targets[child]["memory"]["unattributed"]["before_attach"] >= 1 << 20


@pytest.mark.parametrize("options", [(), ("-f",)], ids=["alone", "with its children"])
def test_one_memory_is_one_target(puppet, agent, options):
    """A child in the same memory is in it, also where it was there before the attach and children are taken in."""
    workload = puppet()
    child = workload.ask("main vm-clone")["child"]
    done = agent("dump", "--json", *options, "-p", str(workload.pid)).wait()
    target = done.target()
    assert target["pid"] == workload.pid and child in {thread["tid"] for thread in target["thread_list"]}
    assert agent("dump", "--json", "-p", str(workload.pid), "-p", str(child)).wait().target()["pid"] == workload.pid


@pytest.fixture
def begetter():
    """A program that runs some code when it is told to, then says so and waits."""
    made = []

    def start(code):
        text = f"import os, subprocess, sys\nsys.stdin.readline()\n{code}\nprint('done', flush=True)\nsys.stdin.readline()"
        made.append(subprocess.Popen(["/usr/bin/python3", "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return made[-1]
    yield start
    for program in made:
        program.kill()
        program.communicate()


def begets(program):
    program.stdin.write("\n")
    program.stdin.flush()
    assert program.stdout.readline() == "done\n"


def test_programs_that_are_started_are_no_threads(agent, begetter):
    """subprocess makes vfork children: they live in the memory of the target until they exec."""
    target = begetter("for _ in range(20): subprocess.run(['/bin/true'])")
    watching = agent("dump", "--json", "--after", "60", "-p", str(target.pid)).attached(target.pid)
    begets(target)
    watching.process.send_signal(signal.SIGINT)
    shown = watching.wait().target()
    assert (shown["threads"], shown["threads_peak"]) == (1, 1)
    assert [pool["name"] for pool in shown["pools"]] == ["main"]


@pytest.mark.parametrize("code", ["subprocess.run(['/bin/true'])", "os.fork() or os._exit(0); os.wait()"], ids=["exec", "fork"])
def test_children_that_live_for_a_moment_have_ended(agent, begetter, code):
    """They end while they are being taken in, at any step of it: none of them is left over."""
    target = begetter(f"for _ in range(200):\n {code}")
    watching = agent("dump", "--json", "--after", "60", "-f", "-p", str(target.pid)).attached(target.pid)
    begets(target)
    watching.process.send_signal(signal.SIGINT)
    shown = watching.wait().json()["targets"]
    assert [one["pid"] for one in shown if not one["ended"]] == [target.pid]


@pytest.mark.parametrize("code", ["subprocess.Popen(['/bin/sleep', '60'])", "os.posix_spawn('/bin/sleep', ['sleep', '60'], {})",
                                  "os.fork() or os.execl('/bin/sleep', 'sleep', '60')"], ids=["vfork", "posix_spawn", "fork"])
def test_who_comes_by_an_exec_has_inherited_nothing(agent, begetter, code):
    """Its stack and first heap are its own, whichever way it was made."""
    target = begetter(code)
    watching = agent("dump", "--json", "--after", "60", "-f", "-p", str(target.pid)).attached(target.pid)
    begets(target)
    child = wait_for(lambda: Path(f"/proc/{target.pid}/task/{target.pid}/children").read_text(), "its child")
    wait_for(lambda: Path(f"/proc/{int(child)}/comm").read_text() == "sleep\n", "the exec")
    time.sleep(0.5)  # it maps its libraries
    watching.process.send_signal(signal.SIGINT)
    made = next(one for one in watching.wait().json()["targets"] if one["pid"] == int(child))
    os.kill(int(child), signal.SIGKILL)
    assert made["memory"]["unattributed"]["inherited"] == 0
    assert made["pools"][0]["memory"]["stack"]["resident_bytes"] > 0 and made["pools"][0]["memory"]["heap"]["resident_bytes"] > 0
    assert_identity(made)


# Each is in the end a child of init, and lives until its input ends.
DOUBLE_FORKS = {
    "double fork": "if not os.fork():\n if os.fork(): os._exit(0)\n os.setsid()\n sys.stdin.readline()\n os._exit(0)\nos.wait()",
    "setsid -f": "subprocess.run(['setsid', '-f', 'cat'])",
    "shell": "subprocess.run(['sh', '-c', 'exec 3<&0; (cat <&3 &)'])",
}


@pytest.mark.parametrize("code", DOUBLE_FORKS.values(), ids=DOUBLE_FORKS)
def test_who_was_forked_by_one_that_ended_at_once(agent, begetter, code):
    """A family is who was forked by whom, whoever is in /proc its parent by now."""
    target = begetter(code)
    watching = agent("dump", "--after", "60", "-f", "-p", str(target.pid)).attached(target.pid)
    watching.process.send_signal(signal.SIGSTOP)  # it finds nobody but the last of them
    begets(target)
    watching.process.send_signal(signal.SIGCONT)
    watching.process.send_signal(signal.SIGINT)
    done = watching.wait()
    table = done.out[done.out.index("  PID PROCESS "):].split("\n\n")[0].splitlines()
    living = [line.split()[0] for line in table[1:] if " ended " not in line]
    assert living[0] == str(target.pid) and len(living) == 3 and living[2] == "total", done
    assert table[-1].startswith("total 2 processes "), done
    assert done.out.count("  PID PROCESS ") == 1, done


@pytest.mark.parametrize("strict", ["between", "after"])
def test_an_image_that_is_over_before_it_is_read_is_judged_by_its_own_limits(puppet, exporter, tmp_path, strict):
    """Of three in one go the agent reads /proc when the third is there."""
    for name in "between", "after":
        shutil.copy(BUILD / "workloads/puppet", tmp_path / name)
    config = tmp_path / "config.yaml"
    config.write_text("targets:\n" + "".join(
        f"  - {{ match: {{ name: {name} }}, pools: [{{ pool: 'q-*', threads: {2 if name == strict else 50}, clear_for: 0s }}] }}\n"
        for name in ("puppet", "between", "after")))
    workload = puppet()
    serving = exporter("-c", config, "-p", workload.pid)
    serving.wait_value(1, "poolscope_processes", process="puppet")
    serving.process.send_signal(signal.SIGSTOP)
    workload.send(f"main exec {tmp_path}/between")
    assert workload.read()["ready"] == workload.pid
    for who in "abcd":
        workload.script(f"main spawn {who}\n{who} name {b'q-1'.hex()}")
    workload.send(f"main exec {tmp_path}/after")
    assert workload.read()["ready"] == workload.pid
    serving.process.send_signal(signal.SIGCONT)
    serving.wait_value(1, "poolscope_processes", process="after")
    serving.wait_value(4, "poolscope_pool_threads_started_total", process="between", pool="q-*")
    found = {name: serving.value("poolscope_pool_limit_violations_total", process=name, pool="q-*", limit="threads")
             for name in ("puppet", "between", "after")}
    assert found == {"puppet": None, "between": int(strict == "between"), "after": None}
