"""What blame for growth costs the agent: its CPU time while a process of Python, or of C, grows by small blocks in four
threads, and by large ones in one; and how much of the growth was seen. Another build, whose agent does the same without
blame or in another way, can stand beside it: bench_blame.py ROUNDS OTHER_BUILD."""
import json
import subprocess
import sys
import time

from bench_lib import BUILD, CommandedWorkload, cpu_seconds, spread

# What: program, its commands to make the pools, pool that grows, command that makes it grow.
CASES = {
    "Python, small blocks, 4 threads": ("growers.py", ("executor four 4",), "four_*", "run four keep_small 4"),
    "Python, 4 MiB at a time": ("growers.py", ("executor one 1",), "one_*", "run one keep_much 1"),
    "C, small blocks, 4 threads": ("askers", ("pool four 4",), "four-*", "run four allocate_small 4"),
    "C, 4 MiB at a time": ("askers", ("pool one 1",), "one-*", "run one map_much 1"),
}
SECONDS = 4


def measure(build, program, pools, name, command):
    """ms of CPU a second, share that was seen."""
    with CommandedWorkload(program) as growers:
        for pool in pools:
            growers.ask(pool)
        with subprocess.Popen([f"{build}/poolscope", "dump", "--json", "--after", str(SECONDS + 2), "-p", str(growers.pid)],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as agent:
            time.sleep(1)
            before, start, end = cpu_seconds(agent.pid), time.monotonic(), time.monotonic() + SECONDS
            while time.monotonic() < end:
                growers.ask(command)
                time.sleep(0.05)
            cost = (cpu_seconds(agent.pid) - before) * 1000 / (time.monotonic() - start)
            shown = json.loads(agent.communicate()[0])["targets"][0]["pools"]
    pool = next(pool for pool in shown if pool["name"] == name)
    if pool.get("blame") is None:
        return cost, 0.0
    seen = sum(entry["bytes"] for entry in pool["blame"])
    return cost, seen / (seen + pool["blame_other_bytes"] + pool["blame_unseen_bytes"])


def main(rounds, builds):
    figures = {}
    for _ in range(rounds):
        for name, case in CASES.items():
            for build in builds:
                figures.setdefault((name, build), []).append(measure(build, *case))
    print(f"Blame for growth: the agent's CPU, ms a second, median (min to max) of {rounds} runs of {SECONDS} s")
    for (name, build), runs in figures.items():
        print(f"  {name:32} {build:24} {spread([cost for cost, _ in runs])} ms/s, "
              f"seen {spread([100 * seen for _, seen in runs])} %")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, [BUILD, *sys.argv[2:]])
