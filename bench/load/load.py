"""Load generators on the load core: wrk as fast as it goes, fixed_rate at a steady rate, and connections that do nothing."""

import json
import pathlib
import re
import socket
import subprocess
import typing

import machine
from machine import BenchmarkError

HERE = pathlib.Path(__file__).resolve().parent


class Load(typing.NamedTuple):
    requests: float
    bytes: int  # As wrk received them, heads included.
    seconds: float


def wrk(port, seconds, connections, path="/", depth=1, headers=()):
    """A closed loop: each connection sends its next requests when it has the answers to those before. Raises when one failed."""
    command = [
        "wrk", "--threads", 1, "--connections", connections, "--duration", f"{seconds}s", "--timeout", "10s",
        *(word for header in headers for word in ("--header", header)),
        "--script", HERE / "load.lua", f"http://127.0.0.1:{port}{path}", "--", depth,
    ]
    report = _checked(machine.pinned(machine.LOAD_CORE, command))
    figures = json.loads(report.splitlines()[-1])
    if figures["failed"] > 0 or figures["bytes"] == 0:
        raise BenchmarkError(f"{figures['failed']} requests failed and {figures['requests']} were answered:\n{report}")
    return Load(figures["requests"], figures["bytes"], figures["seconds"])


def ab(port, requests, connections):
    """A new connection for each of so many HTTP/1.0 requests. Raises when one failed or an answer had another length."""
    report = _checked(machine.pinned(machine.LOAD_CORE, ["ab", "-q", "-n", requests, "-c", connections, f"http://127.0.0.1:{port}/"]))
    if not re.search(r"Failed requests:\s+0\n", report) or "Non-2xx" in report:
        raise BenchmarkError(f"ab saw failures:\n{report}")


def fixed_rate(port, rate, seconds, connections):
    """An open loop. Latencies in us, from when a request was due: p50, p99, p999 and max, with requests and seconds."""
    return json.loads(_checked(machine.pinned(machine.LOAD_CORE, [machine.compiled("fixed_rate.c"), port, rate, seconds, connections])))


def idle_connections(port, count, expected_body):
    """Keep-alive connections that have each had one answer. The caller closes them."""
    request = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
    connections = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port))
        connections.append(connection)
        connection.sendall(request)
        answer = b""
        while not answer.endswith(expected_body):
            piece = connection.recv(4096)
            if not piece:
                raise BenchmarkError(f"connection {len(connections)} was closed instead of answered")
            answer += piece
        if not answer.startswith(b"HTTP/1.1 200"):
            raise BenchmarkError(f"connection {len(connections)} was answered {answer[:40]!r}")
    return connections


def _checked(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise BenchmarkError(f"{' '.join(command)} ended with {result.returncode}: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout
