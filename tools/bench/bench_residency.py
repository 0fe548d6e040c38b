"""What reading page tables costs: a pass per GiB, contiguous and in 2,500 mappings, whole and every second page
present; then the agent's CPU share and the age of its oldest figure on a large target at the default budget."""
import re
import subprocess
import sys
import time

from bench_lib import BUILD, Workload, cpu_seconds, listening, free_port, running, spread

SHAPES = (("contiguous", 1, 1), ("contiguous, every 2nd page", 1, 2), ("2,500 mappings", 2500, 1),
          ("2,500 mappings, every 2nd page", 2500, 2))


def cpu_per_refresh(pid, seconds, *more):
    """CPU milliseconds of the agent per second, that is per refresh."""
    port = free_port()
    with running([f"{BUILD}/poolscope", "serve", "-p", str(pid), "--listen", f"127.0.0.1:{port}", *more],
                 listening(port), settle=1.5) as process:
        before, start = cpu_seconds(process.pid), time.monotonic()
        time.sleep(seconds)
        return (cpu_seconds(process.pid) - before) / (time.monotonic() - start) * 1000


def passes(rounds, seconds):
    figures = {}
    for _ in range(rounds):
        with Workload("bulk", 1) as small:
            nothing = cpu_per_refresh(small.pid, seconds, "--cpu-budget", "100")
        for name, pieces, stride in SHAPES:
            with Workload("bulk", 2048, pieces, stride) as bulk:
                cost = cpu_per_refresh(bulk.pid, seconds, "--cpu-budget", "100") - nothing
            figures.setdefault(name, []).append(cost / 2)
    for name, costs in figures.items():
        print(f"Pass over 1 GiB of address space, {name:32} {spread(costs)} ms of CPU (less a refresh of nothing)")


def free_gib():
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        return next(int(line.split()[1]) for line in meminfo if line.startswith("MemAvailable")) >> 20


def age(pid, refreshes):
    """The ages that frames show, of the oldest figure that counts, in seconds; the first frame is a whole reading."""
    text = subprocess.run([f"{BUILD}/poolscope", "top", "-p", str(pid), "--count", str(refreshes)], check=True,
                          capture_output=True, text=True).stdout
    return [float(figure) for figure in re.findall(r"read ([\d.]+) s ago", text)][2:]


def large(seconds):
    gib = 16 if free_gib() > 18 else max(1, free_gib() - 2)
    for name, pieces in (("contiguous", 16), ("2,500 mappings", 2500)):
        with Workload("bulk", gib << 10, pieces) as bulk:
            share = cpu_per_refresh(bulk.pid, seconds) / 10
            ages = age(bulk.pid, int(seconds))
        print(f"{gib} GiB target, {name:16} {share:5.2f} % of one core at the default budget (1 %), oldest figure "
              f"{max(ages, default=float('nan')):.1f} s old at most")


if __name__ == "__main__":
    passes(int(sys.argv[1]) if len(sys.argv) > 1 else 3, 4)
    large(12)
