"""The machine under the measurement: which core is whose, ports, programs and what a report has to say about all of it."""

import atexit
import contextlib
import functools
import os
import pathlib
import platform
import random
import shutil
import socket
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The proxy under test has a core for itself; the load generator, the origin and this program share the other one.
PROXY_CORE, LOAD_CORE = 0, 1
CORES = os.cpu_count()


class BenchmarkError(Exception):
    """The measurement cannot be made or cannot be believed; the message is a sentence for the person who started it."""


def program(name):
    """The path of a program; Debian keeps servers where an ordinary PATH does not look."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if path is None:
        raise BenchmarkError(f"{name} is not installed; bench/load/run.sh installs it on Debian, and so does scripts/install-test-tools.sh")
    return path


def pinned(core, command):
    return ["taskset", "--cpu-list", str(core), *map(str, command)]


def start(core, command, log, environment=None):
    """A process on one core. Whoever starts it stops it with stop()."""
    with open(log, "w") as output:
        return subprocess.Popen(
            pinned(core, command), stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})})


@functools.cache
def compiled(source):
    """The path of the program that a C file of this folder becomes."""
    target = pathlib.Path(tempfile.mkdtemp(prefix="fastlb-bench-")) / pathlib.Path(source).stem
    atexit.register(shutil.rmtree, target.parent)
    result = subprocess.run(
        [program("gcc"), "-O2", "-Wall", "-Wextra", "-o", target, pathlib.Path(__file__).parent / source], capture_output=True, text=True)
    if result.returncode != 0:
        raise BenchmarkError(f"gcc cannot compile {source}:\n{result.stderr}")
    return target


@contextlib.contextmanager
def priority(wanted):
    """Within it this program and all that it starts go before what else runs on their cores, for a machine that is not quiet.

    Where the kernel schedules by session (sched(7), autogroup), nice alone only counts within one: the session is made nice, too.
    """
    session = pathlib.Path("/proc/self/autogroup")
    if wanted:
        os.nice(-20)
        if session.exists():
            session.write_text("-20")
    try:
        yield
    finally:
        if wanted and session.exists():
            session.write_text("0")


def stop(process, patience_seconds=10):
    process.terminate()
    try:
        process.wait(timeout=patience_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@functools.cache
def _used_ports():
    return set()


def free_port():
    """A port that nobody listens on, below those that the kernel gives to outgoing connections, and never the same twice."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _used_ports():
            _used_ports().add(port)
            return port


def output_of(*command):
    result = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)
    return (result.stdout + result.stderr).strip()


# Asked at the start, and cached: the run itself writes into the tree.
@functools.cache
def commit():
    return output_of("git", "rev-parse", "--short", "HEAD")


@functools.cache
def is_dirty():
    return output_of("git", "status", "--porcelain") != ""


def description():
    """Lines about kernel, cores and the peers' versions."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown processor")
    congestion = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return [
        f"Linux {platform.release()}, {CORES} cores of {model}, TCP congestion control {congestion}",
        output_of(program("nginx"), "-v"),
        output_of(program("haproxy"), "-v").splitlines()[0].strip(" -"),
        output_of(program("wrk"), "-v").splitlines()[0].strip(),
    ]
