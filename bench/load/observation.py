"""Where the time goes, observed beside the timed rounds because looking costs time: system calls by name, hot functions."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import accounting
from machine import BenchmarkError

TRACEPOINTS = pathlib.Path("/sys/kernel/tracing/events/syscalls")
SYSTEM_CALLS = """accept4 bind bpf clock_nanosleep close connect epoll_ctl epoll_pwait epoll_pwait2 epoll_wait fcntl futex getpeername
    getsockname getsockopt io_uring_enter ioctl madvise nanosleep pipe2 read readv recvfrom recvmsg sched_yield sendfile64 sendmsg
    sendto setsockopt shutdown socket splice write writev""".split()
SHOWN = 6
HOT_FUNCTIONS = 25


class Perf:
    """perf attached to a process and its children; it counts within a with statement and not before (perf-stat(1), --control)."""

    def __init__(self, arguments, pid):
        command_end, self._commands = os.pipe()
        self._answers, answer_end = os.pipe()
        pids = ",".join(map(str, accounting.tree_of(pid)))
        self._process = subprocess.Popen(
            ["perf", arguments[0], "--delay=-1", f"--control=fd:{command_end},{answer_end}", *arguments[1:], "-p", pids],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, pass_fds=(command_end, answer_end))
        os.close(command_end)
        os.close(answer_end)
        self.report = ""

    def __enter__(self):
        self._tell("enable")
        return self

    def __exit__(self, *_):
        self._tell("disable")
        self._process.send_signal(signal.SIGINT)
        self.report = self._process.communicate()[1]
        os.close(self._commands)
        os.close(self._answers)

    def _tell(self, command):
        """perf answers when it has done so; when it has ended instead, the write or the empty answer says so."""
        try:
            os.write(self._commands, f"{command}\n".encode())
            if os.read(self._answers, 16):
                return
        except BrokenPipeError:
            pass
        raise BenchmarkError(f"perf ended: {self._process.communicate()[1].strip()}")


def system_calls(pid, load):
    """Runs load() and answers how many system calls of each name the processes made meanwhile, or None without perf.

    perf counts inside of the kernel. strace would stop the process at every call, which changes how many it makes.
    """
    if shutil.which("perf") is None or not TRACEPOINTS.exists():
        return None
    events = [f"syscalls:sys_enter_{name}" for name in SYSTEM_CALLS if (TRACEPOINTS / f"sys_enter_{name}").exists()]
    with Perf(["stat", "-x", ";", "-e", ",".join(["raw_syscalls:sys_enter", *events])], pid) as perf:
        result = load()
    report = perf.report
    rows = [line.split(";") for line in report.splitlines() if "sys_enter" in line]
    counts = {row[2].removeprefix("syscalls:sys_enter_"): int(row[0]) for row in rows if row[0].isdigit()}
    return counts, result


def describe_system_calls(counts, requests):
    """Like '4.02: recvfrom 2.00, sendto 2.00, epoll_wait 0.02'."""
    total = counts.pop("raw_syscalls:sys_enter", sum(counts.values()))
    shares = sorted(((count / requests, name) for name, count in counts.items()), reverse=True)[:SHOWN]
    return f"{total / requests:.2f}: " + ", ".join(f"{name} {share:.2f}" for share, name in shares if share >= 0.005)


def hot_functions(pid, load, folder):
    """Runs load() and answers a table of the functions, kernel and user, in which the processes were found most often."""
    data = folder / f"perf-{pid}.data"
    with Perf(["record", "-q", "-e", "cpu-clock", "-F", "1999", "-o", str(data)], pid):
        load()
    report = subprocess.run(
        ["perf", "report", "--stdio", "-i", str(data), "--sort", "symbol", "--percent-limit", "0.5"], capture_output=True, text=True).stdout
    rows = [line for line in report.splitlines() if re.match(r"\s+\d+\.\d+%", line)]
    return "\n".join(re.sub(r"[-\s]+$", "", row) for row in rows[:HOT_FUNCTIONS])
