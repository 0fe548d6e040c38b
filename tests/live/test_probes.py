# SPDX-License-Identifier: GPL-2.0-only
"""The kernel probes on this kernel: what they report about processes whose truth is known by construction.

probe_facts prints the facts about a command that it runs; probe_storm makes exactly known numbers of events.
"""
import collections
import json
import os
import signal
import subprocess

import pytest

from harness import build_probe

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BORN, EXITED, RENAMED, EXEC, MMAP, MUNMAP, MREMAP, MPROTECT, BRK = range(9)
RING, MAP, RECURSION, KRETPROBE = range(4)
ANON, FILE, NORESERVE = 1, 2, 32


@pytest.fixture(scope="session")
def tools(tmp_path_factory):
    """probe_facts, linked with the sanitized agent, and probe_storm."""
    folder = tmp_path_factory.mktemp("probes")
    build_probe("tests/live/probe_facts.c", folder)
    subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", "-pthread", "-o", folder / "probe_storm",
                    "tests/live/probe_storm.c"], cwd=ROOT, check=True)
    return folder


class Facts(list):
    """All lines that probe_facts printed."""

    def of(self, kind, **wanted):
        return [f for f in self if f["kind"] == kind and all(f.get(k) == v for k, v in wanted.items())]

    @property
    def received(self):
        return self.of("events", target=0)[-1]["received"]

    def lost(self, target=0):
        return self.of("loss", target=target)[-1]["lost"]


def watch(tools, storm, *options):
    """Facts about one run of probe_storm, and what that printed."""
    command = [tools / "probe_facts", *options, "--", tools / "probe_storm", *map(str, storm)]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=120)
    assert done.returncode == 0, done.stdout.decode()
    facts, printed = Facts(), []
    for line in done.stdout.decode().splitlines():
        if line.startswith("{"):
            facts.append(json.loads(line))
        else:
            printed.append(line)
    return facts, printed


def test_every_thread_is_born_and_exits_once(tools):
    facts, _ = watch(tools, ["threads", 10000])
    born = facts.of("born")
    assert len(born) == 10000
    assert facts.lost() == [0, 0, 0, 0]
    exited = collections.Counter((f["tid"], f["start"]) for f in facts.of("exited"))
    leader = facts.of("seen")[0]
    assert exited == collections.Counter([(f["tid"], f["start"]) for f in born] + [(leader["tid"], leader["start"])])
    assert all(f["creator"] == leader["tid"] and not f["leader"] for f in born)
    # stack pointer and thread pointer lie in the stack that clone3 was given
    assert all(f["stack"] < f["sp"] < f["tls"] < f["stack"] + f["stack_length"] for f in born)
    assert facts.of("gone")[0]["how"] == 1


def test_stack_is_the_mapping_that_the_creator_made(tools):
    facts, _ = watch(tools, ["threads", 3])
    made = {(f["start"], f["length"]) for f in facts.of("made")}
    assert all((f["stack"], f["stack_length"]) in made for f in facts.of("born"))


def test_memory_storm_is_received_or_counted_as_lost(tools):
    for ring in ("4096", "65536", "4194304"):
        facts, _ = watch(tools, ["maps", 4, 20000], "-r", ring)
        events = facts.received[MMAP] + facts.received[MUNMAP]
        lost = facts.lost()
        others = facts.received[MPROTECT] + facts.received[BRK]
        # what is not of the loops: the loader's and the thread stacks' few calls
        assert 160000 <= events + others + lost[RING] + lost[RECURSION] <= 160060, ring
        assert facts.lost(target=1)[RING] == lost[RING]
        assert len(facts.of("made")) == facts.received[MMAP]
        assert facts.received[EXITED] == 5, "memory events must not take the room of exits"


def test_a_reader_that_never_reads_loses_only_memory_events(tools):
    facts, _ = watch(tools, ["maps", 2, 2000], "-s", "-r", "65536")
    assert facts.lost()[RING] > 6000
    assert (facts.received[BORN], facts.received[EXITED]) == (2, 3)


def test_forked_children_are_followed_from_their_first_call(tools):
    facts, _ = watch(tools, ["fork", 20], "-f")
    children = facts.of("target", followed=1)
    assert len(children) == 20 and len({f["target"] for f in children}) == 20
    for number, child in enumerate(children):
        own = [f for f in facts if f.get("target") == child["target"] and f["kind"] != "loss"]
        assert own[0] is child and own[1]["kind"] == "born" and own[1]["leader"] == 1
        assert [f["length"] for f in own if f["kind"] == "made"] == [40960]
        assert [f["length"] for f in own if f["kind"] == "freed"] == [40960]
        assert [(f["how"], f["code"]) for f in own if f["kind"] == "gone"] == [(1, number)]
        assert child["parent"] == facts.of("added")[0]["pid"]
        assert child["family"] == facts.of("added")[0]["target"]


