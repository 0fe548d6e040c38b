"""What the benchmarks share: workloads that wait for a line, observers that come and go, figures."""
import contextlib
import glob
import json
import os
import signal
import socket
import statistics
import subprocess
import time

BUILD = os.environ.get("O", "build")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Workload:
    """A program of build/workloads that says `ready PID` and then answers lines."""

    def __init__(self, *argv):
        self.process = subprocess.Popen([f"{BUILD}/workloads/{argv[0]}", *map(str, argv[1:])], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        word, pid = self.process.stdout.readline().split()
        assert word == "ready"
        self.pid = int(pid)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class CommandedWorkload:
    """A program of tests/workloads that answers each line with one of JSON."""

    def __init__(self, name):
        argv = ["/usr/bin/python3", f"tests/workloads/{name}"] if name.endswith(".py") else [f"{BUILD}/workloads/{name}"]
        self.process = subprocess.Popen(argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = json.loads(self.process.stdout.readline())["ready"]

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def running(argv, ready=None, settle=0.0):
    """Runs a command until the block ends. `ready(process)` is polled until true (20 s at most)."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while ready and not ready(process):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{argv[0]} did not get ready (exit code {process.poll()})")
            time.sleep(0.02)
        time.sleep(settle)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()


def listening(port):
    def ready(_):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    return ready


def poolscope(pid, *more):
    port = free_port()
    return running([f"{BUILD}/poolscope", "serve", "-p", str(pid), "--listen", f"127.0.0.1:{port}", *more],
                   listening(port), settle=0.3)


def cpu_seconds(pid):
    """CPU time of a process's living threads: the scheduler's nanoseconds, where ticks of 10 ms would be too coarse."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with contextlib.suppress(OSError), open(path, encoding="ascii") as schedstat:
            total += int(schedstat.read().split()[0])
    return total / 1e9


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def tracing(pid):
    """True once a tracer is attached to the process (strace)."""
    def ready(_):
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
            return "TracerPid:\t0\n" not in status.read()
    return ready


def spread(values):
    ordered = sorted(values)
    return f"{statistics.median(ordered):8.3f}  ({ordered[0]:.3f} to {ordered[-1]:.3f}, n={len(ordered)})"


def programs():
    """name -> (type, run_time_ns, run_cnt) of the loaded BPF programs; same-named ones are summed."""
    text = subprocess.run(["bpftool", "prog", "show", "-j"], check=True, capture_output=True, text=True,
                          env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin")).stdout
    found = {}
    for program in json.loads(text):
        name = program.get("name", "?")
        kind, nanoseconds, count = found.get(name, (program["type"], 0, 0))
        found[name] = (kind, nanoseconds + program.get("run_time_ns", 0), count + program.get("run_cnt", 0))
    return found


@contextlib.contextmanager
def program_statistics():
    path = "/proc/sys/kernel/bpf_stats_enabled"
    with open(path, encoding="ascii") as knob:
        before = knob.read()
    with open(path, "w", encoding="ascii") as knob:
        knob.write("1")
    try:
        yield
    finally:
        with open(path, "w", encoding="ascii") as knob:
            knob.write(before)
