"""What observers cost the observed, and those beside it: rate of loops, as a ratio to the same loop
with no observer. Rounds are interleaved: each round measures every case once, beginning with another one. Each loop runs
three times and its best is taken, because what disturbs a machine only ever slows it down. It is timed by the clock on
the wall and by the CPU time of its process."""
import contextlib
import os
import sys

from bench_lib import Workload, poolscope, running, spread, tracing

MODES = ["mmap", "thread", "touch", "getppid"]
SECONDS = 0.2
TRIES = 3


COUNT = "@[tid, probe] = count();"
PRINT = 'printf("%s %d %lu %s\\n", probe, tid, nsecs, comm);'


def bpftrace(pid, action=COUNT):
    """The tracepoints that poolscope's tracepoint variant uses: each event counted by thread in the kernel, or told one by one
    as poolscope's are (what it would take to know which thread made what, and when)."""
    points = ([f"syscalls:sys_exit_{call}" for call in ("mmap", "munmap", "mremap", "mprotect", "pkey_mprotect", "brk")] +
              [f"syscalls:sys_enter_{call}" for call in ("munmap", "mremap")] +
              ["task:task_newtask", "task:task_rename", "sched:sched_process_exit", "sched:sched_process_exec"])
    script = f"{','.join(f'tracepoint:{point}' for point in points)} /pid == {pid}/ {{ {action} }}"
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
            "bpftrace, counting": lambda: bpftrace(loops.pid),
            "bpftrace, printing": lambda: bpftrace(loops.pid, PRINT),
            "strace, in the target": lambda: strace(loops.pid),
        }
        rates = {(case, mode): [] for case in cases for mode in MODES}
        for turn in range(rounds):
            for case in [*cases][turn % len(cases):] + [*cases][:turn % len(cases)]:
                with cases[case]():
                    for mode in MODES:
                        tries = [tuple(map(float, loops.ask(f"go {mode} {SECONDS}").split())) for _ in range(TRIES)]
                        rates[case, mode].append(max(tries))
    print("Slowdown: time per step as a multiple of the same loop unobserved; median (min to max)")
    for clock, words in enumerate(("wall", "CPU")):
        for mode in MODES:
            for case in list(cases)[1:]:
                ratios = [alone[clock] / rate[clock] for alone, rate in zip(rates["none", mode], rates[case, mode])]
                print(f"  {words:4} {mode:8} {case:26} {spread(ratios)}")
    for action in (COUNT, PRINT):
        side_by_side(rounds * 5, action)
    page_faults(rounds)


@contextlib.contextmanager
def no_cpu_halts():
    """A thread of the lowest class turns on each CPU: anybody else takes it at once. Where a virtual CPU that halts must be
    woken by the host, that takes longer than all that is measured here, and happens more or less often by chance."""
    spinner = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"
    with contextlib.ExitStack() as spinners:
        for cpu in os.sched_getaffinity(0):
            spinners.enter_context(running(["taskset", "-c", str(cpu), sys.executable, "-c", spinner]))
        yield


def side_by_side(rounds, action):
    """Three equal processes, one poolscope's target, one bpftrace's, one nobody's, with both observers attached: the loops take
    turns within tenths of a second, which what else goes on in the machine does not tell apart."""
    with Workload("loops") as ours, Workload("loops") as theirs, Workload("loops") as nobodys:
        with no_cpu_halts(), poolscope(ours.pid), bpftrace(theirs.pid, action):
            print(f"Side by side: time of a step as a multiple of that of a process that neither watches; bpftrace: {action}")
            for mode in ("mmap", "thread"):
                turns = []
                for turn in range(rounds):
                    order = [ours, theirs, nobodys][turn % 3:] + [ours, theirs, nobodys][:turn % 3]
                    turns.append({loops: [*map(float, loops.ask(f"go {mode} 0.04").split())] for loops in order})
                for clock, words in enumerate(("wall", "CPU")):
                    mine, others = ([turn[nobodys][clock] / turn[loops][clock] for turn in turns] for loops in (ours, theirs))
                    less = sum(one < other for one, other in zip(mine, others))
                    print(f"  {words:4} {mode:8} poolscope {spread(mine)}; bpftrace {spread(others)}; poolscope less in {less}")


def page_faults(rounds):
    """Counting page faults per thread (--faults): what a fault costs a target and a process beside it, each against itself with
    no agent. CPU time, the best of three; rounds with and without take turns."""
    with Workload("loops") as target, Workload("loops") as beside:
        rates = {(loops, counted): [] for loops in (target, beside) for counted in (False, True)}
        for turn in range(rounds):
            for counted in ((False, True), (True, False))[turn % 2]:
                with poolscope(target.pid, "--faults") if counted else contextlib.nullcontext():
                    for loops in (target, beside):
                        tries = [float(loops.ask(f"go touch {SECONDS}").split()[1]) for _ in range(TRIES)]
                        rates[loops, counted].append(max(tries))
    print("Page faults counted: CPU time of a fault as a multiple of that with no agent; median (min to max)")
    for name, loops in (("in the target", target), ("beside it", beside)):
        ratios = [alone / watched for alone, watched in zip(rates[loops, False], rates[loops, True])]
        print(f"  touch    poolscope --faults, {name:14} {spread(ratios)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 21)
