# SPDX-License-Identifier: GPL-2.0-only
"""Large blocks from before attach: charged where their addresses show who holds them and nothing speaks against it, and
only there. A wrong charge is worse than none."""
import collections
from pathlib import Path

import pytest

from harness import assert_adds_up, assert_identity, run

# name: threads by where they keep the addresses of their blocks, least share charged right
CASES = {
    "on their stacks": ("stack:24", 0.99),
    "on stacks that lie in another's heap": ("inside:24", 0.99),
    "in their arenas": ("node:24", 0.99),
    "in thread-local storage": ("local:24", 0.99),
    "in a block of theirs": ("chain:24", 0.99),
    "in a block of theirs, far behind its beginning": ("deep:24", 0.99),
    "where another had blocks, whose addresses it still has": ("reused:12", 0),
    "a global table": ("table:12", 0),
    "known to another allocator, too": ("beside:12", 0),
    "passed on, held on the taker's stack": ("given:12", 0),
    "passed on, held in the taker's arena": ("stored:12", 0),
    "passed on without a trace": ("queued:12", 0),
    "passed on without a trace, beside others": ("stack:12,node:12,queued:12", 0.6),
    "lent to another": ("shown:12", 0),
    "shared by the first thread, from far up its stack": ("first:12", 0),
    "shared by one that runs on another stack": ("away:1", 0),
    "in objects of the first thread's": ("served:12", 0),
    "shared, and sealed": ("sealed:1", 0),
    "what a thread was started with": ("begin:12", 0),
    "moved from what a thread was started with": ("moved:12", 0),
    "moved from what a thread was started with, beside others": ("stack:24,moved:6", 0),
    "passed on without a trace, to one who worked": ("hired:12", 0),
    "passed on without a trace, to one who worked, beside others": ("stack:24,hired:6", 0),
    "passed on without a trace, from one pool to another of the same class": ("pooled:12", 0),
    "passed on without a trace, from one pool to another of the same class, beside others": ("stack:24,pooled:6", 0),
    "some of each": ("stack:6,node:6,local:4,chain:4,table:4", 0.75),
    "few are passed on": ("stack:24,node:24,given:1", 0.9),
    "many are passed on": ("stack:8,node:8,given:4,stored:4,shown:2", 0),
}
# of `hands`: through whose hands they went
HANDS = {
    "each keeps its own": ("own:40", 0.99),
    "a team filled it, another keeps it": ("team:8", 0),
    "two stages filled it, the third keeps it": ("stages:8", 0),
    "who took it made it larger": ("grown:8", 0),
    "who made it filled a third": ("begun:8", 0),
    "each of three keeps what its neighbour made": ("ring:8", 0),
    "a team's, beside others": ("own:24,team:2", 0),
    "two stages', beside others": ("own:24,stages:2", 0),
    "made larger, beside others": ("own:24,grown:3", 0),
    "filled to a third, beside others": ("own:24,begun:3", 0),
    "a ring's, beside others": ("own:24,ring:2", 0),
    "all of them": ("own:12,team:2,stages:2,grown:2,ring:2", 0),
}


def charged(target, truth):
    """Shares of the bytes made: charged to their maker, to another, to nobody."""
    made = collections.Counter()
    for thread in truth["threads"]:
        made[thread["tid"]] += thread["made"]
    shown = {thread["tid"]: thread["memory"]["mmap"]["resident_bytes"] for thread in target["thread_list"]}
    total = sum(made.values())
    right = sum(min(shown[tid], figure) for tid, figure in made.items())
    wrong = sum(max(0, figure - made.get(tid, 0)) for tid, figure in shown.items())
    return right / total, wrong / total, 1 - (right + wrong) / total


@pytest.mark.parametrize("program, name", [("blocks", name) for name in CASES] + [("hands", name) for name in HANDS])
def test_blocks(workload, program, name, tell):
    specs, least = (CASES if program == "blocks" else HANDS)[name]
    blocks = workload(program, *specs.split(","))
    truth = blocks.ask("truth")
    blocks.freeze()
    target = run("dump", "--json", "-p", blocks.pid).target()
    right, wrong, nobody = charged(target, truth)
    tell(f"{name}: right {right:.1%}, wrong {wrong:.2%}, not charged {nobody:.1%}")
    assert right >= least and wrong <= 0.01
    assert least or nobody >= 0.99, "charged without evidence"
    assert_identity(target)
    assert_adds_up(target)
    for thread in target["thread_list"]:
        assert thread["memory"]["grown_bytes"] in (0, None), "what evidence finds has not grown"
        assert thread["memory"]["held_bytes"] == thread["memory"]["mmap"]["resident_bytes"], "not marked as held"


