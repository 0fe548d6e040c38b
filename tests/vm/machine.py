# SPDX-License-Identifier: GPL-2.0-only
"""Boots a kernel, runs a script in it, and takes apart what the script wrote. It must not know what is tested."""
import os
import re
import subprocess

from harness import BUILD, ROOT, Ended

# 7 is the newest of its kind: what the next Debian will bring.
KERNELS = os.environ.get("KERNELS", "5.10 6.1 6.12 7").split()
PATIENCE = 240  # seconds; a boot and its script take 5 to 30
PROGRAMS = [(BUILD / "poolscope", "/usr/sbin/poolscope"), (BUILD / "workloads/pools", "/usr/bin/pools"),
            (BUILD / "workloads/puppet", "/usr/bin/puppet")]
PROLOGUE = """
# report NAME COMMAND...: its exit code and all that it wrote, as a section of the result
report() {
	name=$1
	shift
	"$@" >/tmp/out 2>/tmp/err
	show $name $?
}
show() {
	echo "=== $1 $2"
	cat /tmp/out
	echo "--- err"
	cat /tmp/err
}
# attached AGENT TARGET: waits until the agent watches the target: its page tables are opened after the probes know it, and
# stay open, while other files are read before
attached() {
	until ls -l /proc/$1/fd 2>/dev/null | grep -q "/proc/$2/pagemap"; do
		[ -d /proc/$1 ] || return 1
		sleep 0.1
	done
}
"""


def series(kernel):
    """The kernel's version as two numbers; 7 is 7.0 at least."""
    return tuple(map(int, (kernel.parent.name + ".0").split(".")[:2]))


def boot(kernel, script, folder, append="", programs=()):
    """What the script wrote; it must end with 0."""
    path = folder / "script"
    path.write_text(PROLOGUE + script)
    command = [ROOT / "tools/vm/boot", "--kernel", kernel, "--script", path, "--timeout", str(PATIENCE),
               f"--append={append}"]
    for source, place in [*PROGRAMS, *programs]:
        command += ["--file", f"{source}={place}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=4 * PATIENCE + 60, check=False)
    text, console = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    assert done.returncode == 0, f"ended with {done.returncode}\n{text}\n{console[-6000:]}"
    return text


def sections(text):
    """{name: what report() showed}"""
    parts = re.split(r"^=== (\S+) (\d+)\n", text, flags=re.M)
    return {name: Ended(int(code), *body.split("--- err\n", 1))
            for name, code, body in zip(parts[1::3], parts[2::3], parts[3::3])}
