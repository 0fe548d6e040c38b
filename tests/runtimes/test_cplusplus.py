# SPDX-License-Identifier: GPL-2.0-only
"""Programs in C++: threads of std::thread, and methods that make containers grow, which the compiler puts into the program,
inlined or not."""
import pytest

from programs import compiled, program  # noqa: F401 pylint: disable=unused-import
from test_cpython import pools_of

BLOCK = 4 << 20


@pytest.mark.parametrize("options", [("-O0",), ("-O2",), ("-O2", "-fno-inline"), ("-O2", "-fomit-frame-pointer", "-static-libstdc++")],
                         ids=" ".join)
def test_the_method_is_blamed(program, watch, final, tmp_path, options):  # noqa: F811
    target = program(compiled(tmp_path, "vectors.cc", "g++", *options))
    watching = watch(target.pid)
    for _ in range(5):
        target.ask("")
    pools = pools_of(final(watching, target))
    pool = pools["std::thread"]
    print(pool["blame"], pool["blame_other_bytes"], pool["blame_unseen_bytes"])
    assert (pool["kind"], pool["threads"]) == ("std::thread", 2)
    told = {entry["function"]: entry["bytes"] for entry in pool["blame"]}
    assert set(told) == {"_ZN4shop5Index9add_blockEv", "_ZN4shop4Text8add_lineEv"}
    for figure in told.values():
        assert BLOCK <= figure <= 10 * BLOCK
