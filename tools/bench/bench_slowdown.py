"""What observers cost the observed, and those beside it: rate of loops, as a ratio to the same loop
with no observer. Rounds are interleaved: each round measures every case once."""
import contextlib
import sys

from bench_lib import Workload, poolscope, running, spread, tracing

MODES = ["mmap", "thread", "touch", "getppid"]
SECONDS = 0.4


def bpftrace(pid):
    points = ",".join(f"tracepoint:syscalls:sys_exit_{call}" for call in ("mmap", "mprotect", "brk", "mremap"))
    script = (f"{points},tracepoint:syscalls:sys_enter_munmap,tracepoint:task:task_newtask,"
              f"tracepoint:sched:sched_process_exit /pid == {pid}/ {{ @[tid, probe] = count(); }}")
    return running(["bpftrace", "-q", "-e", script], settle=3.0)


def strace(pid):
    return running(["strace", "-f", "-qq", "-e", "trace=memory", "-o", "/dev/null", "-p", str(pid)], tracing(pid),
                   settle=0.1)


def main(rounds):
    with Workload("loops") as loops, Workload("idlers", 1) as other:
        cases = {
            "none": lambda: contextlib.nullcontext(),
            "poolscope, in the target": lambda: poolscope(loops.pid),
            "poolscope, beside it": lambda: poolscope(other.pid),
            "bpftrace, in the target": lambda: bpftrace(loops.pid),
            "strace, in the target": lambda: strace(loops.pid),
        }
        rates = {(case, mode): [] for case in cases for mode in MODES}
        for _ in range(rounds):
            for case, observer in cases.items():
                with observer():
                    for mode in MODES:
                        rates[case, mode].append(float(loops.ask(f"go {mode} {SECONDS}")))
    print("Slowdown: time per step as a multiple of the same loop unobserved; median (min to max)")
    for mode in MODES:
        for case in list(cases)[1:]:
            ratios = [alone / rate for alone, rate in zip(rates["none", mode], rates[case, mode])]
            print(f"  {mode:8} {case:26} {spread(ratios)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
