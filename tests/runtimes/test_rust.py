# SPDX-License-Identifier: GPL-2.0-only
"""Programs in Rust: the standard library's collections are compiled into them, and grow for a function of the program's."""
import subprocess

import pytest
from programs import PROGRAMS, program  # noqa: F401 pylint: disable=unused-import
from test_cpython import pools_of
from test_rules import RUST

FUNCTIONS = {"growing::load_rows", "growing::load_points", "growing::load_index"}


# Of Debian's compiler the newer mangling is none of its stable options.
V0 = ["-Z", "unstable-options", "-C", "symbol-mangling-version=v0"]


@pytest.mark.parametrize("mangling", [[], V0], ids=["legacy", "v0"])
def test_the_programs_own_function_is_blamed(program, watch, final, tmp_path, mangling):  # noqa: F811
    subprocess.run(["/usr/bin/rustc", *mangling, "-C", "opt-level=3", "-o", tmp_path / "growing", PROGRAMS / "growing.rs"],
                   check=True, env={**RUST, "RUSTC_BOOTSTRAP": "1"})
    growing = program(tmp_path / "growing")
    watching = watch(growing.pid)
    for _ in range(5):
        growing.ask("")
    pool = pools_of(final(watching, growing))["loader-*"]
    print(pool["blame"], pool["blame_other_bytes"], pool["blame_unseen_bytes"])
    assert {entry["function"] for entry in pool["blame"]} == FUNCTIONS
