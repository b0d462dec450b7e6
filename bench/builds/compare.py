"""Interleaved comparison of builds of FastLB: python3 bench/builds/compare.py before=DIR after=DIR [--close] [--connections 64]

DIR is a copy of src/FastLB/bin/Release/net10.0. Every build runs as one process with one loop on core 0; wrk and an nginx that answers
128 bytes have core 1. A round runs each build once, and every second round in reverse, so that drift hits all of them. Machines drift by
far more than a change of a few per cent: what counts is the median of each round's ratio to the first build.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
ORIGIN_PORT = 9480
BODY = "a" * 128

ORIGIN = """
worker_processes 1; pid {dir}/origin.pid; error_log {dir}/origin.log; daemon off;
events {{ worker_connections 8000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600;
  client_body_temp_path {dir}/1; proxy_temp_path {dir}/2; fastcgi_temp_path {dir}/3; uwsgi_temp_path {dir}/4; scgi_temp_path {dir}/5;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "{body}"; }} }}
}}
"""

FASTLB = """
engine: {engine}
loops: 1
listeners: [{{ bind: "127.0.0.1:{port}", pool: app }}]
pools: {{ app: {{ workers: ["127.0.0.1:{origin}"] }} }}
"""


class Build:
    """One running build and what its rounds gave: user CPU, whole CPU (both us per request), requests per second."""

    def __init__(self, name, directory, port, engine, folder):
        self.name, self.port, self.samples = name, port, []
        config = folder / f"{name}.yaml"
        config.write_text(FASTLB.format(port=port, origin=ORIGIN_PORT, engine=engine))
        self.process = start("0", ["dotnet", f"{directory}/fastlb.dll", "run", "-c", str(config)], folder / f"{name}.log")

    def user_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) / TICKS_PER_SECOND

    def cpu_seconds(self):
        """The scheduler's own account, in nanoseconds per thread: the ticks of stat are too coarse for short runs."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def load(self, seconds, options):
        user, cpu = self.user_seconds(), self.cpu_seconds()
        header = ["-H", "Connection: close"] if options.close else []
        command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{options.connections}", f"-d{seconds}s", *header, f"http://127.0.0.1:{self.port}/"]
        report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in report or "Socket errors" in report:
            sys.exit(f"{self.name} failed requests:\n{report}")
        requests = int(re.search(r"(\d+) requests in", report).group(1))
        return (self.user_seconds() - user) * 1e6 / requests, (self.cpu_seconds() - cpu) * 1e6 / requests, requests / seconds


def start(core, command, log):
    return subprocess.Popen(["taskset", "-c", core, *command], stdout=open(log, "w"), stderr=subprocess.STDOUT, start_new_session=True)


def wait_until_answered(port):
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
                if answer.read().decode() == BODY:
                    return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"nobody answers rightly on port {port}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("builds", nargs="+", metavar="NAME=DIR")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--close", action="store_true", help="one request per connection")
    parser.add_argument("--engine", default="epoll")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=2, help="of load per build and round")
    parser.add_argument("--warm-up", type=int, default=8, help="seconds of load per build before the first round")
    options = parser.parse_args()

    folder = pathlib.Path(tempfile.mkdtemp(prefix="fastlb-builds-"))
    (folder / "origin.conf").write_text(ORIGIN.format(dir=folder, port=ORIGIN_PORT, body=BODY))
    processes = [start("1", [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(folder / "origin.conf")], folder / "origin.out")]
    try:
        builds = []
        for i, (name, _, directory) in enumerate(argument.partition("=") for argument in options.builds):
            builds.append(Build(name, directory, ORIGIN_PORT + 1 + i, options.engine, folder))
            processes.append(builds[-1].process)
        for build in builds:
            wait_until_answered(build.port)
            build.load(options.warm_up, options)
        for number in range(options.rounds):
            for build in builds if number % 2 == 0 else reversed(builds):
                build.samples.append(build.load(options.seconds, options))
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGTERM)
        for process in processes:
            process.wait(timeout=40)
        shutil.rmtree(folder)

    print("| build | CPU us per request (lowest to highest) | of it user | requests per second | ratio to the first, median of rounds |")
    print("| --- | --- | --- | --- | --- |")
    for build in builds:
        user, cpu, rate = (statistics.median(column) for column in zip(*build.samples))
        cpus = [sample[1] for sample in build.samples]
        ratio = statistics.median(own[1] / first[1] for own, first in zip(build.samples, builds[0].samples))
        print(f"| {build.name} | {cpu:.2f} ({min(cpus):.2f} to {max(cpus):.2f}) | {user:.2f} | {rate:,.0f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
