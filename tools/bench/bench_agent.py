"""What the agent itself costs, at 10, 1,000 and 10,000 threads, idle and churning, beside peers that show
threads: CPU per refresh of one second, resident memory. All run side by side on one workload and are measured over the
same seconds, so that a slow hour is slow for all; ratios are of the same seconds."""
import contextlib
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

from bench_lib import BUILD, Workload, cpu_seconds, free_port, listening, resident_mib, running, spread

OWN = "poolscope"


def scrape(port, ended):
    """Once a second, as poolscope refreshes once a second."""
    while not ended.is_set():
        begun = time.monotonic()
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            answer.read()
        ended.wait(max(0.0, 1 - (time.monotonic() - begun)))


@contextlib.contextmanager
def observers(pid):
    """name -> process of each that observes it. Threads are on by default in the exporter."""
    own, port, ended = free_port(), free_port(), threading.Event()
    commands = {
        OWN: ([f"{BUILD}/poolscope", "serve", "-p", str(pid), "--listen", f"127.0.0.1:{own}"], listening(own)),
        "top -H -d 1": (["top", "-b", "-H", "-d", "1", "-p", str(pid)], None),
        "pidstat -t 1": (["pidstat", "-t", "-p", str(pid), "1"], None),
        "process-exporter": (["prometheus-process-exporter", "-procnames", "idlers", "-threads=true",
                              f"-web.listen-address=127.0.0.1:{port}"], listening(port)),
    }
    with contextlib.ExitStack() as stack:
        processes = {name: stack.enter_context(running(argv, ready)) for name, (argv, ready) in commands.items()}
        scraper = threading.Thread(target=scrape, args=(port, ended))
        scraper.start()
        try:
            yield processes
        finally:
            ended.set()
            scraper.join()


def window(processes, seconds):
    """name -> milliseconds of CPU per second."""
    before, start = {name: cpu_seconds(process.pid) for name, process in processes.items()}, time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - start
    return {name: (cpu_seconds(process.pid) - before[name]) / took * 1000 for name, process in processes.items()}


def main(seconds, rounds):
    print("Agent: CPU milliseconds per second, and times poolscope's in the same seconds; resident MiB (poolscope refreshes, "
          "and peers are asked, once a second; all at once)")
    for count, churners in ((10, 0), (10, 2), (1000, 0), (1000, 2), (10000, 0), (10000, 2)):
        with Workload("idlers", count, churners) as idlers, observers(idlers.pid) as processes:
            time.sleep(3)
            rows = [window(processes, seconds) for _ in range(rounds)]
            mebibytes = {name: resident_mib(process.pid) for name, process in processes.items()}
        churn = f"{churners} churning" if churners else "idle"
        for name in rows[0]:
            ratio = statistics.median(row[name] / row[OWN] for row in rows)
            print(f"  {count:6} threads, {churn:10}  {name:18} {spread([row[name] for row in rows])} ms/s {ratio:7.2f} x "
                  f"{mebibytes[name]:8.1f} MiB", flush=True)


if __name__ == "__main__":
    subprocess.run(["systemctl", "stop", "prometheus-process-exporter"], check=False, capture_output=True)
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5, int(sys.argv[2]) if len(sys.argv) > 2 else 6)
