# SPDX-License-Identifier: GPL-2.0-only
"""Programs in Rust: the standard library's collections are compiled into them, and grow for a function of the program's."""
import subprocess

from programs import PROGRAMS, program  # noqa: F401 pylint: disable=unused-import
from test_cpython import pools_of
from test_rules import RUST

FUNCTIONS = {"growing::load_rows", "growing::load_points", "growing::load_index"}


def test_the_programs_own_function_is_blamed(program, watch, final, tmp_path):  # noqa: F811
    subprocess.run(["/usr/bin/rustc", "-C", "opt-level=3", "-o", tmp_path / "growing", PROGRAMS / "growing.rs"], check=True,
                   env=RUST)
    growing = program(tmp_path / "growing")
    watching = watch(growing.pid)
    for _ in range(5):
        growing.ask("")
    pool = pools_of(final(watching, growing))["loader-*"]
    print(pool["blame"], pool["blame_other_bytes"], pool["blame_unseen_bytes"])
    assert {entry["function"] for entry in pool["blame"]} == FUNCTIONS
