# SPDX-License-Identifier: GPL-2.0-only
"""Functions that make memory grow in various ways, run by executors under command: each line on stdin is answered
with a line of JSON. Runs with every Python from 3.7 on, without packages."""
import copy
import ctypes
import json
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from commands import serve

EXECUTORS = {}
KEPT = []
TEXT = json.dumps("x" * (4 << 20))


def keep_much():
    """One block, by mmap or at the end of an arena."""
    KEPT.append(bytearray(4 << 20))


def keep_little():
    KEPT.append(bytearray(32 << 10))


def keep_small():
    """Thousands of small blocks, which make the thread's arena grow step by step."""
    KEPT.append([bytes(700) for _ in range(4000)])


def load():
    """A model as it is read: many blocks, one right after the other."""
    for _ in range(300):
        KEPT.append(bytearray(2 << 20))


def read_header():
    KEPT.append(bytearray(2 << 20))


def read_weights():
    KEPT.append(bytearray(10 << 20))


def read_layers():
    for _ in range(60):
        read_header()
        read_weights()


def decode():
    """Grows in functions of the standard library."""
    KEPT.append(json.loads(TEXT))


def extend():
    """One block that is made longer, by mremap."""
    block = bytearray(2 << 20)
    for _ in range(8):
        block.extend(bytes(256 << 10))
    KEPT.append(block)


def fill():
    for _ in range(4):
        KEPT.append(bytearray(1200000))


def look_up():
    """Waits, as for a database; makes nothing."""
    time.sleep(0.25)


def answer():
    """A request, as services have them: what grows is over soon, and then it waits."""
    for _ in range(4):
        fill()
        look_up()


def deepen():
    """Grows under more functions of the library than most programs have."""
    nested = bytearray(2 << 20)
    for _ in range(60):
        nested = [nested]
    KEPT.append(copy.deepcopy(nested))


@dataclass
class Job:
    block: bytearray = field(default_factory=partial(bytearray, 4 << 20))


@dataclass
class OwnJob:
    block: bytearray = field(default_factory=lambda: bytearray(4 << 20))


def make_job():
    """Grows in a function that dataclasses made up."""
    KEPT.append(Job())


def make_own_job():
    """Grows in a function that is called by one."""
    KEPT.append(OwnJob())


Point = namedtuple("Point", "a b c d e f g h i j k l m n o p")


def make_points():
    """Grows in a function that namedtuple made up; 176 bytes a point."""
    block = []
    for _ in range(50000):
        block.append(Point(*range(16)))
    KEPT.append(block)


def churn():
    """Grows and gives it back: blocks of more than 32 MiB are never kept by glibc's malloc."""
    return len(bytearray(40 << 20))


def installed(package, source):
    """As if it was in a file of an installed package."""
    path = f"/opt/venv/lib/python3.11/site-packages/{package}/core.py"
    exec(compile(source, path, "exec"), globals())  # pylint: disable=exec-used


installed("arrays", "def make():\n    return bytearray(4 << 20)\n")
installed("shelves", "class Shelf:\n    def __init__(self, size):\n        self.block = bytearray(size)\n")
installed("shop", "def order():\n    KEPT.append(make())\n\n\ndef sell():\n    order()\n")


def put_up():
    """Grows in a class's `__init__` of a package, which an interpreter that has learnt to do so calls without C between."""
    for size in (*(64,) * 100, 4 << 20):
        KEPT.append(Shelf(size))


exec("class Typed:\n def __init__(self):\n  self.block = bytearray(4 << 20)\n"  # pylint: disable=exec-used
     "def make_typed():\n KEPT.append(bytearray(4 << 20))\n KEPT.append(Typed())\n")


def command(word, rest):
    answer = {}
    if word == "executor":  # NAME WORKERS
        EXECUTORS[rest[0]] = ThreadPoolExecutor(int(rest[1]), thread_name_prefix=rest[0])
    elif word == "run":     # EXECUTOR FUNCTION COUNT: until all are done
        function = globals()[rest[1]]
        for task in [EXECUTORS[rest[0]].submit(function) for _ in range(int(rest[2]))]:
            task.result(60)
        answer["line"] = function.__code__.co_firstlineno
    elif word == "here":    # FUNCTION COUNT: in the main thread
        for _ in range(int(rest[1])):
            globals()[rest[0]]()
    elif word == "library":  # PATH FUNCTION NUMBER
        getattr(ctypes.CDLL(rest[0]), rest[1])(int(rest[2]))
    else:
        return None
    return answer


if __name__ == "__main__":
    serve(command)
