# SPDX-License-Identifier: GPL-2.0-only
"""The fixtures of tests/live, for targets that need heavy runtimes."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "live"))
from fixtures import *  # noqa: E402,F401,F403 pylint: disable=wildcard-import,unused-wildcard-import
