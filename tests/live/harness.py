# SPDX-License-Identifier: GPL-2.0-only
"""Starts workloads and poolscope, talks to them, and compares what they say. It must not know how
poolscope works inside: only its command line, its JSON and what /proc shows of it."""
import json
import os
import re
import select
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("O", "build"))
BUILD = BUILD if BUILD.is_absolute() else ROOT / BUILD
POOLSCOPE = os.environ.get("POOLSCOPE", str(BUILD / "poolscope"))
SANITIZED = str(BUILD / "san/poolscope")
PATIENCE = 60  # seconds until a test gives up; never a figure that decides a result
REGIONS = ("stack", "arena", "heap", "mmap")


def build_probe(source, folder, *options):
    """A program of the tests, linked with the sanitized agent; its path."""
    # As the tree was built: by another name of the same folder, make sees no header that has changed.
    build = os.environ.get("O", "build")
    archive = f"{build}/san/libagent.a"
    subprocess.run(["make", "-s", "--no-print-directory", f"O={build}", archive], cwd=ROOT, check=True)
    libraries = "libbpf libelf libdw zlib ncursesw libmicrohttpd jansson libfyaml libcap-ng".split()
    flags = subprocess.run(["pkg-config", "--libs", *libraries], check=True, stdout=subprocess.PIPE, text=True).stdout
    program = folder / Path(source).stem
    subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", "-pthread", "-fsanitize=address,undefined", "-Iagent",
                    "-Iinclude", "-o", program, *options, source, archive, *flags.split(), "-liberty", "-lm"], cwd=ROOT, check=True)
    return program


def build_of_32_bits(folder):
    """A program that says `ready` and sleeps; its path."""
    program = folder / "program32"
    subprocess.run(["gcc", "-m32", "-nostdlib", "-static", "-ffreestanding", "-fno-pic", "-no-pie", "-O1", "-o", program,
                    ROOT / "tests/live/program32.c"], check=True)
    assert program.read_bytes()[4] == 1, "not ELFCLASS32"
    return program


