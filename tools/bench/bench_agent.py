"""What the agent itself costs, at 10, 1,000 and 10,000 threads, idle and churning, beside peers that show
threads: CPU per refresh of one second, resident memory. All run on one workload, in turns."""
import statistics
import subprocess
import sys
import time
import urllib.request

from bench_lib import BUILD, Workload, cpu_seconds, free_port, listening, resident_mib, running, spread


def measure(process, seconds):
    before, start = cpu_seconds(process.pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(process.pid) - before) / (time.monotonic() - start) * 1000, resident_mib(process.pid)


def exporter(seconds):
    """Scraped once a second, as poolscope refreshes once a second. Threads are on by default."""
    port = free_port()
    with running(["prometheus-process-exporter", "-procnames", "idlers", "-threads=true",
                  f"-web.listen-address=127.0.0.1:{port}"], listening(port)) as process:
        before, start = cpu_seconds(process.pid), time.monotonic()
        while time.monotonic() - start < seconds:
            begun = time.monotonic()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
                answer.read()
            time.sleep(max(0.0, 1 - (time.monotonic() - begun)))
        return (cpu_seconds(process.pid) - before) / (time.monotonic() - start) * 1000, resident_mib(process.pid)


def agent(pid, seconds, settle=3.0):
    port = free_port()
    with running([f"{BUILD}/poolscope", "serve", "-p", str(pid), "--listen", f"127.0.0.1:{port}"],
                 listening(port), settle=settle) as process:
        return measure(process, seconds)


def peer(argv, seconds):
    with running(argv, settle=1.5) as process:
        return measure(process, seconds)


def turns(cases, rounds):
    """name -> milliseconds of CPU of each round, and the most memory."""
    milliseconds, mebibytes = {name: [] for name in cases}, {name: 0.0 for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            spent, resident = case()
            milliseconds[name].append(spent)
            mebibytes[name] = max(mebibytes[name], resident)
    return milliseconds, mebibytes


def main(seconds, rounds):
    print("Agent: CPU milliseconds per second, and times poolscope's in the same round; resident MiB (poolscope refreshes, "
          "and peers are asked, once a second)")
    for count, churners in ((10, 0), (10, 2), (1000, 0), (1000, 2), (10000, 0), (10000, 2)):
        with Workload("idlers", count, churners) as idlers:
            cases = {
                "poolscope": lambda: agent(idlers.pid, seconds),
                "top -H -d 1": lambda: peer(["top", "-b", "-H", "-d", "1", "-p", str(idlers.pid)], seconds),
                "pidstat -t 1": lambda: peer(["pidstat", "-t", "-p", str(idlers.pid), "1"], seconds),
                "process-exporter": lambda: exporter(seconds),
            }
            milliseconds, mebibytes = turns(cases, rounds)
        churn = f"{churners} churning" if churners else "idle"
        for name, spent in milliseconds.items():
            ratio = statistics.median(one / own for one, own in zip(spent, milliseconds["poolscope"]))
            print(f"  {count:6} threads, {churn:10}  {name:18} {spread(spent)} ms/s {ratio:7.2f} x {mebibytes[name]:8.1f} MiB",
                  flush=True)


if __name__ == "__main__":
    subprocess.run(["systemctl", "stop", "prometheus-process-exporter"], check=False, capture_output=True)
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5, int(sys.argv[2]) if len(sys.argv) > 2 else 3)
