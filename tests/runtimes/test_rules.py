# SPDX-License-Identifier: GPL-2.0-only
"""The shipped rules (agent/model/runtime_rules.c) on live programs, of each runtime that Debian has: which pools, of
which kind, with how many threads. Debian has no .NET: its rules have unit tests by its sources."""
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

import harness
from fixtures import factory
from harness import run, wait_for
from programs import PROGRAMS, Program, compiled, program  # noqa: F401 pylint: disable=unused-import

def kinds(target):
    """name -> (kind, threads, whether they are the runtime's own)"""
    harness.assert_adds_up(target)
    return {pool["name"]: (pool["kind"], pool["threads"], pool["runtime_threads"]) for pool in target["pools"]}


def dumped(pid):
    return kinds(run("dump", "--json", "-p", pid).target())


def dumped_when(pid, **pools):
    """Runtimes start some of their threads when they like."""
    def there():
        found = dumped(pid)
        return found if all(name in found and found[name][1] >= threads for name, threads in pools.items()) else None
    return wait_for(there, f"{pools} in PID {pid}")


MAIN = {"main": ("threads", 1, False)}
NATIVE = [
    ("openmp.c", ("gcc", "-fopenmp"), ("4",), {"libgomp": ("OpenMP team", 3, False)}),
    ("openmp.c", ("clang", "-fopenmp"), ("4",), {"libomp": ("OpenMP team", 3, False)}),
    ("uv.c", ("gcc",), (), {"libuv": ("libuv pool", 6, False)}),
    ("tbb.cc", ("g++",), (), {"tbb": ("TBB workers", 3, False)}),
    ("pthreadpool.c", ("gcc",), (), {"pthreadpool": ("pthreadpool", 3, False)}),
    ("openblas.c", ("gcc",), (), {"openblas": ("OpenBLAS pool", 3, False)}),
    ("threads.cc", ("g++",), (), {"threads_cc:main::{lambda()#1}": ("threads", 2, False),
                                  "threads_cc:decode_frames": ("threads", 3, False)}),
]


@pytest.mark.parametrize("source,compiler,arguments,expected", NATIVE, ids=[f"{n[0]}-{n[1][0]}" for n in NATIVE])
def test_native(program, tmp_path, source, compiler, arguments, expected):
    started = program(compiled(tmp_path, source, *compiler), *arguments, env={"UV_THREADPOOL_SIZE": "6"})
    assert dumped(started.pid) == MAIN | expected


def test_the_same_pools_for_those_who_were_there_and_those_born_later(program, tmp_path, watch, final):
    """The program waits for a byte before it makes its teams."""
    class Waiting(Program):
        def read(self):
            return {"ready": self.process.pid} if not hasattr(self, "greeting") else super().read()
    path = compiled(tmp_path, "openmp.c", "gcc", "-fopenmp")
    waiting = Waiting(path, "3", "2", "wait", "")
    try:
        watching = watch(waiting.pid)
        waiting.send("")
        waiting.read()
        assert dumped(waiting.pid) == kinds(final(watching, waiting))
    finally:
        waiting.close()


def test_hotspot(program, tmp_path):
    subprocess.run(["javac", "-d", tmp_path, PROGRAMS / "Executors.java"], check=True)
    java = program("java", "-Djava.util.concurrent.ForkJoinPool.common.parallelism=2", "-XX:+UseG1GC", "-cp", tmp_path,
                   "Executors")
    found = dumped_when(java.pid, **{"jvm-gc": 4, "jvm-compiler": 2, "jvm-internal": 7})
    own = {name for name, (_, _, is_own) in found.items() if is_own}
    assert own == {"jvm-gc", "jvm-compiler", "jvm-internal"}
    assert {name: pool for name, pool in found.items() if name not in own} == MAIN | {
        "java-main": ("Java main thread", 1, False),
        "pool-1-thread-*": ("Java executor", 3, False),
        "pool-2-thread-*": ("Java executor", 12, False),
        "resize-images-w*": ("Java threads", 4, False),
        "ForkJoinPool.commonPool": ("ForkJoinPool", 2, False),
        "ForkJoinPool-1-*": ("ForkJoinPool", 2, False),
    }
    for name, kind in (("jvm-gc", "HotSpot collector"), ("jvm-compiler", "HotSpot compiler"),
                       ("jvm-internal", "HotSpot internal")):
        assert found[name][0] == kind


