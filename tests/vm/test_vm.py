# SPDX-License-Identifier: GPL-2.0-only
"""Other kernels: the probe variants that this machine may not load, on one target at the same time."""
import json
import re

import pytest

from harness import BUILD
from machine import boot, series

VARIANTS = ("tracepoint", "fexit", "kretprobe")
REGIONS = ("stack", "arena", "heap", "mmap")
# One target, watched by one agent per variant at the same time: they must see the same.
COMPARE = """
# khugepaged would add pages between the truth and the agents' last look.
echo never >/sys/kernel/mm/transparent_hugepage/enabled
mkfifo /tmp/commands
pools --control --wait --duration 200s --heap 2M \\
  --pool resize:threads=6,stack=256K,mmap=1M,arena=2M,routine=resize_main,named \\
  --pool decode:threads=4,mmap=3M,arena=512K,ramp=500ms,routine=decode_main \\
  --pool batch:threads=3,mmap=256K,churn=300ms </tmp/commands >/tmp/answers &
target=$!
exec 3>/tmp/commands
for variant in %(variants)s; do
	poolscope dump --json --after 300 --variant $variant -p $target >/tmp/$variant 2>/tmp/$variant.err &
	agents="$agents $!"
done
for agent in $agents; do attached $agent $target; done
for command in start full still truth; do
	echo $command >&3
done
until grep -q rss_anon /tmp/answers; do sleep 0.1; done
kill -STOP $target
kill -TERM $agents
for agent in $agents; do
	wait $agent
	echo "exit code $?"
done
tail -n 1 /tmp/answers
for variant in %(variants)s; do
	echo "=== $variant"
	cat /tmp/$variant /tmp/$variant.err
done
kill -KILL $target
""" % {"variants": " ".join(VARIANTS)}


@pytest.fixture(scope="session")
def compared(kernel, tmp_path_factory):
    """{variant: target as JSON}, and the workload's truth, from one machine."""
    text = boot(kernel, COMPARE, tmp_path_factory.mktemp("vm"))
    parts = re.split(r"^=== (\w+)\n", text, flags=re.M)
    assert parts[0].count("exit code 0") == len(VARIANTS), text
    truth = json.loads(parts[0].strip().splitlines()[-1])
    targets = {}
    for variant, output in zip(parts[1::2], parts[2::2]):
        targets[variant], = json.JSONDecoder().raw_decode(output)[0]["targets"]
    return targets, truth


def figures(target):
    return {thread["tid"]: tuple(thread["memory"][region]["resident_bytes"] for region in REGIONS)
            for thread in target["thread_list"]}


def test_every_variant_is_the_one_asked_for(compared):
    targets, _ = compared
    assert {variant: target["variant"] for variant, target in targets.items()} == {v: v for v in VARIANTS}


def has_lost(target):
    """Events were lost, or may have been: the ranges were read anew."""
    return target["events"]["lost"] != 0 or target["events"]["reseeds"] > 0


def agree(one, other):
    """The same to the byte, thread by thread and region by region; after losses within what stands under `lost`."""
    if not has_lost(one) and not has_lost(other):
        assert figures(one) == figures(other)
        assert one["memory"]["unattributed"] == other["memory"]["unattributed"]
    unsure = sum(target["memory"]["unattributed"]["lost"] for target in (one, other))
    difference = one["memory"]["attributed_resident_bytes"] - other["memory"]["attributed_resident_bytes"]
    assert abs(difference) <= unsure, (one["memory"], other["memory"])
    assert one["memory"]["rss_anon_bytes"] == other["memory"]["rss_anon_bytes"]


def test_fexit_sees_what_tracepoint_sees(kernel, compared):
    targets, _ = compared
    # From 6.13 on system calls' tracepoints can be preempted, and then miss what interrupts them.
    if series(kernel) < (6, 13):
        assert not has_lost(targets["fexit"]) and not has_lost(targets["tracepoint"])
    agree(targets["fexit"], targets["tracepoint"])


def test_kretprobe_differs_by_what_it_says_it_lost(kernel, compared):
    targets, _ = compared
    kretprobe = targets["kretprobe"]
    if series(kernel) < (6, 7):
        assert kretprobe["events"]["lost"] is None, "this kernel does not count a kretprobe's misses"
        assert kretprobe["events"]["reseeds"] > 0, "losses that are not counted are healed at intervals"
    agree(kretprobe, targets["tracepoint"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_identity_and_truth(compared, variant):
    targets, truth = compared
    target = targets[variant]
    memory = target["memory"]
    assert memory["unexplained_bytes"] == 0, memory
    assert memory["rss_anon_bytes"] == memory["attributed_resident_bytes"] + memory["unattributed_bytes"]
    if memory["unattributed"]["lost"]:
        return
    seen = figures(target)
    for thread in truth["threads"]:
        if has_lost(target):  # what was healed may stand under another region
            assert abs(sum(seen[thread["tid"]]) - sum(thread["resident"].values())) <= 256 << 10, thread
            continue
        for region, figure in zip(REGIONS, seen[thread["tid"]]):
            assert abs(figure - thread["resident"][region]) <= 64 << 10, (region, thread, seen[thread["tid"]])


@pytest.mark.parametrize("variant", VARIANTS)
def test_functions_are_blamed(compared, variant):
    """By the stacks that the kernel copies: whoever of the workload maps its pools' blocks."""
    target = compared[0][variant]
    blamed = {(entry["function"], entry["file"]) for pool in target["pools"] for entry in pool["blame"]}
    print(blamed)
    assert blamed and {file for _, file in blamed} == {"pools"}
    assert not any("+0x" in function for function, _ in blamed)


RUNNING = """
mkfifo /tmp/in
duty hot:1:100 idle:3:0 </tmp/in >/tmp/ready &
target=$!
exec 3>/tmp/in
until grep -q ready /tmp/ready; do sleep 0.1; done
poolscope dump --json --after 5 --interval 60 -p $target
kill -KILL $target
"""


def test_samples_of_who_runs(kernel, tmp_path):
    """Whose state is read otherwise before 5.14."""
    text = boot(kernel, RUNNING, tmp_path, programs=[(BUILD / "workloads/duty", "/usr/bin/duty")])
    target, = json.JSONDecoder().raw_decode(text[text.index("{"):])[0]["targets"]
    pools = {pool["name"]: (pool["running_mean"], pool["running_peak"]) for pool in target["pools"]}
    assert target["running_samples"] >= 2  # fewer than on a real machine: where a pass is dear, samples are rarer
    assert (pools["hot-*"], pools["idle-*"]) == ((1, 1), (0, 0))