def wait_for(condition, what):
    """Polls until condition() is true and returns its value."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {PATIENCE} s in vain for {what}")


class Workload:
    """A program of tests/workloads that takes commands on stdin and answers with JSON lines."""

    def __init__(self, *command, prefix=(), env=None, held=None):
        """held(pid) is called before the program's exec: whoever attaches in it sees all that the program does."""
        argv = [*map(str, prefix), *self.program(command[0]), *map(str, command[1:])]
        if held:
            argv = ["/bin/sh", "-c", 'kill -STOP $$; exec "$@"', "sh", *argv]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=env)
        self.buffer = b""
        if held:
            self.pid = self.process.pid
            wait_for(lambda: set(self.thread_states()) == {"T"}, "the program to hold before its exec")
            held(self.pid)
            os.kill(self.pid, signal.SIGCONT)
        self.greeting = self.read()
        self.ns_pid = self.greeting["ready"]
        self.pid = self.ns_pid
        if prefix:  # seen from here it has another number than it sees itself
            self.pid = wait_for(self._descendant, "the workload's PID outside its namespace")

    @staticmethod
    def program(name):
        if str(name).endswith(".py"):
            return ["/usr/bin/python3", str(ROOT / "tests/workloads" / name)]
        return [str(BUILD / "workloads" / name)]

    def _descendant(self):
        pid = self.process.pid
        while Path(f"/proc/{pid}/comm").read_text().strip() not in ("pools", "puppet", "python3", "duty", "blocks"):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if not children:
                return None
            pid = int(children[0])
        return pid

    def read(self):
        end = time.monotonic() + PATIENCE
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise AssertionError("the workload does not answer")
            data = os.read(self.process.stdout.fileno(), 1 << 20)
            if not data:
                raise AssertionError(f"the workload ended with {self.process.wait()}")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def send(self, command):
        self.process.stdin.write(command.encode() + b"\n")

    def ask(self, command):
        self.send(command)
        answer = self.read()
        assert "error" not in answer, f"{command}: {answer['error']}"
        return answer

    def script(self, text):
        for line in filter(None, map(str.strip, text.splitlines())):
            self.ask(line)

    def freeze(self):
        """Stops it, and returns when every thread of it has stopped."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_for(lambda: all(state in "TtZX" for state in self.thread_states()), "the target to stop")

    def thread_states(self):
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            yield task.joinpath("stat").read_text().rsplit(")", 1)[1].split()[0]

    def host_tids(self):
        """tid as the workload sees it -> tid as seen from here"""
        tids = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            inner = re.search(r"^NSpid:.*?(\d+)$", task.joinpath("status").read_text(), re.M)[1]
            tids[int(inner)] = int(task.name)
        return tids

    def close(self):
        for pid in {self.pid, self.process.pid}:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Pools(Workload):
    def __init__(self, *pools, options=(), prefix=()):
        arguments = [word for pool in pools for word in ("--pool", pool)]
        super().__init__("pools", "--control", "--wait", *arguments, *options, prefix=prefix)

    def fill(self):
        """Starts the pools, waits until they are full and stand still, and returns the truth."""
        for command in ("start", "full", "still"):
            self.ask(command)
        return self.ask("truth")


class Puppet(Workload):
    def __init__(self, prefix=()):
        super().__init__("puppet", prefix=prefix)


class Ended:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"exit code {self.code}\n--- stdout\n{self.out[-4000:]}\n--- stderr\n{self.err[-4000:]}"

    def json(self):
        assert self.code == 0, self
        return json.loads(self.out)

    def target(self):
        targets = self.json()["targets"]
        assert len(targets) == 1, self
        return targets[0]


# epoll_wait, epoll_pwait, epoll_pwait2 of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl); epoll_pwait of arm64.
EPOLL_WAITS = {"232", "281", "441", "22"}


class Agent:
    """A running poolscope."""

    def __init__(self, *arguments, binary=None, prefix=(), **options):
        argv = [*map(str, prefix), binary or POOLSCOPE, *map(str, arguments)]
        options.setdefault("stdout", subprocess.PIPE)
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)

    def attached(self, pid):
        """Waits until it watches the target: it holds its page tables, and has come to wait for events; between the two
        it reads what is there already."""
        def holds():
            folder = f"/proc/{self.process.pid}/fd"
            names = []
            for fd in os.listdir(folder):
                try:
                    names.append(os.readlink(f"{folder}/{fd}"))
                except FileNotFoundError:
                    pass
            return f"/proc/{pid}/pagemap" in names or f"/proc/{pid}/maps" in names
        def waits():
            with open(f"/proc/{self.process.pid}/syscall", encoding="ascii") as syscall:
                return syscall.read().split()[0] in EPOLL_WAITS
        def done():
            if self.process.poll() is not None:
                raise AssertionError(f"poolscope ended before it attached: {self.wait()}")
            return holds() and waits()
        wait_for(done, "poolscope to attach")
        return self

    def running(self):
        return self.process.poll() is None

    def wait(self):
        out, err = self.process.communicate(timeout=PATIENCE)
        return Ended(self.process.returncode, (out or b"").decode(errors="surrogateescape"),
                     err.decode(errors="surrogateescape"))

    def close(self):
        if self.running():
            self.process.kill()
        self.process.communicate()


def run(*arguments, **options):
    """poolscope ARGUMENTS to its end."""
    agent = Agent(*arguments, **options)
    try:
        return agent.wait()
    finally:
        agent.close()


def close_enough(measured, truth):
    return measured is not None and abs(measured - truth) <= max(64 << 10, truth // 100)


def regions_of(memory):
    return {region: memory[region]["resident_bytes"] for region in REGIONS}


def assert_identity(target):
    """Rule 7: on a stopped target what was counted is what the kernel says, to the byte."""
    memory = target["memory"]
    assert memory["unexplained_bytes"] == 0, memory
    assert memory["attributed_resident_bytes"] == sum(pool["memory"]["resident_bytes"] for pool in target["pools"])
    assert memory["unattributed_bytes"] == sum(memory["unattributed"].values())
    assert memory["rss_anon_bytes"] == memory["attributed_resident_bytes"] + memory["unattributed_bytes"]


def assert_adds_up(target):
    """Rule 4: regions are exclusive; threads and orphans add up to their pools."""
    for holder in target["pools"] + target["thread_list"]:
        memory = holder["memory"]
        assert memory["resident_bytes"] == sum(regions_of(memory).values()), holder
    for pool in target["pools"]:
        threads = [t for t in target["thread_list"] if t["pool"] == pool["name"]]
        living = sum(t["memory"]["resident_bytes"] for t in threads)
        assert pool["threads"] == len(threads), pool["name"]
        assert pool["memory"]["resident_bytes"] == living + pool["memory"]["orphaned_bytes"], pool["name"]
