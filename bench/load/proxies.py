"""The proxies under test: what each is configured to do, how it is started and asked.

All of them do the same work: they keep connections to clients and workers, and HTTP gets X-Forwarded-For, -Proto and -Host. What
is switched on by default stays on in FastLB (metrics, timers); the peers write no access log and have one worker or thread.
"""

import dataclasses
import json
import os
import pathlib
import time
import urllib.error
import urllib.request

import accounting
import machine
from machine import BenchmarkError

COOKIE = "SESSION"
MAX_CLIENTS = 9000
START_PATIENCE_SECONDS = 20


@dataclasses.dataclass(frozen=True)
class Contestant:
    """One proxy in one setting. Two with the same fields are the same program started twice."""

    name: str
    program: str  # fastlb, nginx, haproxy, or origin for no proxy at all.
    protocol: str = "http"
    workers: str = "tcp"  # How workers are reached: tcp or unix.
    sticky: bool = False
    bodies: str = "small"  # small, medium or large: what the origin answers; the peers are tuned for it.
    engine: str = "auto"  # FastLB only, as are the next two, which are only written when they are given.
    acceleration: str | None = None
    spin: str | None = None
    access_log: str | None = None  # FastLB only: the format; None for no log.
    capacity: int = MAX_CLIENTS  # Connections that the peers are configured for; FastLB has no such setting.
    is_default: bool = False  # What FastLB does here when nothing is configured: the one that is held to the bounds.
    is_twin: bool = False  # The same as the default, to see what two equal programs differ by.
    is_reference: bool = False  # Shown beside the others, but no bound is judged against it.
    is_baseline: bool = False  # A FastLB that another one is judged against.

    @property
    def is_peer(self):
        return self.is_baseline or self.program in ("nginx", "haproxy") and not self.is_reference


# What was fastest for each of several tried: nginx reads ahead into as many buffers as it has, or passes on what it has just read.
NGINX_BUFFERS = {
    "small": "",
    "medium": "proxy_buffering off; proxy_buffer_size 64k; proxy_buffers 8 64k;",
    "large": "proxy_buffer_size 16k; proxy_buffers 8 256k; proxy_busy_buffers_size 512k; proxy_max_temp_file_size 0;",
}

# Without being told to splice, HAProxy 2.6 copies (option splice-auto never found it worthwhile here). The pipes that it
# splices through take descriptors, a quarter of the connections, and there are 20,000 in all.
HAPROXY_GLOBALS = {
    "small": "maxconn {capacity}",
    "medium": "maxconn 1000\n  tune.pipesize 262144",
    "large": "maxconn 1000\n  tune.pipesize 262144",
}


def nginx_configuration(contestant, folder, port, origin):
    servers = "".join(f"server {address}; " for address in _worker_addresses(contestant, origin, "unix:{}"))
    if contestant.protocol == "tcp":
        service = f"""stream {{
  upstream app {{ {servers}}}
  server {{ listen 127.0.0.1:{port}; proxy_pass app; tcp_nodelay on; }}
}}"""
    else:
        hashed = f"hash $cookie_{COOKIE} consistent; " if contestant.sticky else ""
        service = f"""http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600;
  client_body_temp_path {folder}/n1; proxy_temp_path {folder}/n2; fastcgi_temp_path {folder}/n3; uwsgi_temp_path {folder}/n4; scgi_temp_path {folder}/n5;
  upstream app {{ {hashed}{servers}keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://app; proxy_http_version 1.1; {NGINX_BUFFERS[contestant.bodies]}
      proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
    }}
  }}
}}"""
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"
    load = f"load_module {module};\n" if contestant.protocol == "tcp" and os.path.exists(module) else ""
    return f"""{load}worker_processes 1; worker_rlimit_nofile 20000; pid {folder}/nginx.pid; error_log stderr; daemon off;
events {{ worker_connections {contestant.capacity + 500}; }}
{service}
"""


def haproxy_configuration(contestant, folder, port, origin):
    addresses = _worker_addresses(contestant, origin, "unix@{}")
    servers = "\n".join(
        f"  server s{i} {address}" + (f" cookie s{i}" if contestant.sticky else "") for i, address in enumerate(addresses))
    forwarded = """  option forwardfor
  http-reuse always
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
""" if contestant.protocol == "http" else ""
    return f"""global
  nbthread 1
  {HAPROXY_GLOBALS[contestant.bodies].format(capacity=contestant.capacity)}
defaults
  mode {contestant.protocol}
  timeout client 60s
  timeout server 60s
  timeout connect 1s
  timeout http-request 10s
  timeout http-keep-alive 60s
{"" if contestant.bodies == "small" else "  option splice-response"}
listen app
  bind 127.0.0.1:{port}
{forwarded}{f"  cookie {COOKIE} insert indirect nocache" if contestant.sticky else ""}
{servers}
"""


