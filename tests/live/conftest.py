# SPDX-License-Identifier: GPL-2.0-only
"""The live tests' fixtures; they stand in fixtures.py because tests/runtimes uses them too."""
from fixtures import *  # noqa: F401,F403 pylint: disable=wildcard-import,unused-wildcard-import
