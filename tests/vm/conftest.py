# SPDX-License-Identifier: GPL-2.0-only
"""One kernel after the other, fetched when it is first asked for."""
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "live"))
from harness import BUILD, ROOT  # noqa: E402
from machine import KERNELS  # noqa: E402


@pytest.fixture(scope="session", params=KERNELS)
def kernel(request):
    done = subprocess.run([ROOT / "tools/vm/kernel", BUILD, request.param], stdout=subprocess.PIPE, check=True)
    return Path(done.stdout.decode().strip())
