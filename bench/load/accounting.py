"""What the kernel booked: CPU time of processes, cores and the machine, and the memory of a process."""

import functools
import os
import pathlib
import sys
import typing

import machine

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Usage(typing.NamedTuple):
    """Seconds of CPU since some start; the difference of two is what was used in between."""

    user: float
    system: float  # The process's own, which includes interrupt work done on its back.
    softirq: float  # ksoftirqd of the proxy's core: network work that the kernel took off the process.
    core: float  # Everything on the proxy's core, whoever it was.
    machine: float  # Everything on all cores.

    @property
    def proxy(self):
        return self.user + self.system + self.softirq

    def __sub__(self, earlier):
        return Usage(*(now - before for now, before in zip(self, earlier)))


def usage_of(pid):
    """Usage of a process and its children so far; threads that have ended count, those of io_uring's workers too."""
    times = [_times(each) for each in tree_of(pid)]
    busy = _busy_of_cores()
    return Usage(
        user=sum(user for user, _ in times),
        system=sum(system for _, system in times),
        softirq=sum(_times(_softirq_pid())),
        core=busy[machine.PROXY_CORE],
        machine=sum(busy),
    )


def tree_of(pid):
    """The process and everything below it that still runs."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [each for child in children for each in tree_of(int(child))]


class Memory(typing.NamedTuple):
    """Bytes."""

    resident: int
    anonymous: int  # Of these, what no file backs and nobody shares.


def memory_of(pid):
    """Of a process and its children; pages that they share are divided among them (proportional set size)."""
    resident = anonymous = 0
    for each in tree_of(pid):
        lines = pathlib.Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()[1:]
        sizes = {name: int(value.split()[0]) * 1024 for name, value in (line.split(":") for line in lines)}
        resident += sizes["Pss"]
        anonymous += sizes["Pss_Anon"]
    return Memory(resident, anonymous)


def _times(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) / TICKS_PER_SECOND, int(fields[12]) / TICKS_PER_SECOND


def _busy_of_cores():
    """Uptime less idle time, because the kernel measures idle time while it only samples busy time (proc_stat(5))."""
    uptime = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    rows = [line.split() for line in open("/proc/stat") if line.startswith("cpu") and line[3].isdigit()]
    return [uptime - (int(row[4]) + int(row[5])) / TICKS_PER_SECOND for row in rows]


@functools.cache
def _softirq_pid():
    for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().strip() == f"ksoftirqd/{machine.PROXY_CORE}":
                return int(path.parent.name)
        except FileNotFoundError:
            continue  # A process that has just ended.
    sys.exit("compare.py: ksoftirqd is not visible in /proc; run outside of a container or with its host's pid namespace")
