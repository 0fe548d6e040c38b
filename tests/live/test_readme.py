# SPDX-License-Identifier: GPL-2.0-only
"""The README is true: its commands run, its targets of make exist, its metrics are those that are served."""
import os
import re
import signal
import subprocess
import urllib.request

import pytest

from harness import BUILD, POOLSCOPE, ROOT, wait_for

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line.split("  #")[0].strip() for block in re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)
            for line in block.splitlines() if line.strip()]
POOLS = ["resize:threads=4,arena=1M,named,routine=resize_main", "decode:threads=2,mmap=1M,routine=decode_main"]


@pytest.fixture(name="target")
def start_target():
    argv = [str(BUILD / "workloads/pools"), "--duration", "60s"] + [word for pool in POOLS for word in ("--pool", pool)]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


def test_there_are_commands():
    assert len(COMMANDS) >= 8, COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_command_runs(command, target):
    """What does not end by itself is watched until it has printed something, and ended as by Ctrl-C."""
    command = command.replace("build/poolscope", POOLSCOPE)
    process = subprocess.Popen(["sh", "-c", f"exec {command}"], cwd=ROOT, env=dict(os.environ, PID=str(target.pid)),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    first = process.stdout.readline()
    if " top " in command or " serve " in command:
        process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == 0, (first + rest).decode(errors="replace")
    assert first


@pytest.mark.parametrize("config", re.findall(r"^```yaml\n(.*?)^```", README, re.M | re.S))
def test_config_is_right(config, tmp_path):
    (tmp_path / "config.yaml").write_text(config)
    done = subprocess.run([POOLSCOPE, "check", tmp_path / "config.yaml"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_each_family_of_metrics_is_described():
    """Also those that this machine, or a target without executors, does not serve."""
    source = (ROOT / "agent/view/metrics_families.c").read_text(encoding="utf-8")
    families = re.findall(r'^\t\{"([a-z_]+)"', source, re.M)
    assert len(families) > 40
    assert not [name for name in families if f"`poolscope_{name}" not in README and f"`{name}" not in README]


def test_targets_of_make_exist():
    for name in set(re.findall(r"\bmake ([a-z][a-z-]+)", README)):
        done = subprocess.run(["make", "-n", name], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"make {name}: {done.stderr}"


def test_metrics_are_those_that_are_served(target):
    """Every family that is served has its line in the README, and no line is of a family that there is not."""
    listed = set(re.findall(r"^\| `(\w+)`", README.split("## Metrics")[1].split("\n## ")[0], re.M))
    process = subprocess.Popen([POOLSCOPE, "serve", "-p", str(target.pid), "--listen", "127.0.0.1:0"],
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        port = next(found[1] for found in (re.search(r"address=\S+?:(\d+)", line) for line in process.stderr) if found)

        def scrape():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                text = answer.read().decode()
            return text if "pool_threads" in text else None

        served = set(re.findall(r"^# TYPE (\w+)", wait_for(scrape, "a pool among the metrics"), re.M))
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert served <= listed, f"not in the README: {served - listed}"
    source = (ROOT / "agent/view/metrics_families.c").read_text(encoding="utf-8")
    names = set(re.findall(r'^\t\{"(\w+)"', source, re.M))
    unknown = {name for name in listed
               if re.sub(r"_total$", "", re.sub(r"^poolscope_", "", name)) not in names and name not in names}
    assert not unknown, f"in the README only: {unknown}"
