"""From clone to `over`: a pool goes one thread beyond its limit, again and again; the time from just before
the clone to the moment the agent's log line can be read. Prints the distribution."""
import subprocess
import sys
import time

from bench_lib import BUILD, Workload, free_port

BASE = 8  # workers that are allowed


def measure(rounds, limit):
    with Workload("stepper") as stepper:
        for _ in range(BASE):
            stepper.ask("up")
        agent = subprocess.Popen(
            [f"{BUILD}/poolscope", "serve", "-p", str(stepper.pid), "--listen", f"127.0.0.1:{free_port()}",
             "--limit", limit.format(BASE, BASE + 1) + ",clear_for=0s"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        try:
            time.sleep(2)
            delays = []
            for step in range(rounds):
                # Not in step with the refresh: a latency that depended on it would show.
                time.sleep(0.05 + 0.013 * (step % 7))
                begun = int(stepper.ask("up"))
                while "state=over" not in agent.stderr.readline():
                    pass
                delays.append((time.monotonic_ns() - begun) / 1e6)
                stepper.ask("down")
                while "was=over" not in agent.stderr.readline():
                    pass
        finally:
            agent.terminate()
            agent.wait()
    return sorted(delays)


def main(rounds):
    for what, limit in (("a pool's", "*stepper_worker*:threads={0}"), ("the process's", "threads={1}")):
        delays = measure(rounds, limit)
        marks = " ".join(f"p{p} {delays[min(len(delays) - 1, int(len(delays) * p / 100))]:.2f}"
                         for p in (0, 50, 90, 99)) + f" max {delays[-1]:.2f}"
        print(f"From clone to over, {what} thread limit: ms: {marks} (n={len(delays)}; the bar: p99 under 50)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
