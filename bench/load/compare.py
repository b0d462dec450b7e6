"""Interleaved comparison of FastLB with nginx and HAProxy on one machine.

The proxy under test has core 0 for itself, the load generator and the origin share core 1. Every round runs each proxy once,
in turn, so that whatever else the machine does hits all of them. The figure is the proxy's CPU time per request: utime + stime
of all its threads plus what ksoftirqd used on its core, divided by the requests that wrk counted. Medians over the rounds.
An answer that is wrong ends the run: a fast proxy that answers nonsense is not fast.
"""

import argparse
import datetime
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
FASTLB = ROOT / "src/FastLB/bin/Release/net10.0/fastlb.dll"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PROXY_CORE, LOAD_CORE = "0", "1"
ORIGIN_PORT = 9180
BODY = "a" * 128

ORIGIN_CONF = """
worker_processes 1; worker_rlimit_nofile 20000; pid {dir}/origin.pid; error_log {dir}/origin.log; daemon off;
events {{ worker_connections 8000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600; default_type text/plain;
  client_body_temp_path {dir}/o1; proxy_temp_path {dir}/o2; fastcgi_temp_path {dir}/o3; uwsgi_temp_path {dir}/o4; scgi_temp_path {dir}/o5;
  server {{ listen 127.0.0.1:{origin}; location / {{ return 200 "{body}"; }} }}
}}
"""

NGINX_CONF = """
worker_processes 1; worker_rlimit_nofile 20000; pid {dir}/nginx.pid; error_log {dir}/nginx.log; daemon off;
events {{ worker_connections 8000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600;
  client_body_temp_path {dir}/n1; proxy_temp_path {dir}/n2; fastcgi_temp_path {dir}/n3; uwsgi_temp_path {dir}/n4; scgi_temp_path {dir}/n5;
  upstream app {{ server 127.0.0.1:{origin}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://app; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
    }}
  }}
}}
"""

HAPROXY_CONF = """
global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 1s
  timeout http-request 10s
  timeout http-keep-alive 60s
  option forwardfor
  http-reuse always
frontend f
  bind 127.0.0.1:{port}
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  default_backend b
backend b
  server s 127.0.0.1:{origin} maxconn 4000
"""

FASTLB_CONF = """
engine: epoll
loops: 1
listeners: [{{ bind: "127.0.0.1:{port}", pool: app }}]
pools: {{ app: {{ workers: ["127.0.0.1:{origin}"] }} }}
"""


class Proxy:
    """One proxy under test: how it is started and what its processes used."""

    def __init__(self, name, port, config_name, config, command, folder):
        self.name, self.port = name, port
        path = folder / config_name
        path.write_text(config.format(dir=folder, port=port, origin=ORIGIN_PORT, body=BODY))
        self.process = start(PROXY_CORE, [part.format(config=path) for part in command], folder / f"{name}.out")

    def cpu_ticks(self):
        return sum(ticks_of(pid) for pid in tree_of(self.process.pid))


def start(core, command, log):
    return subprocess.Popen(["taskset", "-c", core, *command], stdout=open(log, "w"), stderr=subprocess.STDOUT, start_new_session=True)


def tree_of(pid):
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [p for child in children for p in tree_of(int(child))]


def ticks_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def softirq_pid():
    for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
        if path.read_text().strip() == f"ksoftirqd/{PROXY_CORE}":
            return int(path.parent.name)
    sys.exit("compare.py: ksoftirqd is not visible in /proc")


def wait_until_answered(proxy):
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{proxy.port}/", timeout=2) as answer:
                text = answer.read().decode()
                if text != BODY:
                    sys.exit(f"compare.py: {proxy.name} answered {text!r}")
                return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"compare.py: {proxy.name} does not answer")


def measure(proxy, connections, seconds, softirq):
    before, soft_before = proxy.cpu_ticks(), ticks_of(softirq)
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{proxy.port}/"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = (proxy.cpu_ticks() - before + ticks_of(softirq) - soft_before) / TICKS_PER_SECOND
    if "Non-2xx" in report or "Socket errors" in report:
        sys.exit(f"compare.py: {proxy.name} failed requests:\n{report}")
    requests = int(re.search(r"(\d+) requests in", report).group(1))
    return used * 1e6 / requests, requests / seconds