def test_children_that_are_not_followed_leave_no_trace(tools):
    facts, _ = watch(tools, ["fork", 20])
    assert facts.received[BORN] == 0 and facts.received[EXITED] == 1
    assert not [f for f in facts.of("made") if f["length"] == 40960]


def test_a_vfork_child_is_a_guest_until_it_execs(tools):
    facts, _ = watch(tools, ["vfork", 10])
    assert facts.received[BORN] == 0 and facts.received[EXITED] == 1, "a process to be is no thread of its creator"
    assert len(facts.of("renamed")) == 1, "its image's name is not a thread name of the parent"
    facts, _ = watch(tools, ["vfork", 10], "-f")
    children = facts.of("target", followed=1)
    assert len(children) == 10 and all(f["name"] == "true" for f in children)
    assert all(facts.of("gone", target=f["target"]) for f in children)


def test_threads_of_a_vfork_child_are_none_of_its_creator(tools):
    facts, _ = watch(tools, ["vfork-threads", 3])
    assert (facts.received[BORN], facts.received[EXITED]) == (0, 1)
    for length in 40960, 45056:
        assert [f["tid"] for f in facts.of("made") if f["length"] == length] == [facts.of("seen")[0]["tid"]] * 3


def test_a_guest_calls_in_the_address_space_of_its_host(tools):
    facts, _ = watch(tools, ["guest", 5])
    born = facts.of("born", target=1)
    assert len(born) == 5
    assert sorted(f["tid"] for f in facts.of("made") if f["length"] == 40960) == sorted(f["tid"] for f in born)
    assert len(facts.of("gone")) == 1


def test_exec_by_another_thread_leaves_one_leader(tools):
    facts, _ = watch(tools, ["exec"])
    leader, worker = facts.of("seen")[0], facts.of("born")[0]
    execs = facts.of("target", target=1)
    assert [f["name"] for f in execs] == ["probe_storm", "true"]
    after = facts[facts.index(execs[1]) + 1:]
    assert after[0]["kind"] == "seen" and (after[0]["tid"], after[0]["start"]) == (leader["tid"], leader["start"])
    assert after[1]["kind"] == "exited" and after[1]["tid"] == worker["tid"]


def test_each_call_is_reported_with_its_arguments(tools):
    facts, printed = watch(tools, ["calls"])
    first, moved, heap = map(int, printed[0].split())
    page = 4096
    after = facts[facts.index(facts.of("made", start=first)[0]):]
    seen = [(f["kind"], f["start"], f["length"]) for f in after if "length" in f]
    assert seen[:14] == [
        ("made", first, 17 * page),
        ("protected", first, 5 * page),
        ("freed", first + 16 * page, page),
        ("freed", 2**64 - 8192, page),
        ("free_failed", 2**64 - 8192, page),
        ("made", moved, 64 * page),
        ("freed", first, 5 * page),
        ("moved", moved, 6 * page),
        ("freed", moved + 3 * page, 3 * page),
        ("moved", moved, 3 * page),
        ("freed", 8192, page),
        ("free_failed", 8192, page),
        ("protected", moved, 3 * page),
        ("brk", heap, 7 * page),
    ]
    assert after[0]["flags"] == ANON | NORESERVE
    assert [(f["old"], f["old_length"]) for f in facts.of("moved")] == [(first, 5 * page), (moved, 6 * page)]
    assert ("brk", heap, 0) in seen


@pytest.mark.parametrize("options", [(), ("-s",)], ids=["read in time", "read at the end"])
def test_calls_bear_times_in_their_order_between_the_readings(tools, options):
    """The time is that of the agent's last look at the clock, so it has to be made to differ."""
    facts, _ = watch(tools, ["calls"], *options)
    times = [f["time"] for f in facts if f["kind"] in {"made", "freed", "free_failed", "moved", "protected", "brk"}]
    assert len(times) > 14 and times == sorted(set(times))
    assert facts.of("seen")[-1]["time"] < times[0] and times[-1] < facts.of("loss")[-1]["time"]


def test_how_it_ended(tools):
    facts, _ = watch(tools, ["kill"])
    assert [(f["how"], f["code"]) for f in facts.of("gone")] == [(2, signal.SIGKILL)]


