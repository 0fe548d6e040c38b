# SPDX-License-Identifier: GPL-2.0-only
"""The command line as a user meets it: help, version, configs, commands run as the right user, completions and
the installed files."""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness import POOLSCOPE, ROOT, run

SUBCOMMANDS = ["top", "dump", "serve", "check", "doctor", "help", "version"]


def test_version():
    done = run("--version")
    assert done.code == 0 and re.fullmatch(r"poolscope \S+\n", done.out), done
    assert run("version").out == done.out


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_help_of_each_subcommand(name):
    done = run("help", name)
    assert done.code == 0 and f"Usage: poolscope {name}" in done.out and not done.err, done
    if name != "help":  # there it means the program
        assert run(name, "--help").out == done.out


@pytest.mark.parametrize("arguments, words", [
    (["tpo", "-p", "1"], "Did you mean `poolscope top`?"),
    (["top", "--fololw-forks"], "Did you mean --follow-forks?"),
    (["replay", "x"], "not in this version"),
    (["top", "-p", "1", "--limit", "resident_bytes=6G"], "did you mean '6GiB'?"),
    (["dump", "--", "true"], "poolscope top -- CMD"),
], ids=" ".join)
def test_mistakes_get_a_hint(arguments, words):
    done = run(*arguments)
    assert done.code == 2 and words in done.err and not done.out, done


def test_documented_config_is_right():
    done = run("check", ROOT / "tests/golden/config.yaml")
    assert done.code == 0 and not done.err, done
    assert "pool anyio*: threads at most 40" in done.out
    assert "process: resident_bytes at most 6GiB" in done.out


def test_all_mistakes_of_a_config_at_once(tmp_path):
    config = tmp_path / "bad.yaml"
    config.write_text("lisen: x\ntargets:\n  - match: { name: a }\n    process: { threads: 4O }\n")
    done = run("check", config)
    assert done.code == 2 and not done.out, done
    lines = done.err.splitlines()
    assert lines[0] == f"{config}:1:1: a config has no key 'lisen'; did you mean 'listen'?"
    assert lines[1].startswith(f"{config}:4:16: threads '4O' is not understood;")
    assert len(lines) == 2


def test_a_pool_by_who_made_its_threads(workload, watch, final, tmp_path):
    """Of threads that were there before that is not known: the rule does not take them."""
    config = tmp_path / "config.yaml"
    config.write_text("defaults:\n  pool_rules:\n    - { pool: made, thread_name: \"*-?\", creator: \"ask*\" }\n")
    assert "creator 'ask*'" in run("check", config).out
    program = workload("askers")
    program.ask("pool before 2")
    watching = watch(program.pid, "-c", config)
    program.ask("pool after 3")
    target = final(watching, program)
    assert {pool["name"]: pool["threads"] for pool in target["pools"]} == {"main": 1, "before-*": 2, "made": 3}


