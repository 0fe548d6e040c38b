# SPDX-License-Identifier: GPL-2.0-only
"""Kernels and targets that poolscope cannot work with: it says what failed, why, and what to do."""
import pytest

from harness import build_of_32_bits
from machine import boot, sections



def refused(done, code, *words):
    assert done.code == code, done
    assert done.out.strip() == "", done
    complaint, _, remedy = done.err.partition("\n")
    assert complaint.startswith("poolscope: cannot ") and remedy.strip(), done
    for word in words:
        assert word in done.err, f"no {word!r} in: {done}"
    assert "libbpf" not in done.err and "report this" not in done.err, done


# ---- lockdown

LOCKED = """
report dump poolscope dump -p 1
report doctor poolscope doctor
mount -t securityfs securityfs /sys/kernel/security
report told-top poolscope top -p 1
report told-variant poolscope dump --variant tracepoint -p 1
report told-doctor poolscope doctor
"""


@pytest.fixture(scope="session")
def locked(kernel, tmp_path_factory):
    text = boot(kernel, LOCKED, tmp_path_factory.mktemp("vm"), "lsm=lockdown,capability lockdown=confidentiality")
    return sections(text)


@pytest.mark.parametrize("name", ["dump", "told-top", "told-variant"])
def test_lockdown_is_named(locked, name):
    refused(locked[name], 1, "lockdown=confidentiality", "boot without")


@pytest.mark.parametrize("name", ["doctor", "told-doctor"])
def test_doctor_names_lockdown_for_each_variant(locked, name):
    done = locked[name]
    assert done.code == 1 and "poolscope cannot run here" in done.out, done
    refusals = [line for line in done.out.splitlines() if line.startswith("  no  ")]
    assert len(refusals) == 6 and all("lockdown=confidentiality" in line for line in refusals), done
    assert "report this" not in done.out, done
    if name == "told-doctor":
        assert any(line.startswith("  missing  lockdown ") for line in done.out.splitlines()), done


# ---- a kernel that hides things, and a target of 32 bits

HIDDEN = """
uname -r
pools --duration 200s --pool a:threads=3,mmap=1M >/dev/null &
target=$!
program32 >/tmp/ready &
target32=$!
until grep -q ready /tmp/ready && [ $(ls /proc/$target/task | wc -l) = 4 ]; do sleep 0.1; done
for command in dump top; do
	report bits-$command poolscope $command -p $target32
done

umount /sys/kernel/tracing
report tracefs-mounted poolscope dump --json --variant tracepoint -p $target
report tracefs-there ls /sys/kernel/tracing/events
umount /sys/kernel/tracing

# All of /sys/kernel but the type information is hidden: tracefs has no place to be mounted at.
mkdir /tmp/btf
mount --bind /sys/kernel/btf /tmp/btf
mount -t tmpfs hidden /sys/kernel
mkdir /sys/kernel/btf
mount --bind /tmp/btf /sys/kernel/btf
report tracefs-absent poolscope dump --json -p $target
report tracefs-forced poolscope dump --variant tracepoint -p $target
report tracefs-doctor poolscope doctor
umount /sys/kernel/btf

report btf-dump poolscope dump -p $target
report btf-forced poolscope dump --variant fexit -p $target
report btf-doctor poolscope doctor
kill -KILL $target $target32
"""


@pytest.fixture(scope="session")
def program32(tmp_path_factory):
    return build_of_32_bits(tmp_path_factory.mktemp("program32"))


@pytest.fixture(scope="session")
def hidden(kernel, program32, tmp_path_factory):
    text = boot(kernel, HIDDEN, tmp_path_factory.mktemp("vm"), programs=[(program32, "/usr/bin/program32")])
    assert text.startswith(kernel.parent.name + "."), text
    return sections(text)


@pytest.mark.parametrize("command", ["dump", "top"])
def test_a_target_of_32_bits(hidden, command):
    refused(hidden[f"bits-{command}"], 4, "32-bit")


def test_tracefs_is_mounted_when_it_is_needed(hidden):
    target = hidden["tracefs-mounted"].target()
    assert (target["variant"], target["threads"]) == ("tracepoint", 4)
    assert "syscalls" in hidden["tracefs-there"].out


def test_without_tracefs_another_variant_serves(hidden):
    assert hidden["tracefs-absent"].target()["variant"] == "fexit"
    refused(hidden["tracefs-forced"], 1, "tracefs", "mount -t tracefs")
    doctor = hidden["tracefs-doctor"]
    assert doctor.code == 0 and "poolscope can run here" in doctor.out, doctor
    assert any(line.split()[:3] == ["no", "memory", "tracepoint"] for line in doctor.out.splitlines()), doctor


@pytest.mark.parametrize("name", ["btf-dump", "btf-forced"])
def test_without_type_information(hidden, name):
    refused(hidden[name], 1, "/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF=y")


def test_doctor_without_type_information(hidden):
    doctor = hidden["btf-doctor"]
    assert doctor.code == 1 and "poolscope cannot run here" in doctor.out, doctor
    assert any(line.startswith("  missing  BTF ") for line in doctor.out.splitlines()), doctor
    refusals = [line for line in doctor.out.splitlines() if line.startswith("  no  ")]
    assert len(refusals) == 6 and all("/sys/kernel/btf/vmlinux" in line for line in refusals), doctor