def version_of(command):
    result = subprocess.run(command, capture_output=True, text=True)
    return (result.stdout + result.stderr).splitlines()[0].strip()


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, nargs="+", default=[64])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=5, help="of load per proxy and round")
    parser.add_argument("--warm-up", type=int, default=10, help="seconds of load per proxy before the first round")
    parser.add_argument("--write", action="store_true", help="write the report into perf-results/")
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("compare.py: needs two cores, one for the proxy and one for the load")

    folder = pathlib.Path(tempfile.mkdtemp(prefix="fastlb-bench-"))
    softirq = softirq_pid()
    nginx, haproxy = shutil.which("nginx") or "/usr/sbin/nginx", shutil.which("haproxy") or "/usr/sbin/haproxy"
    origin_conf = folder / "origin.conf"
    origin_conf.write_text(ORIGIN_CONF.format(dir=folder, origin=ORIGIN_PORT, body=BODY))
    processes = [start(LOAD_CORE, [nginx, "-c", str(origin_conf)], folder / "origin.out")]
    try:
        proxies = [
            Proxy("fastlb", 9181, "fastlb.yaml", FASTLB_CONF, ["dotnet", str(FASTLB), "run", "-c", "{config}"], folder),
            Proxy("nginx", 9182, "nginx.conf", NGINX_CONF, [nginx, "-c", "{config}"], folder),
            Proxy("haproxy", 9183, "haproxy.cfg", HAPROXY_CONF, [haproxy, "-db", "-f", "{config}"], folder),
        ]
        processes += [proxy.process for proxy in proxies]
        for proxy in proxies:
            wait_until_answered(proxy)
        report = run(options, proxies, softirq)
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGTERM)
        for process in processes:
            process.wait(timeout=40)
        shutil.rmtree(folder)

    print(report)
    if options.write:
        name = f"{datetime.date.today()}-{git('rev-parse', '--short', 'HEAD')}.md"
        (ROOT / "perf-results" / name).write_text(report)
        print(f"written to perf-results/{name}")


def run(options, proxies, softirq):
    dirty = " with uncommitted changes" if git("status", "--porcelain") else ""
    lines = [
        f"# CPU time per request, {datetime.date.today()}, commit {git('rev-parse', '--short', 'HEAD')}{dirty}",
        "",
        f"Command: `bench/load/run.sh {' '.join(sys.argv[1:])}`",
        "",
        f"Linux {platform.release()}, {os.cpu_count()} cores; proxy alone on core {PROXY_CORE}, wrk and the origin (nginx, 128 B answers) on core "
        f"{LOAD_CORE}; {options.rounds} interleaved rounds of {options.seconds} s each; medians (lowest to highest in brackets). All proxies add "
        "X-Forwarded-For, -Proto and -Host; nginx and HAProxy write no access log, FastLB counts its metrics.",
        "",
        f"- {version_of(['nginx', '-v'])}",
        f"- {version_of(['haproxy', '-v'])}",
        f"- FastLB on epoll, one loop, .NET {version_of(['dotnet', '--version'])} SDK (JIT)",
        "",
        "| keep-alive connections | proxy | CPU us per request | requests per second | ratio to nginx |",
        "| --- | --- | --- | --- | --- |",
    ]
    for connections in options.connections:
        for proxy in proxies:
            measure(proxy, connections, options.warm_up, softirq)
        results = {proxy.name: [] for proxy in proxies}
        for _ in range(options.rounds):
            for proxy in proxies:
                results[proxy.name].append(measure(proxy, connections, options.seconds, softirq))
        base = statistics.median(cpu for cpu, _ in results["nginx"])
        for name, samples in results.items():
            cpus = [cpu for cpu, _ in samples]
            cpu, rate = statistics.median(cpus), statistics.median(rate for _, rate in samples)
            lines.append(f"| {connections} | {name} | {cpu:.2f} ({min(cpus):.2f} to {max(cpus):.2f}) | {rate:,.0f} | {cpu / base:.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
