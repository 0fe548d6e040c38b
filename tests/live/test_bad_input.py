# SPDX-License-Identifier: GPL-2.0-only
"""Bad input gets a clear error (what failed, why, what to do) and its exit code, or a counted, healed loss."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import POOLSCOPE, ROOT, SANITIZED, Agent, assert_adds_up, assert_identity, run


def refused(done, code, *words):
    assert done.code == code, done
    assert done.out.strip() == "", done
    for word in words:
        assert str(word) in done.err, f"no {word!r} in: {done}"
    assert "Sanitizer" not in done.err and "libbpf:" not in done.err, done


def test_no_such_pid():
    refused(run("dump", "-p", "4194303"), 4, 4194303)


def test_gone_before_attach():
    gone = subprocess.Popen(["true"])
    gone.wait()
    refused(run("dump", "-p", gone.pid), 4, gone.pid)


@pytest.mark.parametrize("selector, value, remedy", [
    ("-n", "no-such-name", "pgrep -a no-such-name"), ("--unit", "none.service", "systemctl status none.service"),
    ("--cgroup", "/none", "/proc/PID/cgroup"), ("--container", "abcdef0123", "docker ps")])
def test_selectors_that_select_nothing(selector, value, remedy):
    refused(run("dump", selector, value, binary=SANITIZED), 4, value, remedy)


def test_a_selector_that_selects_nothing_beside_another(pools):
    done = run("dump", "-p", pools("idle:threads=1").pid, "--unit", "nosuch.service", "-n", "nosuchname")
    assert done.code == 0 and "event=no_process_yet unit=nosuch.service" in done.err
    assert "event=no_process_yet name=nosuchname" in done.err


def test_a_config_selects(pools, tmp_path):
    workload = pools()
    config = tmp_path / "config.yaml"
    config.write_text(f"targets:\n  - {{ name: mine, match: {{ cmdline: '*{tmp_path}*' }} }}\n")
    refused(run("dump", "-c", config), 4, "the config matches", f"poolscope check {config}")
    config.write_text("targets:\n  - { name: mine, match: { name: pools } }\n")
    found = run("dump", "--json", "-c", config).json()["targets"]
    assert workload.pid in [target["pid"] for target in found] and {target["name"] for target in found} == {"mine"}


@pytest.mark.parametrize("command", ["top", "dump", "serve"])
def test_a_config_without_targets_selects_nothing(tmp_path, command):
    config = tmp_path / "config.yaml"
    config.write_text("defaults:\n  pools:\n    - { pool: '*', threads: 5 }\n")
    refused(run(command, "-c", config), 2, config, "no targets", "-p PID")


def test_a_thread_is_not_a_process(puppet):
    workload = puppet()
    tid = workload.ask("main spawn a")["tid"]
    refused(run("dump", "-p", tid), 4, tid, workload.pid)


def test_a_process_in_anothers_memory(puppet):
    """By CLONE_VM: attached to by its own PID, what its creator has was shown as its own."""
    workload = puppet()
    guest = workload.ask("main vm-clone")["child"]
    refused(run("dump", "-p", guest), 4, guest, workload.pid)
    target = run("dump", "--json", "-p", workload.pid).target()
    assert guest in [thread["tid"] for thread in target["thread_list"]]


def test_zombie():
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    try:
        refused(run("dump", "-p", zombie.pid), 4, zombie.pid)
    finally:
        zombie.wait()


def test_kernel_thread():
    threads = [p.parent.name for p in Path("/proc").glob("[0-9]*/stat")
               if int(p.read_text().rsplit(")", 1)[1].split()[6]) & 0x00200000]  # PF_KTHREAD
    assert threads, "no kernel thread is visible here"
    refused(run("dump", "-p", threads[0]), 4, threads[0], "kernel")


USAGE = [
    ["dump"], ["dump", "-p"], ["dump", "-p", "abc"], ["dump", "-p", "-5"], ["dump", "-p", "0"], ["dump", "--nonsense"],
    ["no-such-command"], [], ["dump", "-p", "1", "--after", "soon"], ["dump", "-p", "1", "--limit", "threads"],
    ["dump", "-p", "1", "--limit", "a:bananas=4"], ["dump", "-p", "1", "--limit", "a:threads=many"],
    ["dump", "-p", "1", "--ring", "5000"], ["dump", "-p", "1", "--variant", "magic"], ["check"], ["record", "-p", "1"],
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_wrong_usage(arguments):
    done = run(*arguments)
    assert done.code == 2 and done.err.strip() and not done.out.strip(), done


def test_help_is_no_error():
    done = run("--help")
    assert done.code == 0 and "dump" in done.out and "serve" in done.out


def test_limit_over_and_fail_on_over(pools):
    workload = pools("resize:threads=3,named")
    workload.fill()
    over = ("dump", "-p", workload.pid, "--limit", "resize-*:threads=2", "--fail-on-over")
    assert run(*over).code == 3
    assert run(*over[:-1]).code == 0
    assert run("dump", "-p", workload.pid, "--limit", "resize-*:threads=3", "--fail-on-over").code == 0


def test_no_rights(pools):
    workload = pools("a:threads=1")
    done = run("dump", "-p", workload.pid, prefix=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                                   "--bounding-set=-all", "--inh-caps=-all"))
    refused(done, 1)
    assert "root" in done.err or "CAP_" in done.err, done


def caps(*names):
    """An ordinary user with these capabilities alone."""
    kept = ",".join(["-all", *(f"+{name}" for name in names)])
    return ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"--bounding-set={kept}", f"--inh-caps={kept}",
            f"--ambient-caps={kept}")


ALL_CAPS = ("bpf", "perfmon", "sys_ptrace", "dac_read_search")


@pytest.mark.parametrize("missing", ["bpf", "perfmon", "dac_read_search"])
def test_each_missing_right_is_named(pools, runnable, missing):
    workload = pools("a:threads=1")
    workload.fill()
    done = run("dump", "-p", workload.pid, binary=runnable, prefix=caps(*(c for c in ALL_CAPS if c != missing)))
    refused(done, 1, f"CAP_{missing.upper()}", "cap_dac_read_search", "root")
    assert done.err.count("CAP_") == 1, done


def test_sys_admin_is_not_the_right_to_open_tracefs(pools, runnable):
    done = run("dump", "-p", pools("a:threads=1").pid, binary=runnable, prefix=caps("sys_admin", "sys_ptrace"))
    refused(done, 1, "CAP_DAC_READ_SEARCH")
    assert "not mounted" not in done.err


def test_the_rights_of_the_readme_suffice(pools, runnable):
    workload = pools("a:threads=3,routine=upload_main")
    workload.fill()
    target = run("dump", "--json", "-p", workload.pid, binary=runnable, prefix=caps(*ALL_CAPS)).target()
    assert target["memory_readable"] and target["threads"] == 4
    assert any("upload_main" in pool["name"] for pool in target["pools"])


def test_memory_that_may_not_be_read_is_told(pools, runnable):
    """Newer kernels let CAP_PERFMON read page tables, others refuse: then nothing could be shown."""
    workload = pools("a:threads=3,routine=upload_main")
    workload.fill()
    options = {"binary": runnable, "prefix": caps(*(c for c in ALL_CAPS if c != "sys_ptrace"))}
    done = run("dump", "-p", workload.pid, **options)
    if done.code:
        refused(done, 1, "page tables", "CAP_SYS_PTRACE")
        return
    assert "its memory may not be read (CAP_SYS_PTRACE is missing)" in done.out, done
    target = run("dump", "--json", "-p", workload.pid, **options).target()
    assert not target["memory_readable"]
    assert {thread["start_routine"] for thread in target["thread_list"]} <= {None, "main"}


def test_page_tables_that_cannot_be_read(pools, tmp_path):
    """A figure of 0 for what nobody could read would be a lie. A socket stands where the page tables should."""
    workload = pools("a:threads=1")
    place = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as blind:
        blind.bind(str(place))
        hide = f"for f in /proc/{workload.pid}/pagemap /proc/{workload.pid}/task/*/pagemap; do mount --bind {place} $f; done"
        done = run("dump", "-p", workload.pid, prefix=("unshare", "-m", "sh", "-c", f'{hide}; exec "$@"', "sh"))
    assert done.code != 0 and f"cannot read the page tables of PID {workload.pid}" in done.err, done
    assert not done.out.strip(), done


@pytest.fixture
def runnable():
    """The program where an ordinary user may run it."""
    place = Path(tempfile.mkdtemp(prefix="poolscope-"))
    place.chmod(0o755)
    shutil.copy(POOLSCOPE, place / "poolscope")
    yield str(place / "poolscope")
    shutil.rmtree(place)


def test_user_namespace():
    """Root of a rootless container has every capability, and none that counts."""
    inside = ("unshare", "--user", "--map-root-user")
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespace can be made here")
    refused(run("dump", "-p", os.getpid(), prefix=inside), 1, "inside of one", "run poolscope on the host")


HIDE_TRACEFS = ("for d in /sys/kernel/tracing /sys/kernel/debug; do "
                "[ ! -d $d ] || { mount -t tmpfs none $d && %s; }; done; exec \"$@\"")


def test_tracefs_is_mounted_where_it_is_missing(pools):
    workload = pools("a:threads=2")
    workload.fill()
    done = run("dump", "--json", "-p", workload.pid, prefix=("unshare", "-m", "sh", "-c", HIDE_TRACEFS % "true", "sh"))
    assert done.target()["threads"] == 3


def test_tracefs_is_missing_and_may_not_be_mounted(pools):
    workload = pools("a:threads=2")
    workload.fill()
    rights = "-all,+bpf,+perfmon,+sys_ptrace,+dac_read_search,+dac_override"
    done = run("dump", "--json", "-p", workload.pid,
               prefix=("unshare", "-m", "sh", "-c", HIDE_TRACEFS % "mount -o remount,ro $d", "sh",
                       "setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"))
    if done.code == 0:  # a kernel that loads another variant needs no tracefs
        assert done.target()["variant"] != "tracepoint"
    else:
        refused(done, 1, "tracefs", "mount")


def test_no_devices(pools):
    """As in a container without /dev: nothing there is needed."""
    done = run("dump", "-p", pools("a:threads=1").pid,
               prefix=("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /dev; exec "$@"', "sh"))
    assert done.code == 0, done


def test_broken_config(tmp_path):
    config = tmp_path / "bad.yaml"
    config.write_text("targets:\n  - name: a\n    match: { comm: a }\n    polls: []\n")
    for command in (["check", config], ["serve", "-c", config]):
        done = run(*command)
        assert done.code == 2 and f"{config}:4" in done.err + done.out and "polls" in done.err + done.out, done
    done = run("check", tmp_path / "missing.yaml")
    assert done.code == 2 and "missing.yaml" in done.err, done


def test_taken_port(pools):
    workload = pools("a:threads=1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused(run("serve", "-p", workload.pid, "--listen", address), 1, address)


HOSTILE = [b"\x1b[2J\x1b]0;x\x07", b'"\\\n\t{}', b"\xff\xfe\x80\xc3", b"\xe2\x80\xae*?[a]", b" ", b"%s%n|`$(x)"]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: name.hex())
def test_hostile_thread_names(puppet, name):
    workload = puppet()
    workload.script("main spawn a\na name " + name.hex())
    tid = workload.ask("truth")["threads"]["a"]["tid"]
    done = run("dump", "--json", "-p", workload.pid)
    assert done.code == 0, done
    done.out.encode("utf-8")  # valid UTF-8: no surrogate came through
    thread = next(t for t in json.loads(done.out)["targets"][0]["thread_list"] if t["tid"] == tid)
    if name.isascii():
        assert thread["name"] == name.decode()
    for arguments in (("dump", "-p", workload.pid), ("dump", "-p", workload.pid, "--limit", "*:threads=1")):
        table = run(*arguments)
        assert table.code == 0, table
        shown = table.out + table.err
        assert not any(ord(c) < 32 and c not in "\n" or 0x7f <= ord(c) < 0xa0 or "\ud800" <= c <= "\udfff" for c in shown), shown


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: name.hex())
def test_check_escapes_the_names_of_processes(puppet, tmp_path, name):
    workload = puppet()
    workload.script("main name " + name.hex())
    (tmp_path / "c.yaml").write_text("targets:\n  - match: { exe: puppet }\n")
    done = run("check", tmp_path / "c.yaml")
    line = next(line for line in done.out.split("\n") if f"PID {workload.pid} as " in line)
    assert done.code == 0 and line.endswith("(entry 1)") and line.isprintable(), ascii(line)


def test_pool_name_is_a_glob_that_matches_itself(puppet):
    workload = puppet()
    workload.script("main spawn a\na name " + b"w[1]*?\\x".hex())
    target = run("dump", "--json", "-p", workload.pid).target()
    name = next(t["pool"] for t in target["thread_list"] if t["tid"] != workload.pid and t["name"].startswith("w["))
    target = run("dump", "--json", "-p", workload.pid, "--limit", f"{name}:threads=7").target()
    pool = next(p for p in target["pools"] if p["name"] == name)
    assert [limit["max"] for limit in pool["limits"] if limit["limit"] == "threads"] == [7]


def test_ring_too_small_is_counted_and_healed(pools, watch, final):
    workload = pools("storm:threads=300,mmap=64K,arena=64K,named")
    watching = watch(workload.pid, "--ring", "4096", after=6)
    watching.process.send_signal(signal.SIGSTOP)  # a reader that is late
    truth = workload.fill()
    watching.process.send_signal(signal.SIGCONT)
    target = final(watching, workload)
    assert target["events"]["lost"] > 0 and target["events"]["reseeds"] > 0
    assert target["threads"] == len(truth["threads"]) + 1
    assert_identity(target)
    assert_adds_up(target)


def test_no_room_for_output(pools):
    workload = pools("a:threads=1")
    workload.fill()
    for arguments in (("dump", "--json"), ("dump",)):
        with open("/dev/full", "wb") as full:
            done = run(*arguments, "-p", workload.pid, stdout=full)
        assert done.code == 1 and "No space left" in done.err and "\n  make room" in done.err, done
    done = run("dump", "-p", workload.pid, "-o", "/dev/full")
    assert done.code == 1 and "No space left" in done.err, done
    for path, why, remedy in (("/nosuch/x.json", "No such file or directory", "the directory must be there already"),
                              ("/etc/hostname/x", "Not a directory", "choose another place"),
                              ("/", "Is a directory", "name a file"), ("/proc/x", "No such file or directory", "directory")):
        done = run("dump", "-p", workload.pid, "-o", path)
        assert done.code == 1 and f"cannot write {path}: {why}\n  " in done.err and remedy in done.err, done


@pytest.mark.parametrize("arguments", [["help"], ["version"], ["doctor"], ["check", ROOT / "tests/golden/config.yaml"],
                                       ["dump"], ["dump", "--json"], ["top", "--count", "1"]],
                         ids=lambda words: " ".join(map(str, words[:2])))
def test_output_that_cannot_be_written_is_told(pools, arguments):
    """On a full disk, and where standard output was closed: then a file opened later must not take its place."""
    if arguments[0] in ("dump", "top"):
        workload = pools("a:threads=40,named")  # more than one buffer of output
        workload.fill()
        arguments = [*arguments, "-p", workload.pid]
    with open("/dev/full", "wb") as full:
        done = run(*arguments, stdout=full)
    assert done.code == 1 and "No space left on device" in done.err, done
    done = run(*arguments, prefix=("sh", "-c", 'exec "$@" >&-', "sh"))
    assert done.code == 1 and "Bad file descriptor" in done.err, done


def test_a_reader_that_has_enough(pools):
    """`dump | head -1`: a closed pipe ends it as it ends every filter, without a word."""
    workload = pools("a:threads=40,named")
    workload.fill()
    for arguments in (("dump",), ("dump", "--json")):
        agent = Agent(*arguments, "-p", workload.pid)
        agent.process.stdout.close()
        agent.process.stdout = None
        try:
            done = agent.wait()
        finally:
            agent.close()
        assert done.code == -signal.SIGPIPE and not done.err, done


def test_process_that_exits_half_way():
    """Whenever it goes: a report of what was there, or exit code 4 in words; nothing else. The time is sought where
    the one becomes the other."""
    delay, reports = 0.02, 0
    while reports < 6:
        with subprocess.Popen(["sleep", f"{delay:.4f}"]) as target:
            done = run("dump", "--json", "-p", target.pid)
        if done.code:
            refused(done, 4, target.pid)
            assert delay < 30, done
        else:
            assert done.target()["pid"] == target.pid
            reports += 1
        delay *= 1.2 if done.code else 0.9


def test_reader_goes_away(pools):
    workload = pools("a:threads=1")
    workload.fill()
    agent = Agent("top", "-p", workload.pid).attached(workload.pid)
    agent.process.stdout.close()
    agent.process.stdout = None
    try:
        assert agent.wait().code in (0, 1, -signal.SIGPIPE)
    finally:
        agent.close()


