"""From clone to `over`: a pool goes one thread beyond its limit, again and again; the time from just before
the clone to the moment the agent's log line can be read. Prints the distribution."""
import subprocess
import sys
import time

from bench_lib import BUILD, CommandedWorkload, Workload, free_port

BASE = 8  # workers that are allowed


class Stepper:
    """A program in C: its newborns have their start routine at once."""

    def __enter__(self):
        self.program = Workload("stepper")
        for _ in range(BASE):
            self.program.ask("up")
        return self

    def __exit__(self, *unused):
        self.program.__exit__(*unused)

    def up(self):
        return int(self.program.ask("up"))

    def down(self):
        self.program.ask("down")


class Executor:
    """ThreadPoolExecutors of Python, one after another: whose worker a newborn is stands in the interpreter's memory."""

    def __enter__(self):
        self.program = CommandedWorkload("executors.py")
        self.begin()
        return self

    def __exit__(self, *unused):
        self.program.__exit__(*unused)

    def begin(self):
        self.program.ask(f"executor a {BASE + 1} step")
        self.program.ask(f"block a {BASE}")

    def up(self):
        begun = time.monotonic_ns()
        self.program.ask("block a 1")
        return begun

    def down(self):
        self.program.ask(f"unblock a {BASE + 1}")
        self.program.ask("shutdown a")
        self.begin()


def measure(rounds, program, limit):
    with program:
        agent = subprocess.Popen(
            [f"{BUILD}/poolscope", "serve", "-p", str(program.program.pid), "--listen", f"127.0.0.1:{free_port()}",
             "--limit", limit.format(BASE, BASE + 1) + ",clear_for=0s"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        try:
            time.sleep(2)
            delays = []
            for step in range(rounds):
                # Not in step with the refresh: a latency that depended on it would show.
                time.sleep(0.05 + 0.013 * (step % 7))
                begun = program.up()
                while "state=over" not in agent.stderr.readline():
                    pass
                delays.append((time.monotonic_ns() - begun) / 1e6)
                program.down()
                while "was=over" not in agent.stderr.readline():
                    pass
        finally:
            agent.terminate()
            agent.wait()
    return sorted(delays)


def main(rounds):
    for what, program, limit in (("a pool's", Stepper(), "*stepper_worker*:threads={0}"),
                                 ("the process's", Stepper(), "threads={1}"),
                                 ("a Python executor's", Executor(), "step_*:threads={0}")):
        delays = measure(rounds, program, limit)
        marks = " ".join(f"p{p} {delays[min(len(delays) - 1, int(len(delays) * p / 100))]:.2f}"
                         for p in (0, 50, 90, 99)) + f" max {delays[-1]:.2f}"
        print(f"From clone to over, {what} thread limit: ms: {marks} (n={len(delays)}; the bar: p99 under 50)",
              flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
