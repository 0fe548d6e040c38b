# SPDX-License-Identifier: GPL-2.0-only
"""`dump` as scripts and people read it: the JSON contract over a real process, the table, exit codes."""
import datetime
import json
import os
import socket
import stat
from pathlib import Path

import harness
from harness import run

COUNT, SIGNED, NUMBER, TEXT, FLAG = "count", "signed", "number", "text", "flag"
MOMENT = "moment"
BYTES = {"resident_bytes": COUNT, "mapped_bytes": COUNT}
MEMORY = {**BYTES, "orphaned_bytes": COUNT, "grown_bytes": SIGNED, "net_grown_bytes": SIGNED,
          "stack": BYTES, "arena": BYTES, "heap": BYTES, "mmap": BYTES}
# max is null where a percentage refers to a bound that is not there; then nothing is judged, and state is null too
LIMIT = {"limit": TEXT, "value": (COUNT,), "max": (COUNT,), "state": (TEXT,), "since": (MOMENT,), "source": TEXT}
VERDICT = ({"state": TEXT, "confidence": NUMBER, "projected_resident_bytes": (COUNT,), "why": TEXT},)
RIGHT_SIZE = {"workers": COUNT, "frees_bytes": COUNT, "observed_seconds": COUNT, "active_peak": COUNT}
FIT = {"size": COUNT, "unit": TEXT, "formula": TEXT, "fits": COUNT, "setting": TEXT}
POOL = {"name": TEXT, "kind": (TEXT,), "parent": (TEXT,), "threads": COUNT, "threads_peak": COUNT, "threads_started": COUNT,
        "threads_exited": COUNT, "capacity": (COUNT,), "cpu_fit": (FIT,),
        "processes": ({"count": (COUNT,), "max": (COUNT,), "pending_tasks": (COUNT,)},), "running": (COUNT,), "busy": (COUNT,), "busy_peak": (COUNT,),
        "queued": (COUNT,), "borrowed": (COUNT,), "running_mean": (NUMBER,), "running_peak": (COUNT,), "right_size": (RIGHT_SIZE,),
        "memory": MEMORY, "limits": [LIMIT], "verdict": VERDICT}
READINGS = {"passes": COUNT, "failed_passes": COUNT, "failed_reads": COUNT, "unread_threads": COUNT}
THREAD = {"tid": COUNT, "name": TEXT, "pool": TEXT, "state": (TEXT,), "start_routine": (TEXT,), "doing": (TEXT,), "busy": (FLAG,),
          "created_by": ({"tid": COUNT, "started": (MOMENT,)},), "started": (MOMENT,), "memory": MEMORY}
TARGET = {"pid": COUNT, "ns_pid": COUNT, "parent_pid": COUNT, "role": (TEXT,), "name": TEXT, "started": MOMENT, "unit": (TEXT,),
          "container": (TEXT,), "runtime": (TEXT,), "runtime_readings": (READINGS,), "activity_age_seconds": (NUMBER,), "variant": TEXT, "threads": COUNT,
          "running_samples": COUNT,
          "memory": {"rss_bytes": COUNT, "rss_anon_bytes": COUNT, "rss_file_bytes": COUNT, "rss_shmem_bytes": COUNT,
                     "attributed_resident_bytes": COUNT, "unattributed_bytes": COUNT, "unexplained_bytes": (SIGNED,),
                     "age_seconds": NUMBER, "swapped_bytes": COUNT,
                     "unattributed": {"before_attach": COUNT, "image": COUNT, "inherited": COUNT, "lost": COUNT}},
          "cgroup": {"path": (TEXT,), "memory_max_bytes": (COUNT,), "memory_current_bytes": (COUNT,),
                     "oom_kills": (COUNT,), "cpu_quota_cores": (NUMBER,), "pids_max": (COUNT,)},
          "cpus": {"allowed": (COUNT,), "online": (COUNT,)},
          "events": {"received": COUNT, "lost": COUNT, "reseeds": COUNT},
          "tables_full": {"threads": COUNT, "ranges": COUNT, "heaps": COUNT, "executors": COUNT, "functions": COUNT, "blame": COUNT},
          "limits": [LIMIT], "verdict": VERDICT,
          "limits_without_pool": [{"pool": TEXT, "limit": TEXT, "source": TEXT}],
          "pools": [POOL], "thread_list": [THREAD]}
SNAPSHOT = {"schema": COUNT, "time": MOMENT, "host": TEXT, "version": TEXT, "targets": [TARGET]}


