# SPDX-License-Identifier: GPL-2.0-only
"""The live dashboard in a real terminal (tmux): frames, keys, sizes, locales, and the terminal as it was
on every way out."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from harness import BUILD, POOLSCOPE, run, wait_for
from screen import screen  # noqa: F401 a fixture

POOLS = ("resize:threads=6,arena=4M,stack=128K,named", "upload:threads=3,mmap=1M,routine=upload_main")


@pytest.fixture
def filled(pools):
    """A target with two pools, full and standing still."""
    target = pools(*POOLS)
    target.fill()
    return target


def rows(text):
    """Pool -> its row, of the pool table on the screen."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("POOL"))
    last = next(i for i, line in enumerate(lines) if line.startswith("Threads of") or "  TID" in line)
    return {line.split()[0]: line for line in lines[first + 1:last] if line.strip()}


def test_frame_shows_pools_threads_and_limits(screen, filled):
    window = screen()
    window.top("-p", filled.pid, "--limit", "'resize-*:threads=5'")
    text = window.until(r"^OVER resize-\*: 6 threads > 5 since \d\d:\d\d:\d\d \(")
    assert re.search(rf"^ pools  PID {filled.pid}\b", text)
    table = rows(window.until(r"^resize-\* .* 6/5/- OVER"))
    assert len(table) == 3, table  # main, resize-*, and the uploads by their routine
    assert all(len(line) <= 80 for line in text.splitlines())
    upload = next(row for name, row in table.items() if "upload" in name)
    assert " 3/-/- " in upload
    # Growth decides the order unless the user does; the selected pool's threads are below.
    window.press("/")
    for letter in "upload":
        window.press(letter)
    window.press("Enter")
    text = window.until(r"^Threads of .*upload.*: 3$")
    assert len(re.findall(r"^ *\d+ .* upload_main", text, re.M)) == 3
    window.press("q")
    window.assert_given_back()


MANY = """
import threading, time
for letter in range(27):
    threading.Thread(target=time.sleep, args=(600,), name=3 * chr(96 + letter) + "-1" if letter else "a-1", daemon=True).start()
time.sleep(600)
"""


def test_what_has_no_room_is_told(screen, tmp_path):
    """28 pools at 80x24, and one more where newborns were over the limit before the interpreter's own name for them was
    read: which of them are shown, all lines used; as many sentences scroll, and F6 closes them."""
    (tmp_path / "many.py").write_text(MANY)
    window = screen()
    window.top("--limit", "'*:threads=0'", "--", "/usr/bin/python3", "many.py")
    window.until(r"^POOL 1-\d+/(28|29) ")
    window.press("End")
    text = window.until(r"^POOL \d+-(28/28|29/29) ")
    assert all(line.strip() for line in text.splitlines()), text
    assert re.search(r"^(OVER .*)?\(\d+ more: F2\)$", text, re.M), text
    window.press("F2")
    text = window.until(r"EscBack$")
    assert len(re.findall(r"^ OVER ", text, re.M)) in (21, 22) and "zzz-" not in text, text
    window.press("PageDown")
    window.until(r"^ OVER zzz-\*: 1 thread > 0")
    window.press("F6")
    window.until(r"^Sort by")
    window.press("Escape", "q")
    window.assert_given_back()


ENDS = """
import threading, time
kept = []
time.sleep(2)
thread = threading.Thread(target=lambda: kept.append(b"x" * (32 << 20)))
thread.start()
thread.join()
time.sleep(600)
"""


def test_memory_of_ended_threads_says_so_in_80_columns(screen, tmp_path):
    (tmp_path / "ends.py").write_text(ENDS)
    window = screen()
    window.top("--", "/usr/bin/python3", "ends.py")
    window.until(r"^Held by threads that have ended \(orphaned\): .* \(32\.0M\)")
    assert re.search(r" 0/-/- orphaned +0 32\.0M", window.text()), window.text()
    window.press("q")
    window.assert_given_back()


def test_keys(screen, filled, tmp_path):
    window = screen()
    window.top("-p", filled.pid)
    window.until(r"^resize-\*")
    window.press("F1")
    window.until("this help")
    window.press("Escape")
    window.until("F2Words")
    window.press("F6")
    window.until("^Sort by")
    window.press("Home", "Enter")
    window.until_not("^Sort by")
    assert list(rows(window.text())) == sorted(rows(window.text()))
    window.press("I")
    wait_for(lambda: list(rows(window.text())) == sorted(rows(window.text()), reverse=True), "the order turned round")
    window.press("F4")
    for letter in "resi":
        window.press(letter)
    window.until("Filter: resi_")
    window.press("Enter")
    wait_for(lambda: list(rows(window.text())) == ["resize-*"], "the filter")
    window.press("t")
    window.until_not("TID")
    window.press("F5")
    window.until("TID")
    window.press("Z")
    window.until("PAUSED")
    window.press("Z")
    window.until_not("PAUSED")
    window.press("w")
    name = re.search(r"written to (\S+)", window.until("written to"))[1]
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / name).read_text())["targets"][0]["pid"] == filled.pid
    window.press("F10")
    window.assert_given_back()


