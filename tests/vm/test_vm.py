# SPDX-License-Identifier: GPL-2.0-only
"""Other kernels: the probe variants that this machine may not load, booted by tools/vm/boot.
KERNELS (environment) names the series, separated by blanks; 6.1 by default."""
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("O", ROOT / "build"))
KERNELS = os.environ.get("KERNELS", "6.1").split()


@pytest.fixture(scope="session", params=KERNELS)
def kernel(request):
    done = subprocess.run([ROOT / "tools/vm/kernel", BUILD, request.param], stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().strip()


def boot(kernel, script, tmp_path, programs=(), timeout=240):
    path = tmp_path / "script"
    path.write_text(script)
    command = [ROOT / "tools/vm/boot", "--kernel", kernel, "--script", path, "--timeout", str(timeout)]
    for source, place in programs:
        command += ["--file", f"{source}={place}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout + 60, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()[-6000:]}"
    return done.stdout.decode()


def test_workload_runs_on_this_kernel(kernel, tmp_path):
    text = boot(kernel, "uname -r\n/usr/bin/pools --duration 1s --pool a:threads=3,mmap=1M && echo fine\n", tmp_path,
                [(BUILD / "workloads/pools", "/usr/bin/pools")])
    release, verdict = text.split()
    assert release.startswith(Path(kernel).parent.name + ".") and verdict == "fine"