def test_pools_that_the_config_tells_apart(workload, tmp_path, tell):
    """By name and start routine all are one pool, and it is right for that; who tells them apart wants to know more."""
    hands = workload("hands", "numbered", "stages:30")
    truth = hands.ask("truth")
    hands.freeze()
    config = tmp_path / "rules.yaml"
    config.write_text("targets:\n  - name: hands\n    match: {exe: hands}\n    pool_rules:\n"
                      "      - {pool: keeper, kind: keeper, thread_name: 'stages-2'}\n")
    for options, least in ((), 0.99), (("-c", config), 0):
        target = run("dump", "--json", "-p", hands.pid, *options).target()
        pools = {pool["name"]: pool["memory"] for pool in target["pools"]}
        made = sum(thread["made"] for thread in truth["threads"])
        share = sum(pool["held_bytes"] for pool in pools.values()) / made
        unsure = {name: pool["held_unattributed_bytes"] / made for name, pool in pools.items()}
        tell(f"with {options}: {share:.1%} charged, held by {unsure}")
        assert share >= least and (least or share == 0)
        # Who holds it is told all the same, and in no other figure.
        assert least or unsure.pop("keeper") >= 0.99
        assert not any(unsure.values())
        assert_identity(target)
        assert_adds_up(target)


@pytest.mark.parametrize("layout", [("setarch", "-L"), ("sh", "-c", 'ulimit -s unlimited; exec "$@"', "sh")],
                         ids=["legacy layout", "unlimited stack"])
def test_mappings_that_go_upwards(workload, layout, tell):
    for specs, least in (("moved:12",), 0), (("stack:24", "node:6"), 0.99):
        blocks = workload("blocks", *specs, prefix=layout)
        truth = blocks.ask("truth")
        blocks.freeze()
        right, wrong, nobody = charged(run("dump", "--json", "-p", blocks.pid).target(), truth)
        tell(f"upwards, {specs}: right {right:.1%}, wrong {wrong:.2%}, not charged {nobody:.1%}")
        assert right >= least and wrong <= 0.01
        blocks.close()


@pytest.mark.parametrize("how", [(), ("daemon",)], ids=["parent lives", "parent is gone"])
def test_what_a_child_has_inherited(workload, how, tell):
    """Its parent made it, whatever page faults the child took since; and once it is gone the pages are the child's alone."""
    prefork = workload("prefork", *how)
    prefork.freeze()
    target = run("dump", "--json", "-p", prefork.pid).target()
    shown = target["thread_list"][0]["memory"]["mmap"]["resident_bytes"]
    tell(f"of {prefork.greeting['loaded']} bytes inherited and {prefork.greeting['made']} its own the child is charged {shown}")
    assert shown <= 1.01 * prefork.greeting["made"]
    assert target["memory"]["unattributed"]["before_attach"] >= prefork.greeting["loaded"]
    assert_identity(target)
    assert_adds_up(target)


def own_bytes(pid):
    """What only this process has: what it shares with its parent or its child is not in."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return 1024 * sum(int(lines[f"Private_{kind}"].split()[0]) for kind in ("Clean", "Dirty"))


@pytest.mark.parametrize("who", ["child", "parent"])
def test_what_is_read_stays_shared(workload, tell, who):
    """A page that a child shares with its parent is copied by some ways to read it: a server's workers would grow by all that
    they share. What is read here are blocks, the heap's chunks, and what is free in it."""
    prefork = workload("prefork")
    pid = {"child": prefork.pid, "parent": prefork.process.pid}[who]
    before = own_bytes(pid)
    target = run("dump", "--json", "-p", pid, "--after", "4").target()
    assert target["thread_list"][0]["memory"]["kept_bytes"] > 1 << 20, "the heap was not read"
    grown = own_bytes(pid) - before
    tell(f"the {who} has {grown} bytes more of its own by being read")
    assert grown < 256 << 10