def test_node(program):
    node = program("node", PROGRAMS / "workers.js")
    found = dumped_when(node.pid, libuv=4, **{"v8-platform": 4})
    assert found.pop("node-internal")[::2] == ("Node.js internal", True)
    assert found == MAIN | {
        "libuv": ("libuv pool", 4, False),
        "v8-platform": ("V8 platform workers", 4, True),
        "node-worker": ("Node.js worker_threads", 2, False),
    }


@pytest.mark.parametrize("sources", [("goroutines.go",), ("goroutines.go", "cgo.go")], ids=["go", "cgo"])
def test_go(program, tmp_path, sources):
    path = tmp_path / "goroutines"
    subprocess.run(["go", "build", "-o", path, *(PROGRAMS / source for source in sources)], check=True,
                   env={**os.environ, "GOCACHE": str(tmp_path / "cache"), "GOFLAGS": "-mod=mod", "GO111MODULE": "off"})
    started = program(path, env={"GOMAXPROCS": "3"})
    target = run("dump", "--json", "-p", started.pid).target()
    assert {pool["name"]: pool["parallelism"] for pool in target["pools"]} == {"go": 3, "main": None}
    found = kinds(target)
    kind, threads, is_own = found.pop("go")
    assert found == MAIN and (kind, is_own) == ("Go threads", False)
    assert threads >= 10


RUST = {"PATH": "/usr/bin:/bin", "RUSTC": "/usr/bin/rustc"}  # Debian's, whatever toolchain a home directory has


@pytest.fixture(scope="module")
def tokio_service(tmp_path_factory):
    """Built without a network, of the sources that Debian has in its packages."""
    folder = tmp_path_factory.mktemp("tokio")
    shutil.copytree(PROGRAMS / "tokio", folder / "source")
    (folder / "config.toml").write_text('[source.crates-io]\nreplace-with = "debian"\n'
                                        '[source.debian]\ndirectory = "/usr/share/cargo/registry"\n')
    subprocess.run(["/usr/bin/cargo", "build", "--offline", "--quiet", "--target-dir", folder / "target"], check=True,
                   cwd=folder / "source", env={**RUST, "HOME": str(folder), "CARGO_HOME": str(folder)})
    return folder / "target/debug/service"


# What the older name is cut to, and the name that newer ones have.
@pytest.mark.parametrize("name,pool", [("", "tokio-runtime-w*"), ("tokio-rt-worker", "tokio-rt-worker")])
def test_tokio(program, tokio_service, name, pool):
    """Four workers, and two threads that block: nothing tells them apart."""
    started = program(tokio_service, name)
    assert dumped(started.pid) == MAIN | {pool: ("tokio workers and blocking", 6, False)}


def test_rust(program, tmp_path):
    subprocess.run(["/usr/bin/rustc", "--edition", "2021", "-o", tmp_path / "threads", PROGRAMS / "threads.rs"],
                   check=True, env=RUST)
    started = program(tmp_path / "threads")
    assert dumped(started.pid) == MAIN | {"rust-threads": ("Rust threads", 3, False), "resizer-*": ("Rust threads", 2, False)}


def test_torch(program):
    """The teams are the main thread's, and that of the thread between operators that adds up, if it was not the main one."""
    started = program("/usr/bin/python3", PROGRAMS / "torch_pools.py", env={"OPENBLAS_NUM_THREADS": "2"})
    found = dumped(started.pid)
    teams = [found.pop(name) for name in ("libgomp", "torch/libgomp") if name in found]
    assert teams and all(team == ("OpenMP team", 2, False) for team in teams)
    assert found == MAIN | {"torch": ("torch pool", 3, False), "pthreadpool": ("pthreadpool", 2, False),
                            "openblas": ("OpenBLAS pool", 1, False)}