def test_snapshot_replaces_nothing(screen, filled, tmp_path):
    """What stands under the name already stays: while the picture is held, the name is the same each time."""
    window = screen()
    window.top("-p", filled.pid)
    window.until(r"^resize-\*")
    window.press("Z")
    window.until("PAUSED")
    window.press("w")
    first = re.search(r"written to (\S+)", window.until("written to"))[1]
    (tmp_path / first).unlink()
    (tmp_path / first).symlink_to("/dev/full")
    window.press("w")
    second = re.search(r"written to (\S+-2\.json)", window.until(r"written to \S+-2\.json"))[1]
    assert json.loads((tmp_path / second).read_text())["targets"][0]["pid"] == filled.pid
    assert (tmp_path / first).is_symlink()
    window.press("q")
    window.assert_given_back()


@pytest.fixture
def tiny(tmp_path):
    """A file system with room for a page or two."""
    place = tmp_path / "tiny"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", place], check=True)
    (place / "full").write_bytes(b"x" * 4096)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_full_disk(screen, filled, tiny):
    window = screen()
    window.shell(f"cd {tiny}")
    window.top("-p", filled.pid)
    window.until(r"^resize-\*")
    window.press("w")
    window.until(r"cannot write poolscope-\d+\.json: No space left on device")
    assert [path.name for path in tiny.iterdir()] == ["full"]  # no half a file, no temporary one
    window.press("q")  # and the dashboard goes on
    window.assert_given_back()
    kept = (tiny / "full").stat()
    done = run("dump", "--json", "-p", filled.pid, "-o", tiny / "full")
    assert done.code == 1 and "No space left on device" in done.err, done
    assert (tiny / "full").stat() == kept  # what was there is intact
    assert [path.name for path in tiny.iterdir()] == ["full"]


def test_sizes(screen, filled):
    window = screen()
    window.top("-p", filled.pid, "--limit", "'resize-*:threads=9'")
    window.until(r"^resize-\*")
    assert "ORPHAN" not in window.text()
    window.resize(200, 50)
    window.until(r"ORPHAN .*LIMITS .*TREND")
    for columns, lines in ((20, 5), (41, 9), (10, 3), (300, 80)):
        window.resize(columns, lines)
        window.until("^ pools")
    window.resize(80, 24)
    window.until(r"^F1Help .*F10Quit$")
    window.press("q")
    window.assert_given_back()


@pytest.mark.parametrize("how", ["q", "C-c", "C-\\", signal.SIGTERM, signal.SIGHUP, signal.SIGSEGV, signal.SIGABRT,
                                 signal.SIGBUS, signal.SIGTRAP, signal.SIGSYS, signal.SIGUSR1, signal.SIGXCPU, signal.SIGRTMIN])
def test_terminal_is_given_back(screen, filled, how):
    window = screen()
    before = window.modes()
    pid = window.top("-p", filled.pid)
    window.until(r"^resize-\*")
    if isinstance(how, signal.Signals):
        os.kill(pid, how)
    else:
        window.press(how)
    window.assert_given_back()
    assert window.modes() == before


def test_who_reads_the_log_goes(screen, filled):
    """Limits are logged on standard error: a pipe there that nobody reads is no reason to end."""
    window = screen()
    window.top("-p", filled.pid, "--limit", "resize-*:threads=1", "2> >(sleep 0.1)")
    window.until(r"^OVER resize-\*")
    time.sleep(0.5)
    assert window.value("alternate_on") == "1"
    window.press("q")
    window.assert_given_back()


def test_what_is_ignored_stays_ignored(screen, filled):
    window = screen()
    window.shell("trap '' USR1")
    pid = window.top("-p", filled.pid)
    window.until(r"^resize-\*")
    os.kill(pid, signal.SIGUSR1)
    time.sleep(0.3)
    assert window.value("alternate_on") == "1"
    window.press("F1")
    window.until("this help")
    window.press("q", "q")
    window.assert_given_back()


def test_a_file_that_may_not_grow(screen, filled, tmp_path):
    window = screen()
    window.shell(f"cd {tmp_path}; ulimit -f 1")
    window.top("-p", filled.pid)
    window.until(r"^resize-\*")
    window.press("w")
    window.until(r"cannot write poolscope-\d+\.json: File too large")
    window.press("q")
    window.assert_given_back()
    assert not list(tmp_path.glob("poolscope-*"))


def test_suspend_and_go_on(screen, filled):
    window = screen()
    before = window.modes()
    window.top("-p", filled.pid)
    window.until(r"^resize-\*")
    window.press("C-z")
    window.until("Stopped")
    window.assert_given_back()
    assert window.modes() == before
    window.shell("clear; fg")
    window.until(r"^resize-\*")
    assert window.value("alternate_on") == "1"
    window.press("q")
    window.assert_given_back()
    assert window.modes() == before