def parse_moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def assert_shape(value, shape, where="snapshot"):
    """A dict: these keys at least; a list: all elements; a tuple: may be null; else a kind of figure."""
    if isinstance(shape, tuple):
        return value is None or assert_shape(value, shape[0], where)
    if isinstance(shape, dict):
        assert isinstance(value, dict), where
        for key, inner in shape.items():
            assert key in value, f"{where}.{key} is missing"
            assert_shape(value[key], inner, f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        for i, element in enumerate(value):
            assert_shape(element, shape[0], f"{where}[{i}]")
    elif shape in (COUNT, SIGNED):
        assert type(value) is int and (shape == SIGNED or value >= 0), f"{where} is {value!r}"
    elif shape == FLAG:
        assert isinstance(value, bool), f"{where} is {value!r}"
    elif shape == NUMBER:
        assert type(value) in (int, float), f"{where} is {value!r}"
    elif shape == MOMENT:
        parse_moment(value)
        assert value.endswith("Z"), f"{where} is {value!r}"
    else:
        assert isinstance(value, str), f"{where} is {value!r}"
    return None


def test_every_field_of_the_contract(pools, watch):
    workload = pools("resize:threads=4,mmap=1M,arena=1M,named", "upload:threads=2,routine=upload_main")
    watching = watch(workload.pid, "--limit", "resize-*:threads=3", after=3)
    workload.fill()
    done = watching.wait()
    assert done.out.endswith("}\n") and done.out.count("\n") == 1
    snapshot = json.loads(done.out, object_pairs_hook=unique)
    assert_shape(snapshot, SNAPSHOT)
    assert snapshot["schema"] == 1 and snapshot["host"] == socket.gethostname()
    age = datetime.datetime.now(datetime.timezone.utc) - parse_moment(snapshot["time"])
    assert abs(age.total_seconds()) < harness.PATIENCE
    target, = snapshot["targets"]
    status = Path(f"/proc/{workload.pid}/status").read_text()
    assert (target["pid"], target["ns_pid"], target["name"]) == (workload.pid, workload.pid, "pools")
    assert target["parent_pid"] == int(status.split("PPid:")[1].split()[0])
    assert target["threads"] == len(target["thread_list"]) == 7
    assert target["variant"] in ("fexit", "tracepoint", "kretprobe")
    limit = next(limit for pool in target["pools"] for limit in pool["limits"] if limit["limit"] == "threads")
    assert (limit["value"], limit["max"], limit["state"], limit["source"]) == (4, 3, "over", "option")
    assert parse_moment(target["started"]) <= parse_moment(limit["since"]) <= parse_moment(snapshot["time"])


def unique(pairs):
    keys = [key for key, _ in pairs]
    assert len(set(keys)) == len(keys), f"a key is there twice: {keys}"
    return dict(pairs)


def test_threads_tell_who_made_them_and_when(pools, watch):
    workload = pools("resize:threads=3,named")
    watching = watch(workload.pid, after=3)
    before = datetime.datetime.now(datetime.timezone.utc)
    workload.fill()
    target = watching.wait().target()
    leader, *workers = sorted(target["thread_list"], key=lambda thread: thread["tid"] != workload.pid)
    assert leader["tid"] == workload.pid and len(workers) == 3
    for worker in workers:
        assert worker["created_by"]["tid"] == workload.pid
        assert parse_moment(worker["created_by"]["started"]) <= before
        assert abs((parse_moment(worker["started"]) - before).total_seconds()) < harness.PATIENCE
        assert worker["state"] in tuple("RSD") and worker["start_routine"]


def test_resident_memory_is_the_kernels(pools):
    workload = pools("resize:threads=3,mmap=2M,named")
    workload.fill()
    memory = run("dump", "--json", "-p", workload.pid).target()["memory"]
    status = Path(f"/proc/{workload.pid}/status").read_text()
    for key, field in (("rss_anon_bytes", "RssAnon"), ("rss_file_bytes", "RssFile"), ("rss_shmem_bytes", "RssShmem"),
                       ("rss_bytes", "VmRSS"), ("swapped_bytes", "VmSwap")):
        assert memory[key] == int(status.split(field + ":")[1].split()[0]) * 1024, field


def test_table(pools):
    workload = pools("resize:threads=3,mmap=2M,named", "upload:threads=2,named")
    workload.fill()
    done = run("dump", "-p", workload.pid)
    assert done.code == 0 and done.err == "", done
    for word in (str(workload.pid), "pools", "resize-*", "upload-*", "main"):
        assert word in done.out, (word, done)
    assert "\x1b" not in done.out and done.out.endswith("\n")


def test_output_file(pools, tmp_path):
    workload = pools("resize:threads=3,named")
    workload.fill()
    path = tmp_path / "snapshot.json"
    done = run("dump", "--json", "-p", workload.pid, "-o", path)
    assert done.code == 0 and done.out == "", done
    assert_shape(json.loads(path.read_text()), SNAPSHOT)
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    done = run("dump", "--json", "-p", workload.pid, "-o", tmp_path / "no" / "folder")
    assert done.code == 1 and "No such file" in done.err, done


def test_many_threads(pools):
    workload = pools("resize:threads=2000,stack_size=64K,named")
    workload.fill()
    done = run("dump", "--json", "-p", workload.pid)
    assert_shape(done.json(), SNAPSHOT)
    target = done.target()
    harness.assert_adds_up(target)
    assert target["threads"] == len(target["thread_list"]) == 2001
    assert len({thread["tid"] for thread in target["thread_list"]}) == 2001


def test_two_targets_in_one_object(pools):
    first, second = pools("a:threads=1"), pools("b:threads=2")
    first.fill()
    second.fill()
    snapshot = run("dump", "--json", "-p", first.pid, "-p", second.pid).json()
    assert_shape(snapshot, SNAPSHOT)
    assert {t["pid"]: t["threads"] for t in snapshot["targets"]} == {first.pid: 2, second.pid: 3}


def test_nothing_secret(pools):
    """Command lines and environments are never shown."""
    os.environ["POOLSCOPE_TEST_SECRET"] = "hunter2-environment"
    try:
        workload = pools("hunter2cmd:threads=1", options=("--heap", "1234567"))
    finally:
        del os.environ["POOLSCOPE_TEST_SECRET"]
    workload.fill()
    for arguments in (("--json",), ()):
        done = run("dump", *arguments, "-p", workload.pid)
        assert done.code == 0
        for secret in ("hunter2-environment", "--heap", "1234567", "threads=1"):
            assert secret not in done.out, secret