def test_numbers_are_those_of_the_procfs_in_use(tools):
    """An agent inside a PID namespace of its own, with its own /proc."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", tools / "probe_facts", "-f", "--",
               tools / "probe_storm", "fork", "3"]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=60)
    facts = Facts(json.loads(line) for line in done.stdout.decode().splitlines())
    assert facts.of("added")[0]["pid"] == 2
    assert facts.of("seen")[0]["tid"] == 2
    assert [f["pid"] for f in facts.of("target", followed=1)] == [3, 4, 5]
    assert [f["ns_pid"] for f in facts.of("target", followed=1)] == [3, 4, 5]
    assert {f["tid"] for f in facts.of("born")} == {3, 4, 5}
    assert len(facts.of("gone")) == 4


def test_a_target_inside_another_pid_namespace_has_two_numbers(tools):
    script = f"exec unshare --pid --fork {tools}/probe_storm threads 5"
    done = subprocess.run([tools / "probe_facts", "-f", "--", "/bin/sh", "-c", script], stdout=subprocess.PIPE,
                          timeout=60)
    facts = Facts(json.loads(line) for line in done.stdout.decode().splitlines())
    inner = facts.of("target", followed=1)[0]
    assert inner["ns_pid"] == 1 and inner["pid"] > 1
    born = [f for f in facts.of("born", target=inner["target"]) if not f["leader"]]
    assert len(born) == 5 and all(f["creator"] == inner["pid"] for f in born)


def test_a_number_of_another_namespace_is_refused(tools):
    """The procfs shows this namespace, the agent lives in an inner one: nothing can be translated."""
    done = subprocess.run(["unshare", "--pid", "--fork", tools / "probe_facts", "-p", str(os.getpid())],
                          stdout=subprocess.PIPE, timeout=60)
    failed = json.loads(done.stdout.decode().splitlines()[-1])
    assert done.returncode == 1 and failed["kind"] == "failed"
    assert "cannot be translated" in failed["why"] and failed["remedy"]


def test_a_pid_that_is_not_there(tools):
    done = subprocess.run([tools / "probe_facts", "-p", "4194303"], stdout=subprocess.PIPE, timeout=60)
    failed = json.loads(done.stdout.decode().splitlines()[-1])
    assert "no such process" in failed["why"]


def test_every_refused_variant_says_why_and_what_to_do(tools):
    done = subprocess.run([tools / "probe_facts", "-t"], stdout=subprocess.PIPE, timeout=60)
    trials = Facts(json.loads(line) for line in done.stdout.decode().splitlines()).of("trial")
    assert len(trials) == 7
    assert {t["group"] for t in trials if t["used"]} == {"threads", "memory", "iterator"}
    for trial in trials:
        assert not trial["error"] or (trial["why"] and trial["remedy"]), trial


def test_nothing_is_left_to_libbpf_on_the_terminal(tools):
    done = subprocess.run([tools / "probe_facts", "-t"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
    assert done.stderr == b""


@pytest.mark.parametrize("keep, missing", [
    ("-all", "CAP_BPF"),
    ("-all,+bpf", "CAP_PERFMON"),
])
def test_missing_rights_are_named(tools, keep, missing):
    done = subprocess.run(["setpriv", "--bounding-set", keep, tools / "probe_facts", "--", "/bin/true"],
                          stdout=subprocess.PIPE, timeout=60)
    failed = json.loads(done.stdout.decode().splitlines()[-1])
    assert failed["kind"] == "failed" and missing in failed["why"] and "cap_bpf" in failed["remedy"]


def test_what_the_reader_wants_spoils_nothing_that_the_kernel_counts(tools):
    """Each call grows by a MiB, and so it is told, however often the reader says meanwhile that it wants to hear of it."""
    facts, _ = watch(tools, ["breaks", 100000], "-w")
    grown = collections.Counter(fact["grown"] for fact in facts.of("stack"))
    assert set(grown) == {1 << 20}, grown
    assert grown[1 << 20] >= 20


@pytest.mark.parametrize("bound", [0, 100])
def test_growth_of_all_together_has_a_bound(tools, bound):
    """40 processes ask for 20 wake-ups at once each; all get them, as far as the reader keeps up (it keeps 64 of a look, and
    looks less often on a machine under load), or as many as all may have in a second, and then by the clock."""
    facts, _ = watch(tools, ["growers", 40, 20], "-f", "-g", str(bound))
    stacks = facts.of("stack")
    assert len(facts.of("made", length=1 << 20)) == 800, "each call is an event in any case"
    if not bound:
        assert len(stacks) > 300
        return
    took_s = (max(f["time"] for f in facts.of("made", length=1 << 20)) -
              min(f["time"] for f in facts.of("made", length=1 << 20))) / 1e9
    # Two CPUs at once may spend one for two: a few in a hundred.
    assert bound / 2 <= len(stacks) <= 1.1 * bound * (1 + took_s) + os.cpu_count() + 1, took_s