@pytest.mark.parametrize("environment", [{"LC_ALL": "C"}, {"TERM": "vt100"}, {"NO_COLOR": "1"}])
def test_poor_terminals(screen, filled, environment):
    window = screen(**environment)
    window.shell("clear; " + f"{POOLSCOPE} top -p {filled.pid}")
    text = window.until(r"^F1Help .*F10Quit$")
    assert re.search(r"^resize-\*", text, re.M)
    if "LC_ALL" in environment:
        assert text.isascii()
        assert re.search(r" [_.=#-]+$", rows(text)["resize-*"])
    if "NO_COLOR" in environment:
        assert not re.search("\033\\[[0-9;]*[34][0-7]m", window.tmux("capture-pane", "-p", "-e"))
    window.press("q")
    window.until("ready>")


def test_unknown_terminal_is_refused_in_words(screen, filled):
    window = screen(TERM="no-such-terminal")
    window.shell(f"clear; {POOLSCOPE} top -p {filled.pid}; echo code-$?")
    text = window.until("code-1")
    assert "is not known" in " ".join(text.split())
    assert "| cat" in text


def test_terminal_without_cursor_gets_plain_text(screen, filled, tmp_path):
    window = screen(TERM="dumb")
    window.shell(f"clear; {POOLSCOPE} top -p {filled.pid} --count 1 2>{tmp_path}/words; echo code-$?")
    text = window.until("code-0")
    # No line is broken by the terminal, so both tables' titles stand whole; the summary ends it.
    assert re.search(r"^POOL +THR/LIM/CAP ", text, re.M) and re.search(r"^ +TID NAME +POOL .*AGE$", text, re.M), text
    assert re.search(rf"^pools \(PID {filled.pid}\): 10 threads", text, re.M), text
    assert (tmp_path / "words").read_text().startswith("poolscope: plain text follows: a terminal of type dumb cannot")


@pytest.fixture
def hostile():
    name = "\033[31;7mE\"\\:threads=2,named"
    with subprocess.Popen([BUILD / "workloads/pools", "--duration", "300s", "--pool", name], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL) as process:
        yield process
        process.kill()


def test_hostile_names_stay_text(screen, hostile):
    window = screen()
    window.top("-p", hostile.pid)
    text = window.until(r"^\\x1b.31;7mE")
    assert "Threads of" in text
    assert not re.search("\033\\[31;7mE", window.tmux("capture-pane", "-p", "-e"))
    window.press("q")
    window.assert_given_back()


@pytest.mark.parametrize("keys", ["q", "Zq", "C-c"])
def test_what_is_said_on_leaving_is_of_that_moment(screen, pools, keys):
    """Not of the last refresh, which may be long ago; nor of the picture that a pause holds."""
    target = pools("burst:threads=6,named")
    window = screen()
    window.top("-p", target.pid, "-i", "60s", "--limit", "'burst-*:threads=3'", "--fail-on-over")
    window.until(r"^Threads 1 ")
    target.fill()
    window.press(*([keys] if "-" in keys else keys))
    text = window.until(r"^  burst-\* was over its limit of threads 1 time")
    assert re.search(rf"^pools \(PID {target.pid}\): 7 threads, at most 7;", text, re.M), text
    window.shell("echo code-$?")
    window.until("^code-3")


def test_end_of_the_target(screen, filled):
    window = screen()
    window.top("-p", filled.pid)
    window.until(r"^resize-\*")
    filled.send("quit 7")
    filled.process.wait()
    window.until(r"^ENDED \d\d:\d\d:\d\d: exited with code 7; this is the last frame")
    assert re.search(r"^resize-\*", window.text(), re.M)
    window.press("q")
    window.assert_given_back()
    assert "exited with code 7" in window.text()


def test_killed_target(screen, filled):
    """However long the interval is, the end is shown at once."""
    window = screen()
    window.top("-p", filled.pid, "--interval", 600)
    window.until(r"^resize-\*")
    os.kill(filled.pid, signal.SIGKILL)
    window.until(r"^ENDED .*killed by signal 9 \(SIGKILL\)")


def test_a_stopped_terminal_does_not_keep_it(screen, filled):
    window = screen()
    pid = window.top("-p", filled.pid)
    window.until(r"^resize-\*")
    window.press("C-s")
    time.sleep(1.5)  # a frame comes due meanwhile
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the dashboard")
    window.assert_given_back()


def test_without_a_terminal_it_prints_text(agent, filled):
    top = agent("top", "-p", filled.pid, "--limit", "resize-*:threads=5")
    lines = []
    row = re.compile(r"^resize-\* +6/5/- OVER")
    while not any(map(row.match, lines)) and len(lines) < 1000:
        lines.append(top.process.stdout.readline().decode())
    assert lines[0].startswith(f" pools  PID {filled.pid}")
    os.kill(top.process.pid, signal.SIGTERM)
    ended = top.wait()
    assert ended.code == 0, ended
    assert "\033" not in "".join(lines) + ended.out
    assert any(line.startswith("OVER resize-*: 6 threads > 5 since") for line in lines), lines
