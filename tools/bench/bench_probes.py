"""Nanoseconds per event of every probe (kernel.bpf_stats_enabled), when the process is a target and when it is
not, beside programs that do nothing, of the same types, in the same run."""
import contextlib
import random
import subprocess
import sys

from bench_lib import BUILD, Workload, poolscope, program_statistics, programs, spread
from bench_slowdown import PRINT, bpftrace

STEP_SECONDS = 0.3

@contextlib.contextmanager
def empty_programs():
    """Holds the programs of tools/bench/empty.bpf.c attached."""
    with subprocess.Popen([f"{BUILD}/bench/empty_attach", f"{BUILD}/bench/empty.bpf.o"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:
        if holder.stdout.readline() != b"ready\n":
            raise RuntimeError("the empty programs do not attach (tracefs mounted? root?)")
        yield
        holder.stdin.close()


def per_event(before, after):
    return {name: (kind, (after[name][1] - before[name][1]) / (after[name][2] - before[name][2]))
            for name, (kind, _, count) in after.items() if name in before and count - before[name][2] >= 1000}


def exercise(loops):
    before = programs()
    for mode in ("mmap", "thread", "calls"):
        loops.ask(f"go {mode} {STEP_SECONDS}")
    return per_event(before, programs())


def per_step(loops, mode):
    """What all tracing programs together took of a step of the loop. Seconds go by on a machine that others share; what the
    kernel measures of each run of a program is told apart from that."""
    def total():
        return sum(spent for kind, spent, _ in programs().values() if kind in ("tracepoint", "tracing", "raw_tracepoint"))
    before = total()
    rate = float(loops.ask(f"go {mode} {STEP_SECONDS}").split()[0])
    return (total() - before) / (rate * STEP_SECONDS)


def steps(rounds):
    observers = {"poolscope": poolscope, "bpftrace, counting": bpftrace,
                 "bpftrace, printing": lambda pid: bpftrace(pid, PRINT)}
    figures = {(mode, name): [] for mode in ("mmap", "thread") for name in observers}
    with program_statistics(), Workload("loops") as loops:
        for turn in range(rounds):
            for name in random.sample([*observers], len(observers)):
                with observers[name](loops.pid):
                    for mode in ("mmap", "thread"):
                        figures[mode, name].append(per_step(loops, mode))
    print("Programs: ns of a step of the loop, the target's, median (min to max)")
    for (mode, name), costs in figures.items():
        print(f"  {mode:8} {name:18} {spread(costs)} ns")
    for (mode, name), costs in figures.items():
        if name != "poolscope":
            ratios = [ours / theirs for ours, theirs in zip(figures[mode, "poolscope"], costs)]
            print(f"  {mode:8} poolscope / {name}, paired {spread(ratios)}, less in {sum(ratio < 1 for ratio in ratios)}")


def main(rounds):
    figures = {}
    with program_statistics(), empty_programs(), Workload("loops") as loops, Workload("idlers", 1) as other:
        for _ in range(rounds):
            for role, pid in (("target", loops.pid), ("non-target", other.pid)):
                with poolscope(pid):
                    for name, (kind, cost) in exercise(loops).items():
                        figures.setdefault((name, role), (kind, []))[1].append(cost)
    print("Probes: ns per event, median (min to max); ratio to the empty program of its type")
    empty = {"tracepoint": figures["empty_tracepoint", "non-target"][1], "tracing": figures["empty_tp_btf", "non-target"][1]}
    for (name, role), (kind, costs) in sorted(figures.items()):
        # The rounds are paired: each cost is set against the empty program's of the same round.
        ratios = [cost / nothing for cost, nothing in zip(costs, empty.get(kind, []))]
        print(f"  {name:24} {role:11} {spread(costs)} ns   ratio {spread(ratios) if ratios else 'n/a'}")
    steps(rounds)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
