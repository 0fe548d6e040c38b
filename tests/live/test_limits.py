# SPDX-License-Identifier: GPL-2.0-only
"""Limits that watch nothing are told: no pool has the name, or the percentage has nothing to refer to."""
import pytest

from exporter import Exporter
from fixtures import factory
from harness import run, wait_for
from screen import screen  # noqa: F401 a fixture

exporter = factory(Exporter)
LIMITS = ("--limit", "annyio*:threads=40", "--limit", "annyio*:resident_bytes=1GiB", "--limit", "resize-*:threads=80%")
NO_POOL = "no pool matches 'annyio*' yet: its limit watches nothing"
NO_CAPACITY = "limit of threads not judged: the capacity of resize-* is not known"


@pytest.fixture
def filled(pools):
    target = pools("resize:threads=3,named")
    target.fill()
    return target


def test_text_and_json(filled):
    table = run("dump", "-p", filled.pid, *LIMITS)
    assert table.code == 0 and table.out.count(NO_POOL) == 1 and NO_CAPACITY in table.out, table
    assert " 3/-/- n/a " in table.out
    target = run("dump", "--json", "-p", filled.pid, *LIMITS).target()
    assert target["limits_without_pool"] == [
        {"pool": "annyio*", "limit": "threads", "source": "option"},
        {"pool": "annyio*", "limit": "resident_bytes", "source": "option"}]
    pool = next(pool for pool in target["pools"] if pool["name"] == "resize-*")
    assert [(limit["max"], limit["state"]) for limit in pool["limits"]] == [(None, None)]


def test_nothing_is_said_without_a_reason(filled):
    table = run("dump", "-p", filled.pid, "--limit", "resize-*:threads=40", "--limit", "*:threads=90")
    assert table.code == 0 and "no pool" not in table.out and "not judged" not in table.out, table
    target = run("dump", "--json", "-p", filled.pid).target()
    assert target["limits_without_pool"] == []


def test_goes_when_the_pool_appears(screen, pools):  # noqa: F811
    workload = pools("resize:threads=3,named")
    window = screen()
    window.top("-p", workload.pid, "--limit", "'resize-*:threads=9'")
    window.until(r"^no pool matches 'resize-\*' yet: its limit watches nothing$")
    workload.fill()
    window.until(r"^resize-\* .* 3/9/- ok")
    assert "no pool matches" not in window.text()


def test_serve_logs_it_once_and_has_no_series_of_it(exporter, filled, pools):
    other = pools("resize:threads=3,named")  # of the same name
    other.fill()
    serving = exporter("-p", filled.pid, "-p", other.pid, *LIMITS, "--interval", "0.1")
    serving.wait_value(2, "poolscope_processes", process="pools")
    before = serving.value("poolscope_snapshot_timestamp_seconds")
    while serving.value("poolscope_snapshot_timestamp_seconds") < before + 1:
        pass
    # A pool of a process without the limit's name, and a limit without a bound: no figure stands for them.
    names = {key[0] for key in serving.series() if ("pool", "resize-*") in key and ("limit", "threads") in key}
    assert names == set()
    assert serving.stop() == 0
    told = [line.split("level=", 1)[1].strip() for line in serving.log if "limit_without" in line or "not_judged" in line]
    assert sorted(told) == sorted([
        'warn event=limit_without_pool process=pools pool=annyio* limit=threads why="no pool matches yet" source=option',
        'warn event=limit_without_pool process=pools pool=annyio* limit=resident_bytes why="no pool matches yet"'
        ' source=option',
        'warn event=limit_not_judged process=pools pool=resize-* limit=threads'
        ' why="the capacity of the pool is not known" source=option'])


def test_a_pool_of_another_process_of_that_name_is_one(exporter, filled, pools):
    """Of a service's processes one may be the one that has the pool: the limit watches that."""
    idle = pools("quiet:threads=1,named")
    idle.fill()
    serving = exporter("-p", idle.pid, "-p", filled.pid, "--limit", "resize-*:threads=9", "--limit", "annyio*:threads=9")
    serving.wait_value(2, "poolscope_processes", process="pools")
    wait_for(lambda: [line for line in serving.log if "limit_without_pool" in line], "the pattern that matches nothing")
    assert serving.stop() == 0
    assert [line.split("pool=")[1].split()[0] for line in serving.log if "limit_without_pool" in line] == ["annyio*"]


def test_who_is_found_later_is_judged_at_once(exporter, pools):
    """Between the attach and the refresh after it, which may be minutes away, limits hold as well."""
    serving = exporter("-n", "pools", "--limit", "threads=3", "--interval", "600")
    late = pools("resize:threads=6,named")
    wait_for(lambda: any("event=attached" in line for line in serving.log), "the attach")
    late.fill()
    wait_for(lambda: any("event=limit_state" in line and "state=over" in line for line in serving.log), "the limit")
    assert serving.stop() == 0


def test_check_says_what_cannot_be_judged(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("defaults:\n  process: { threads: 90% }\n  pools:\n"
                      "    - { pool: a, threads: 80% }\n    - { pool: b, threads: 8, resident_bytes: 10% }\n")
    done = run("check", config)
    assert done.code == 0, done
    lines = done.out.splitlines()
    place = next(i for i, line in enumerate(lines) if "pool a: threads at most 80% of the pool's capacity" in line)
    assert lines[place + 1].strip().startswith("judged where the runtime tells the pool's capacity")
    assert done.out.count("judged where") == 1