def test_grpc(program):
    """Its core's threads; which of them there are is its own affair, but for the timer's."""
    started = program("/usr/bin/python3", PROGRAMS / "grpc_server.py")
    found = dumped(started.pid)
    kind, threads, is_own = found["grpc-internal"]
    assert (kind, is_own) == ("gRPC internal", True) and threads >= 1
    assert found["default-executo*"][0] == "gRPC threads"
    assert found["main"] == MAIN["main"]
    kinds = {pool[0] for pool in found.values()}
    # One of Python's that was not read yet is Python's by its start routine.
    assert kinds - {"Python threads"} == {"gRPC internal", "gRPC threads", "threads", "threading.Thread"}


def test_ruby(program):
    started = program("ruby", PROGRAMS / "threads.rb")
    assert dumped(started.pid) == MAIN | {"threads.rb:3": ("Ruby threads", 3, False),
                                          "mailer-*": ("Ruby threads", 2, False)}


class Server:
    """A server that is no program of ours: it is ready when its pools are as they should be."""

    def __init__(self, argv, **options):
        self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
        self.pid = self.process.pid

    def close(self):
        self.process.send_signal(signal.SIGQUIT)  # nginx, PostgreSQL: with all of their children
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


server = factory(Server)


def test_puma(server, tmp_path):
    (tmp_path / "config.ru").write_text("run ->(env) { [200, {}, ['ok']] }\n")
    puma = server(["puma", "-b", f"unix://{tmp_path}/socket", "-t", "3:3", tmp_path / "config.ru"])
    wait_for(lambda: (tmp_path / "socket").exists(), "Puma's socket")
    found = dumped_when(puma.pid, **{"puma srv tp *": 3, "puma-internal": 1})
    assert found["puma srv tp *"] == ("Puma pool", 3, False)
    assert found["puma-internal"][::2] == ("Puma internal", True)
    assert set(found) == {"main", "puma srv tp *", "puma-internal"}


def processes(pid, count):
    """PID -> pools, of a server and its children, once there are as many."""
    def there():
        ended = run("dump", "--json", "-f", "-p", pid)
        if ended.code != 0:
            return None
        targets = json.loads(ended.out)["targets"]
        return {target["pid"]: kinds(target) for target in targets} if len(targets) >= count else None
    return wait_for(there, f"{count} processes of PID {pid}")


def test_nginx(server, tmp_path):
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; worker_processes 2; user root; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
        "thread_pool default threads=3; events {}\n"
        f"http {{ access_log off; aio threads; server {{ listen unix:{tmp_path}/socket; }} }}\n")
    nginx = server(["nginx", "-c", tmp_path / "nginx.conf"])

    def ready():
        found = processes(nginx.pid, 3)
        return found if sum("nginx-pool" in pools for pools in found.values()) == 2 else None
    found = wait_for(ready, "two workers with their pools")
    assert found.pop(nginx.pid) == {"main": ("nginx master process", 1, False)}
    assert list(found.values()) == [{"main": ("nginx child process", 1, False),
                                     "nginx-pool": ("nginx thread pool", 3, False)}] * 2


@pytest.fixture
def open_folder():
    """A folder that another user can get into, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def test_postgresql(server, open_folder):
    user = pwd.getpwnam("postgres")
    data = open_folder / "data"
    data.mkdir()
    os.chown(data, user.pw_uid, user.pw_gid)
    programs = max(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
    drop = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    subprocess.run([*drop, f"{programs}/initdb", "-N", "-A", "trust", "-D", data], check=True, stdout=subprocess.DEVNULL,
                   cwd=open_folder)
    postgres = server([*drop, f"{programs}/postgres", "-D", data, "-h", "", "-k", data], cwd=open_folder)
    found = processes(postgres.pid, 5)
    assert found.pop(postgres.pid) == {"main": ("PostgreSQL postmaster", 1, False)}
    assert list(found.values()) == [{"main": ("PostgreSQL child process", 1, False)}] * len(found)
