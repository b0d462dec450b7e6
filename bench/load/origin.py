"""What answers behind all proxies, made so that it is never what is measured: for small answers a program of our own that costs less
than any proxy, for large ones an nginx that sends files from the page cache."""

import socket
import time

import machine
from machine import BenchmarkError

SIZES = {"small": 128, "medium": 100_000, "large": 10_000_000}
START_PATIENCE_SECONDS = 10

FILE_SERVER = """
worker_processes 1; worker_rlimit_nofile 20000; pid {folder}/files.pid; error_log stderr; daemon off;
events {{ worker_connections 9000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600; default_type text/plain; sendfile on; open_file_cache max=16;
  client_body_temp_path {folder}/o1; proxy_temp_path {folder}/o2; fastcgi_temp_path {folder}/o3; uwsgi_temp_path {folder}/o4; scgi_temp_path {folder}/o5;
  server {{ listen 127.0.0.1:{port}; root {folder}/bodies; }}
}}
"""


def body(size_name):
    """What a GET is answered; not one letter again and again, so that a shifted body is found out."""
    size = SIZES[size_name]
    return "".join(f"{number:06d}." for number in range(size // 7 + 1))[:size].encode()


class Origin:
    """Small answers from two TCP ports, so that sticky sessions have something to choose from, and from a unix socket; files from one port."""

    def __init__(self, folder):
        self.ports = [machine.free_port(), machine.free_port()]
        self.unix_path = f"{folder}/origin.sock"
        self.file_port = machine.free_port()
        (folder / "bodies").mkdir()
        for name in SIZES:
            (folder / "bodies" / name).write_bytes(body(name))
        configuration = folder / "files.conf"
        configuration.write_text(FILE_SERVER.format(folder=folder, port=self.file_port))
        self._processes = [
            machine.start(
                machine.LOAD_CORE, [machine.compiled("origin.c"), folder / "bodies" / "small", *self.ports, self.unix_path], folder / "origin.out"),
            machine.start(machine.LOAD_CORE, [machine.program("nginx"), "-c", configuration], folder / "files.out"),
        ]
        for port in (*self.ports, self.file_port):
            _wait_until_it_listens(port)

    def stop(self):
        for process in self._processes:
            machine.stop(process)


def _wait_until_it_listens(port):
    deadline = time.monotonic() + START_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.02)
    raise BenchmarkError(f"the origin does not listen on port {port}")
