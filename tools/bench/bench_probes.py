"""Nanoseconds per event of every probe (kernel.bpf_stats_enabled), when the process is a target and when it is
not, beside programs that do nothing, of the same types, in the same run."""
import contextlib
import os
import subprocess
import sys
import tempfile

from bench_lib import Workload, poolscope, program_statistics, programs, spread

PIN = "/sys/fs/bpf/poolscope-bench"
ENV = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin")


@contextlib.contextmanager
def empty_programs():
    """Loads and attaches tools/bench/empty.bpf.c by bpftool; pins vanish with the block."""
    with tempfile.NamedTemporaryFile(suffix=".o") as compiled:
        subprocess.run(["clang", "-O2", "-g", "-target", "bpf", "-I/usr/include/x86_64-linux-gnu", "-c",
                        "tools/bench/empty.bpf.c", "-o", compiled.name], check=True)
        if not os.path.ismount("/sys/fs/bpf"):
            subprocess.run(["mount", "-t", "bpf", "bpf", "/sys/fs/bpf"], check=True)
        subprocess.run(["bpftool", "prog", "loadall", compiled.name, PIN, "autoattach"], check=True, env=ENV)
        try:
            yield
        finally:
            subprocess.run(["rm", "-rf", PIN], check=True)


def per_event(before, after):
    return {name: (kind, (after[name][1] - before[name][1]) / (after[name][2] - before[name][2]))
            for name, (kind, _, count) in after.items() if name in before and count - before[name][2] >= 100}


def exercise(loops):
    before = programs()
    for mode in ("mmap", "thread"):
        loops.ask(f"go {mode} 0.3")
    return per_event(before, programs())


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


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
