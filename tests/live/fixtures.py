# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the live and runtime tests: everything that a test starts is ended when the test ends."""
import os
import signal

import pytest

import harness


def pytest_configure(config):
    if os.geteuid() != 0:
        pytest.exit("the live tests need root: they load BPF programs", returncode=1)
    if not os.access(harness.POOLSCOPE, os.X_OK):
        pytest.exit(f"{harness.POOLSCOPE} is not built; run make first", returncode=1)


@pytest.fixture
def tell(record_property):
    """tell(text): it stands at the run's end, when all is well too; by way of the report, as tests may run side by side."""
    return lambda text: record_property("told", text)


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for text in [value for name, value in report.user_properties if name == "told"]:
            terminalreporter.write_line(text)


def factory(make):
    @pytest.fixture
    def fixture():
        made = []

        def start(*arguments, **options):
            made.append(make(*arguments, **options))
            return made[-1]
        yield start
        for thing in reversed(made):
            thing.close()
    return fixture


pools = factory(harness.Pools)
puppet = factory(harness.Puppet)
workload = factory(harness.Workload)
agent = factory(harness.Agent)


@pytest.fixture
def watch(agent):
    """watch(pid, OPTIONS): a `dump --json` that has attached; it reports when final() asks, or after a while."""
    def start(pid, *options, after=60, **more):
        return agent("dump", "--json", "--after", str(after), "-p", str(pid), *options, **more).attached(pid)
    return start


@pytest.fixture
def final(watch):
    """final(agent, workload): freezes the workload before the agent reports, and returns the target."""
    def finish(watching, workload):
        workload.freeze()
        assert watching.running(), "the workload was too slow for this --after; nothing was compared"
        watching.process.send_signal(signal.SIGINT)
        return watching.wait().target()
    return finish
