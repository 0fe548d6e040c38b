"""What blame for growth costs the agent: its CPU time while a Python process grows by small blocks in four threads, and
by large ones in one; and how much of the growth was seen. Another build, whose agent does the same without blame or in
another way, can stand beside it: bench_blame.py ROUNDS OTHER_BUILD."""
import json
import subprocess
import sys
import time

from bench_lib import BUILD, PythonWorkload, cpu_seconds, spread

CASES = {"small blocks, 4 threads": "run four keep_small 4", "a block of 4 MiB at a time": "run one keep_much 1"}
SECONDS = 4


def measure(build, command):
    """ms of CPU a second, share that was seen."""
    with PythonWorkload("growers.py") as growers:
        growers.ask("executor four 4")
        growers.ask("executor one 1")
        with subprocess.Popen([f"{build}/poolscope", "dump", "--json", "--after", str(SECONDS + 2), "-p", str(growers.pid)],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as agent:
            time.sleep(1)
            before, start, end = cpu_seconds(agent.pid), time.monotonic(), time.monotonic() + SECONDS
            while time.monotonic() < end:
                growers.ask(command)
                time.sleep(0.05)
            cost = (cpu_seconds(agent.pid) - before) * 1000 / (time.monotonic() - start)
            pools = json.loads(agent.communicate()[0])["targets"][0]["pools"]
    name = command.split()[1] + "_*"
    pool = next(pool for pool in pools if pool["name"] == name)
    if pool.get("blame") is None:
        return cost, 0.0
    seen = sum(entry["bytes"] for entry in pool["blame"])
    return cost, seen / (seen + pool["blame_other_bytes"] + pool["blame_unseen_bytes"])


def main(rounds, builds):
    figures = {}
    for _ in range(rounds):
        for name, command in CASES.items():
            for build in builds:
                figures.setdefault((name, build), []).append(measure(build, command))
    print(f"Blame for growth: the agent's CPU, ms a second, median (min to max) of {rounds} runs of {SECONDS} s")
    for (name, build), runs in figures.items():
        print(f"  {name:28} {build:24} {spread([cost for cost, _ in runs])} ms/s, "
              f"seen {spread([100 * seen for _, seen in runs])} %")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, [BUILD, *sys.argv[2:]])
