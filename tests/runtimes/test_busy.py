# SPDX-License-Identifier: GPL-2.0-only
"""Running, by samples against a program that knows how long it wanted a CPU; busy, which is another thing; and the
evidence for a smaller pool, on real executors."""
import json
import signal
import subprocess
import time

import harness
from harness import build_probe, run, wait_for
from test_cpython import dump_until, executors, pools_of, started  # noqa: F401 pylint: disable=unused-import

# Seconds: 60 samples where a pass costs little. It costs ten times that on a virtual machine whose idle CPU's caches
# are taken away, and there are fewer samples then, by the agent's own rule: those are waited for.
WINDOWS = (12, 50)
ENOUGH = 10
ONE_WINDOW = ("--interval", "60s")  # no refresh between the first and the last


def observed(watching):
    """The last frame of a `dump --after`, asked for now."""
    assert watching.running(), watching.wait()
    watching.process.send_signal(signal.SIGINT)
    return watching.wait().target()


def test_running_is_what_wants_a_cpu(workload, watch):
    program = workload("duty", "hot:2:100", "half:4:20", "rare:4:5", "idle:5:0")
    samples = 0
    for window in WINDOWS:
        watching = watch(program.pid, "--interval", f"{window * 2}s")  # no refresh between the first and the last
        before = program.ask("truth")
        time.sleep(window)
        after = program.ask("truth")
        target = observed(watching)
        samples = target["running_samples"]
        if samples >= ENOUGH:
            break
        print(f"{samples} samples in {window} s", flush=True)
    assert samples >= ENOUGH, samples
    pools = pools_of(target)
    passed = after["time_ns"] - before["time_ns"]
    for name in ("half", "rare"):
        truth = (after[name] - before[name]) / passed
        mean = pools[f"{name}-*"]["running_mean"]
        sigma = (truth * (1 - truth / 4) / samples) ** 0.5  # of four that want a CPU each at its own time
        print(f"{name}: {mean:.3f} by {samples} samples, {truth:.3f} in truth", flush=True)
        assert abs(mean - truth) <= 5 * sigma + 0.02, (name, mean, truth, samples)
        assert mean <= pools[f"{name}-*"]["running_peak"] <= 4
    assert (pools["hot-*"]["running_mean"], pools["hot-*"]["running_peak"], pools["hot-*"]["running"]) == (2, 2, 2)
    assert (pools["idle-*"]["running_mean"], pools["idle-*"]["running_peak"], pools["idle-*"]["running"]) == (0, 0, 0)


def test_one_snapshot_is_one_sample(workload):
    program = workload("duty", "hot:2:100", "idle:5:0")
    target = run("dump", "--json", "-p", program.pid).target()
    assert target["running_samples"] == 1
    for name, figure in (("hot-*", 2), ("idle-*", 0)):
        pool = pools_of(target)[name]
        assert pool["running"] == pool["running_mean"] == pool["running_peak"] == figure


def test_in_another_pid_namespace(workload, watch):
    """Samples bear the kernel's numbers, and are told by those of the procfs in use."""
    program = workload("duty", "hot:2:100", "idle:5:0", prefix=("unshare", "--pid", "--fork", "--mount-proc"))
    watching = watch(program.pid, *ONE_WINDOW)
    time.sleep(6)
    target = observed(watching)
    assert target["running_samples"] >= 2  # the first and the last frame's, at least
    assert pools_of(target)["hot-*"]["running_mean"] == 2


def test_busy_is_not_running(executors, watch):
    """Tasks that wait keep their workers busy, and no CPU."""
    program = executors()
    program.ask("executor a 4 resize")
    program.ask("submit a 3")
    started(program, "a", 3)
    watching = watch(program.pid, *ONE_WINDOW)
    time.sleep(2)
    pool = pools_of(observed(watching))["resize_*"]
    assert (pool["busy"], pool["busy_peak"], pool["running_peak"]) == (3, 3, 0)
    program.ask("open a")


class Prober:
    """The agent's own engine over a living process, with a clock that the test moves on."""
    STEP = 5  # seconds between two refreshes

    def __init__(self, probe, pid):
        self.process = subprocess.Popen([probe, str(pid), "resize_*"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def after(self, seconds):
        """What is known of the pool then."""
        self.process.stdin.write(f"{seconds // self.STEP}\n".encode())
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(harness.PATIENCE) == 0
        self.process.stdout.close()


def submit_and_wait(program, count):
    program.ask(f"submit a {count}")
    started(program, "a", count)


def test_a_smaller_pool_is_advised_on_evidence_alone(executors, tmp_path):
    """A real ThreadPoolExecutor, read by the real reader; only the clock is the test's."""
    program = executors()
    program.ask("executor a 12 resize")
    submit_and_wait(program, 12)  # all of its workers are made
    program.ask("open a")
    dump_until(program, lambda pools: pools["resize_*"]["busy"] == 0, "the workers to be idle")
    prober = Prober(build_probe("tests/runtimes/probe_busy.c", tmp_path, "-Wl,--wrap=boottime"), program.pid)
    try:
        assert prober.after(700)["advised"] == 0  # nobody is busy: no load
        submit_and_wait(program, 3)
        assert prober.after(5)["busy"] == 3
        program.ask("open a")
        wait_for(lambda: prober.after(5)["busy"] == 0, "idleness")
        seen = prober.after(600)
        assert (seen["advised"], seen["busy_peak"], seen["workers"]) == (4, 3, 12)
        # What the interpreter holds from before the attach is more than these workers could free, and may be theirs.
        assert seen["observed"] >= 1300 and seen["frees"] == 2 ** 64 - 1 > seen["resident_mean"] * 8
        # All busy, and tasks that wait: this pool is not too large.
        program.ask("submit a 15")
        started(program, "a", 12)
        seen = prober.after(5)
        assert (seen["busy"], seen["queued"], seen["advised"]) == (12, 3, 0)
        program.ask("open a")
        wait_for(lambda: prober.after(5)["busy"] == 0, "idleness")
        assert prober.after(2000)["advised"] == 0
    finally:
        prober.close()


def test_a_pool_that_adds_a_worker_needed_it(executors, tmp_path):
    program = executors()
    program.ask("executor a 12 resize")
    submit_and_wait(program, 8)
    program.ask("open a")
    dump_until(program, lambda pools: pools["resize_*"]["busy"] == 0, "the workers to be idle")
    prober = Prober(build_probe("tests/runtimes/probe_busy.c", tmp_path, "-Wl,--wrap=boottime"), program.pid)
    try:
        submit_and_wait(program, 1)
        assert prober.after(700)["advised"] == 2
        program.ask("open a")
        submit_and_wait(program, 9)  # one more than there are
        program.ask("open a")
        dump_until(program, lambda pools: pools["resize_*"]["busy"] == 0, "the workers to be idle")
        submit_and_wait(program, 1)
        seen = prober.after(590)
        assert (seen["workers"], seen["advised"]) == (9, 0)
        assert prober.after(20)["advised"] == 2
        program.ask("open a")
    finally:
        prober.close()
