# SPDX-License-Identifier: GPL-2.0-only
"""Where workers wait, on other kernels: the registers of those that are on no CPU."""
import subprocess

import pytest

from harness import ROOT
from machine import boot, sections

TEAM = ROOT / "tests/runtimes/programs/waits_openmp.c"
SCRIPT = """
mkfifo /tmp/commands
team 7 </tmp/commands >/tmp/answers &
target=$!
exec 3>/tmp/commands
answered() {
	until [ $(wc -l </tmp/answers) = $1 ]; do sleep 0.1; done
	sleep 2 # who has nothing to do turns round for a while
	kill -STOP $target
	report $2 poolscope dump --json -p $target
	kill -CONT $target
}
answered 1 before
echo in 4 0 >&3
answered 2 within
echo out >&3
answered 3 after
kill -KILL $target
"""


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    path = tmp_path_factory.mktemp("team") / "team"
    subprocess.run(["gcc", "-O2", "-fopenmp", "-pthread", "-o", path, TEAM], check=True)
    return path


def test_idle_busy_idle(kernel, team, tmp_path):
    told = sections(boot(kernel, SCRIPT, tmp_path, programs=[(team, "/usr/bin/team")]))
    figures = {}
    for name, ended in told.items():
        target = ended.target()
        pool, = [pool for pool in target["pools"] if pool["name"] == "team:master/libgomp"]
        figures[name] = pool["threads"], pool["busy"]
    assert figures == {"before": (6, 0), "within": (6, 4), "after": (6, 0)}
