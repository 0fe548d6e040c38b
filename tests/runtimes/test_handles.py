# SPDX-License-Identifier: GPL-2.0-only
"""Native objects of Python's executors from before the attach: an executor is not charged with what another made."""
import subprocess

import pytest

from harness import assert_adds_up, assert_identity, run
from programs import PROGRAMS, program  # noqa: F401 pylint: disable=unused-import
from test_cpython import pools_of


@pytest.mark.parametrize("how", ["handed", "kept"])
def test_what_executors_hold(program, tmp_path, how):  # noqa: F811
    library = tmp_path / "handles.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, PROGRAMS / "handles.c"], check=True)
    target = program("/usr/bin/python3", PROGRAMS / "handles.py", library, how)
    target.freeze()
    shown = run("dump", "--json", "-p", target.pid).target()
    pools = pools_of(shown)
    held = {name: pools[name]["memory"]["held_bytes"] for name in ("decode_*", "render_*")}
    print(held, target.greeting["made"])
    assert held["render_*"] <= target.greeting["made"] // 100
    assert held["decode_*"] <= 1.01 * target.greeting["made"]
    assert_identity(shown)
    assert_adds_up(shown)