@pytest.fixture
def public():
    """A folder that everyone may enter; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="poolscope-") as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


def who(public, *arguments, **environment):
    """What a command finds itself to be that top runs."""
    output = public / "who"
    output.touch()
    output.chmod(0o666)
    env = {name: value for name, value in os.environ.items() if not name.startswith("SUDO_")}
    done = run("top", *arguments, "--", "sh", "-c", f"id -u > {output}; id -G >> {output}; echo $HOME >> {output}; sleep 1",
               env={**env, **environment})
    assert done.code == 0, done
    return output.read_text().split("\n")


def test_command_runs_as_who_called_sudo(public):
    uid, groups, _ = who(public, SUDO_UID="65534")[:3]
    assert uid == "65534" and "0" not in groups.split()


def test_command_runs_as_the_user_named(public):
    uid, _, home = who(public, "-u", "daemon", SUDO_UID="65534")[:3]
    assert uid == "1" and home == "/usr/sbin"


def test_all_that_a_command_took_has_grown():
    """It was watched from its first instruction on."""
    done = run("top", "--count", "4", "--interval", "0.5", "--", "sh", "-c",
               "x=$(head -c 3000000 /dev/zero | tr '\\0' x); sleep 4")
    lines = [line.split() for line in done.out.splitlines()]
    last = [line for line in lines if line[:1] == ["main"]][-1]
    titles = next(line for line in lines[::-1] if line[:1] == ["POOL"])
    assert done.code == 0 and last[titles.index("GROWN")] == "+" + last[titles.index("RES")], done
    assert last[titles.index("RES")].endswith("M"), done


def test_a_command_is_known_once_its_libraries_are_there():
    """When it was seen to exec there were none; and what the exec mapped was not there before the attach."""
    done = run("top", "--count", "3", "--interval", "0.5", "--", "sleep", "4")
    last = done.out[done.out.rindex("\n sleep  PID "):]
    assert re.match(r"\n sleep  PID \d+  glibc ", last) and "before attach" not in last, done


def test_what_a_short_command_held_is_not_known(tmp_path):
    """Not even a loader runs before it ends: as a rule it's gone when it could be read."""
    source, short = tmp_path / "short.c", tmp_path / "short"
    source.write_text("#include <unistd.h>\nvoid _start(void) { _exit(0); }\n")
    subprocess.run(["cc", "-static", "-nostartfiles", "-o", short, source], check=True)
    for _ in range(20):
        done = run("top", "--", short)
        assert done.code == 0, done
        if "nothing of it was read" in done.out:
            break
    assert re.search(r"Attributed n/a +unattributed n/a", done.out), done
    assert "n/a of it attributed" in done.out and done.out.startswith(" short  PID "), done


def test_text_says_what_it_waits_for_and_once():
    done = run("top", "--interval", "0.2", "--count", "4", "-n", "no-such-name")
    assert done.out == "" and done.err.count("no process named no-such-name yet: waiting") == 1, done
    assert "pgrep -a no-such-name" in done.err


def test_command_that_cannot_be_run():
    done = run("top", "--", "/no/such/program")
    assert done.code in (1, 4) and "/no/such/program" in done.err and "No such file" in done.err, done


def complete(*words, folder=None):
    """What bash offers for the last word."""
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _poolscope; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", ROOT / "tools/completions/poolscope.bash", "poolscope", *words],
                          capture_output=True, text=True, check=True, cwd=folder)
    return [line for line in done.stdout.splitlines() if line]


def test_bash_completion():
    assert complete("t") == ["top"]
    assert set(complete("")) >= set(SUBCOMMANDS)
    assert complete("top", "--fo") == ["--follow-forks"]
    assert complete("dump", "--js") == ["--json"]
    assert complete("top", "--js") == []
    assert complete("top", "--variant", "f") == ["fexit"]
    assert str(os.getpid()) in complete("top", "-p", str(os.getpid()))
    assert complete("top", "--", "--fo") == []


def test_a_process_name_is_completed_and_not_run(tmp_path):
    name = "$(>ran)"
    program = "import sys; print(open('/proc/self/comm', 'w').write(sys.argv[1]), flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        for typed in ("", name[:3]):
            assert r"\$\(\>ran\)" in complete("top", "-n", typed, folder=tmp_path)
        process.stdin.close()
    assert not list(tmp_path.iterdir())


def test_completion_offers_what_the_program_takes():
    """Of each subcommand just the options of its help."""
    for name in SUBCOMMANDS[:5]:
        offered = {word for word in complete(name, "--") if word.startswith("--")}
        helped = set(re.findall(r"--[a-z][a-z.-]*[a-z]", run("help", name).out.split("Options:")[1].split("Exit codes")[0]))
        assert offered == helped, name


def test_install(tmp_path):
    subprocess.run([ROOT / "tools/install-extras", tmp_path / "usr"], check=True)
    share = tmp_path / "usr/share"
    files = {str(path.relative_to(share)) for path in share.rglob("*") if path.is_file()}
    assert files == {"man/man8/poolscope.8", "bash-completion/completions/poolscope",
                     "zsh/site-functions/_poolscope", "fish/vendor_completions.d/poolscope.fish"}
    assert os.access(POOLSCOPE, os.X_OK)
