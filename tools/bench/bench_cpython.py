"""One reading of CPython's executors: CPU time of a pass over 40 and 200 threads, busy and idle, and of the first one;
beside it py-spy, where it can be had."""
import json
import shutil
import subprocess
import time

from bench_lib import BUILD, CommandedWorkload

PROBE = f"{BUILD}/bench/probe_cpython"  # the test's own, linked with the agent as it is shipped


def measure(pid, what):
    found = json.loads(subprocess.run([PROBE, str(pid), "2000", "20"], check=True, stdout=subprocess.PIPE).stdout)
    print(f"CPython pass, {what}: {found['median_us'] / 1000:.3f} ms of CPU (p99 {found['p99_us'] / 1000:.3f}, "
          f"n={found['passes']}), {found['calls']:.0f} calls, {found['blocks']:.0f} blocks of 1 KiB; "
          f"the first {found['first_us'] / 1000:.1f} ms")


def peer(pid):
    spy = shutil.which("py-spy")
    if not spy:
        print("py-spy is not there: no peer")
        return
    before = time.process_time()
    subprocess.run([spy, "dump", "--nonblocking", "--pid", str(pid)], check=True, stdout=subprocess.DEVNULL)
    print(f"py-spy dump --nonblocking: {time.process_time() - before:.3f} s here, beside its own")


def main():
    for threads in (40, 200):
        with CommandedWorkload("executors.py") as target:
            target.ask(f"executor a {threads}")
            target.ask(f"submit a {threads + 5}")
            while target.ask("started a")["count"] < threads:
                time.sleep(0.05)
            measure(target.pid, f"{threads} busy workers")
            peer(target.pid)
            target.ask("open a")
            time.sleep(0.5)
            measure(target.pid, f"{threads} idle workers")


if __name__ == "__main__":
    main()