def fastlb_configuration(contestant, folder, port, origin, admin_port):
    addresses = ", ".join(f'"{address}"' for address in _worker_addresses(contestant, origin, "unix:{}"))
    sticky = f", sticky: {{ cookie: {COOKIE} }}" if contestant.sticky else ""
    tcp = f", tcp: {{ acceleration: {contestant.acceleration} }}" if contestant.acceleration else ""
    spin = f"spin: {contestant.spin}\n" if contestant.spin else ""
    log = f'accessLog: {{ format: {contestant.access_log}, to: "{folder}/access-{contestant.access_log}.log" }}\n' if contestant.access_log else ""
    return f"""engine: {contestant.engine}
{spin}{log}loops: 1
admin: {{ bind: "127.0.0.1:{admin_port}" }}
listeners: [{{ bind: "127.0.0.1:{port}", protocol: {contestant.protocol}, pool: app }}]
pools: {{ app: {{ workers: [{addresses}]{sticky}{tcp} }} }}
"""


def _worker_addresses(contestant, origin, unix_form):
    if contestant.workers == "unix":
        return [unix_form.format(origin.unix_path)]
    if contestant.bodies != "small":
        return [f"127.0.0.1:{origin.file_port}"]
    return [f"127.0.0.1:{port}" for port in origin.ports[: 2 if contestant.sticky else 1]]


class FastLb:
    """An installed FastLB: the published file, or the assembly that a build leaves."""

    def __init__(self, path):
        self.path = pathlib.Path(path).resolve()
        if not self.path.exists():
            raise BenchmarkError(f"there is no {self.path}; ./publish.sh makes publish/fastlb")
        self.command = ["dotnet", self.path] if self.path.suffix == ".dll" else [self.path]


class Proxy:
    """A contestant that runs on the proxy's core and has answered. To be used in a with statement."""

    def __init__(self, contestant, folder, origin, fastlb, environment=None, poll_seconds=0.02):
        self.contestant = contestant
        if contestant.program == "origin":
            self.port, self._process = origin.ports[0], None
            return

        self.port, self._admin_port = machine.free_port(), machine.free_port()
        base = f"{contestant.program}-{self.port}"
        configuration, self._log = folder / f"{base}.conf", folder / f"{base}.log"
        if contestant.program == "nginx":
            text, command = nginx_configuration(contestant, folder, self.port, origin), [machine.program("nginx"), "-c", configuration]
        elif contestant.program == "haproxy":
            text, command = haproxy_configuration(contestant, folder, self.port, origin), [machine.program("haproxy"), "-db", "-f", configuration]
        else:
            text = fastlb_configuration(contestant, folder, self.port, origin, self._admin_port)
            command = [*fastlb.command, "run", "-c", configuration]
        configuration.write_text(text)
        started_at = time.monotonic()
        self._process = machine.start(machine.PROXY_CORE, command, self._log, environment)
        try:
            self._wait_until_it_answers(poll_seconds)
            self.first_answer_seconds = time.monotonic() - started_at
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self._process is not None:
            machine.stop(self._process)

    @property
    def pid(self):
        return self._process.pid

    def usage(self):
        return accounting.usage_of(self.pid)

    @property
    def path(self):
        return f"/{self.contestant.bodies}"

    def get(self):
        """Body and Set-Cookie of one answer."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self.path}", timeout=10) as answer:
            return answer.read(), answer.headers.get("Set-Cookie")

    def status(self):
        """FastLB's own account of itself; None of a peer."""
        if self.contestant.program != "fastlb":
            return None
        with urllib.request.urlopen(f"http://127.0.0.1:{self._admin_port}/status", timeout=10) as answer:
            return json.load(answer)

    def allocated_bytes(self):
        """Managed memory that FastLB's loops have allocated since they started; None of a peer."""
        status = self.status()
        return status and sum(loop["allocatedBytes"] for loop in status["loops"])

    def _wait_until_it_answers(self, poll_seconds):
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise BenchmarkError(f"{self.contestant.name} does not run: {self._last_words()}")
            try:
                self.get()
                return
            except urllib.error.HTTPError as error:
                raise BenchmarkError(f"{self.contestant.name} answers {error.code}: {self._last_words()}") from error
            except OSError:
                time.sleep(poll_seconds)
        raise BenchmarkError(f"{self.contestant.name} has not answered for {START_PATIENCE_SECONDS} s: {self._last_words()}")

    def _last_words(self):
        lines = self._log.read_text().strip().splitlines()
        return lines[-1] if lines else "it said nothing"
