# SPDX-License-Identifier: GPL-2.0-only
"""`make demo` as a newcomer sees it: in a terminal, and without one. CI runs the command itself, in a clean clone."""
import re
import subprocess

from harness import BUILD, ROOT, wait_for
from screen import screen  # noqa: F401 a fixture

DEMO = [str(ROOT / "tools/demo"), str(BUILD)]


def workload_of(text):
    return int(re.search(r"^ pools  PID (\d+)", text, re.M)[1])


def has_gone(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
            return comm.read() != "pools\n"
    except FileNotFoundError:
        return True


def test_without_a_terminal_it_ends_by_itself():
    done = subprocess.run(DEMO, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    # Pools fill: the first frame and the last one of the same pool.
    threads = [int(count) for count in re.findall(r"^resize-\* +(\d+)/8/- ", done.stdout, re.M)]
    assert threads[0] <= 4 and threads[-1] > 8, threads
    assert re.search(r"^OVER resize-\*: \d+ threads > 8 since ", done.stdout, re.M)
    for pool in ("pools:decode_main", "pools:upload_main", "main"):
        assert re.search(rf"^{pool} ", done.stdout, re.M), pool
    assert done.stderr.count("event=limit_state") == 2 and "state=over was=warn" in done.stderr
    assert re.search(r"^  resize-\* was over its limit of threads 1 time$", done.stdout, re.M)
    assert has_gone(workload_of(done.stdout))


def test_in_a_terminal_it_is_the_live_dashboard(screen):  # noqa: F811
    window = screen()
    window.shell(" ".join(DEMO))
    text = window.until(r"^OVER resize-\*: \d+ threads > 8 since ")
    assert re.search(r"^resize-\* +\d+/8/- OVER", text, re.M), text
    workload = workload_of(text)
    window.press("q")
    window.assert_given_back()
    wait_for(lambda: has_gone(workload), "the workload to be gone")
