# SPDX-License-Identifier: GPL-2.0-only
"""Programs of tests/runtimes/programs: compiled, started, and ended with the test."""
import os
import subprocess

import harness
from fixtures import factory
from harness import ROOT

PROGRAMS = ROOT / "tests/runtimes/programs"
LIBRARIES = {"uv.c": ["-luv"], "waits_uv.c": ["-luv"], "waits_tbb.cc": ["-ltbb"], "waits_pthreadpool.c": ["-lpthreadpool"],
             "tbb.cc": ["-ltbb"], "pthreadpool.c": ["-lpthreadpool"], "openblas.c": ["-l:libopenblas.so.0"],
             "threads.cc": ["-pthread"], "families.c": ["-pthread"], "vectors.cc": ["-pthread"], "callables.cc": ["-pthread"]}


class Program(harness.Workload):
    """A command that says when it is ready, and ends with its stdin."""

    def __init__(self, *argv, env=None, held=None):
        self.argv = [str(word) for word in argv]
        super().__init__("", env={**os.environ, **(env or {})}, held=held)

    def program(self, name):  # pylint: disable=arguments-differ
        return self.argv[:-1]


program = factory(lambda *argv, **options: Program(*argv, "", **options))


def compiled(folder, source, *command):
    path = folder / source.replace(".", "_")
    subprocess.run([*command[:1], "-O1", *command[1:], "-o", path, PROGRAMS / source, *LIBRARIES.get(source, [])], check=True)
    return path
