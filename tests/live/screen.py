# SPDX-License-Identifier: GPL-2.0-only
"""A real terminal (tmux) with a shell in it, driven by keys and read as text. It must not know what poolscope draws."""
import os
import re
import subprocess
from pathlib import Path

import pytest

from harness import POOLSCOPE, wait_for


class Screen:
    """A shell in a tmux window of its own server."""

    def __init__(self, folder, columns=80, rows=24, **environment):
        self.socket = str(folder / "tmux")
        # What the shell starts with; tmux itself always writes UTF-8.
        variables = {"PS1": "ready> ", "LC_ALL": "C.UTF-8", "TERM": "screen-256color", "TZ": "UTC", **environment}
        assignments = [f"{key}={value}" for key, value in variables.items()]
        self.tmux("-f", "/dev/null", "-u", "new-session", "-d", "-x", str(columns), "-y", str(rows), "-c", str(folder),
                  "env", "-u", "NO_COLOR", *assignments, "bash", "--norc", "--noprofile")
        self.until("ready>")

    def tmux(self, *arguments):
        return subprocess.run(["tmux", "-S", self.socket, *arguments], check=True, stdout=subprocess.PIPE,
                              env=dict(os.environ, LC_ALL="C.UTF-8")).stdout.decode()

    def text(self):
        return self.tmux("capture-pane", "-p")

    def until(self, pattern):
        """Waits until the screen shows the pattern; returns the screen."""
        try:
            return wait_for(lambda: (text := self.text()) and re.search(pattern, text, re.M) and text, pattern)
        except AssertionError as late:
            raise AssertionError(f"{late}; the screen:\n{self.text()}") from None

    def until_not(self, pattern):
        return wait_for(lambda: not re.search(pattern, self.text(), re.M), f"{pattern} to go")

    def press(self, *keys):
        self.tmux("send-keys", *keys)

    def shell(self, command):
        self.tmux("send-keys", "-l", command)
        self.press("Enter")

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def value(self, name):
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()

    def modes(self):
        """The terminal's settings as the shell sees them."""
        self.shell("stty -a > modes; echo written-$?")
        self.until("written-0")
        return Path(self.socket).with_name("modes").read_text()

    def top(self, *arguments):
        """Starts poolscope and returns its PID once it has taken the terminal over."""
        shell = int(self.value("pane_pid"))
        self.shell(f"clear; {POOLSCOPE} top " + " ".join(map(str, arguments)))
        wait_for(lambda: self.value("alternate_on") == "1", "the dashboard")
        children = Path(f"/proc/{shell}/task/{shell}/children")
        pids = wait_for(lambda: children.read_text().split(), "poolscope's PID")
        return int(pids[0])

    def assert_given_back(self):
        wait_for(lambda: self.value("alternate_on") == "0", "the terminal's own screen")
        self.until("ready>")
        assert self.value("cursor_flag") == "1", "the cursor is still hidden"

    def close(self):
        self.tmux("kill-server")


@pytest.fixture
def screen(tmp_path):
    made = []

    def start(*arguments, **environment):
        made.append(Screen(tmp_path, *arguments, **environment))
        return made[-1]
    yield start
    for one in made:
        one.close()
