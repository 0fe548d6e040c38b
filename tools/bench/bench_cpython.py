"""One reading of CPython's executors: CPU time of a pass over 40 and 200 threads, busy and idle, and of the first one;
beside it py-spy, where it can be had."""
import glob
import json
import shutil
import subprocess
import tempfile
import time

from bench_lib import BUILD, CommandedWorkload

LIBRARIES = "libbpf libelf libdw zlib ncursesw libmicrohttpd jansson libfyaml libcap-ng".split()


def build_probe(folder):
    """The test's own probe, linked with the agent as it is shipped."""
    flags = subprocess.run(["pkg-config", "--libs", *LIBRARIES], check=True, stdout=subprocess.PIPE, text=True).stdout
    objects = [*glob.glob(f"{BUILD}/agent/*/*.o"), f"{BUILD}/agent/boottime.o"]
    subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Iagent", "-Iinclude", "-o", f"{folder}/probe",
                    "tests/live/probe_cpython.c", *objects, *flags.split(), "-lm"], check=True)
    return f"{folder}/probe"


def measure(probe, pid, what):
    found = json.loads(subprocess.run([probe, str(pid), "2000", "20"], check=True, stdout=subprocess.PIPE).stdout)
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
    with tempfile.TemporaryDirectory() as folder:
        probe = build_probe(folder)
        for threads in (40, 200):
            with CommandedWorkload("executors.py") as target:
                target.ask(f"executor a {threads}")
                target.ask(f"submit a {threads + 5}")
                while target.ask("started a")["count"] < threads:
                    time.sleep(0.05)
                measure(probe, target.pid, f"{threads} busy workers")
                peer(target.pid)
                target.ask("open a")
                time.sleep(0.5)
                measure(probe, target.pid, f"{threads} idle workers")


if __name__ == "__main__":
    main()
