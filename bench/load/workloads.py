"""What is measured, row by row of the report: the load, who takes part, the figure and the bound that FastLB is held to.

A workload answers, for each contestant, one dictionary of figures per round; the first figure is the one that is compared.
"""

import dataclasses
import time
import typing

import accounting
import load
import observation
import origin
from machine import BenchmarkError
from proxies import COOKIE, Contestant, Proxy

PEER_WARM_UP_SECONDS = 1  # There is nothing to compile in nginx and HAProxy; their connections have to be open.
SETTLING_SECONDS = 0.5
IDLE_CONNECTIONS, FEW_CONNECTIONS, WARM_UP_CONNECTIONS = 8000, 200, 64
CLOSE = ("Connection: close",)
AB_REQUESTS = 2000
FIXED_RATE_PER_SECOND, FIXED_RATE_CONNECTIONS = 5000, 64

SPLICING = "FastLB's own sockets use cubic, as it does on loopback; the peers cannot choose. HAProxy splices (`option splice-response`, pipes of 256 KB); nginx has the buffers that were fastest for it of several tried."

CPU_PER_REQUEST = "CPU us per request"
MACHINE_PER_REQUEST = "machine CPU us per request"
CPU_PER_GB = "CPU s per GB"
ALLOCATED = "allocated B per request"
ALLOCATED_IN_ROUND = "allocated B in the round"
OTHERS = "others on its core %"


@dataclasses.dataclass
class Result:
    """What a workload found. Rounds are in step: entry i of every contestant was measured in round i."""

    workload: object
    rounds: dict  # Contestant -> list of figures.
    system_calls: dict = dataclasses.field(default_factory=dict)  # Contestant -> text.
    hot_functions: dict = dataclasses.field(default_factory=dict)  # Contestant -> text.


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    title: str
    figure: str
    bound: float | None  # Of the ratio to the better peer; of the figure itself when is_absolute.
    contestants: tuple
    note: str = ""
    is_own: bool = False  # About FastLB alone, beside no peer: measured only when it is named.
    is_absolute = False

    @staticmethod
    def _warm_up_seconds(bench, proxy):
        return bench.warm_up_seconds if proxy.contestant.program == "fastlb" else min(PEER_WARM_UP_SECONDS, bench.warm_up_seconds)


@dataclasses.dataclass(frozen=True)
class ClosedLoop(Workload):
    """wrk against proxies that all run the whole time; each round loads one after the other."""

    connections: int = 64
    depth: int = 1
    headers: tuple = ()

    def run(self, bench):
        result = Result(self, {contestant: [] for contestant in self.contestants})
        proxies = []
        try:
            for contestant in self.contestants:
                proxies.append(bench.proxy(contestant))
            headers = {proxy: self._headers_for(proxy) for proxy in proxies}
            for proxy in proxies:
                self._check_answer(proxy)
                self._load(proxy, headers, self._warm_up_seconds(bench, proxy))
                self._observe(bench, proxy, headers, result)
            for number in range(bench.rounds):
                for proxy in proxies[number % len(proxies):] + proxies[: number % len(proxies)]:
                    result.rounds[proxy.contestant].append(self._measure(proxy, headers, bench.seconds))
            for proxy in proxies:
                self._check_answer(proxy)
        finally:
            for proxy in proxies:
                proxy.stop()
        return result

    def _headers_for(self, proxy):
        if not proxy.contestant.sticky:
            return self.headers
        # nginx sets no cookie of its own, so any will do for it.
        _, cookie = proxy.get()
        return (*self.headers, f"Cookie: {cookie.split(';')[0]}" if cookie else f"Cookie: {COOKIE}=visitor")

    def _check_answer(self, proxy):
        """What one client gets byte by byte, and that ab, which speaks HTTP/1.0, gets an answer of the right length each time."""
        if self.headers == CLOSE:
            load.ab(proxy.port, AB_REQUESTS, self.connections)
        body, _ = proxy.get()
        if body != origin.body(proxy.contestant.bodies):
            raise BenchmarkError(f"{proxy.contestant.name} answered a body of {len(body)} bytes that is not the origin's")

    def _load(self, proxy, headers, seconds):
        try:
            done = load.wrk(proxy.port, seconds, self.connections, proxy.path, self.depth, headers[proxy])
        except BenchmarkError as error:
            raise BenchmarkError(f"{self.name}, {proxy.contestant.name}: {error}") from error
        body = origin.SIZES[proxy.contestant.bodies]
        if done.bytes < done.requests * body:
            raise BenchmarkError(f"{self.name}, {proxy.contestant.name}: {done.requests} answers had only {done.bytes} bytes")
        # wrk counts whole answers only. Of large ones the last are cut off by its end, but their bytes were carried.
        return done if proxy.contestant.bodies == "small" else done._replace(requests=done.bytes / body)

    def _observe(self, bench, proxy, headers, result):
        if bench.observes_system_calls:
            if observed := observation.system_calls(proxy.pid, lambda: self._load(proxy, headers, 1)):
                counts, done = observed
                result.system_calls[proxy.contestant] = observation.describe_system_calls(counts, done.requests)
        if self.name in bench.perf_workloads:
            result.hot_functions[proxy.contestant] = observation.hot_functions(proxy.pid, lambda: self._load(proxy, headers, 3), bench.folder)

    def _measure(self, proxy, headers, seconds):
        allocated = proxy.allocated_bytes()
        before = proxy.usage()
        done = self._load(proxy, headers, seconds)
        used = proxy.usage() - before
        figures = {
            CPU_PER_REQUEST: used.proxy * 1e6 / done.requests,
            MACHINE_PER_REQUEST: used.machine * 1e6 / done.requests,
            "requests per second": done.requests / done.seconds,
            "user us": used.user * 1e6 / done.requests,
            "kernel us": (used.system + used.softirq) * 1e6 / done.requests,
            OTHERS: max(0.0, used.core - used.proxy) / done.seconds * 100,
        }
        if allocated is not None:
            figures[ALLOCATED_IN_ROUND] = proxy.allocated_bytes() - allocated
            figures[ALLOCATED] = figures[ALLOCATED_IN_ROUND] / done.requests
        if self.figure == CPU_PER_GB:
            return {CPU_PER_GB: used.proxy * 1e9 / done.bytes, **figures}
        return {self.figure: figures.pop(self.figure), **figures}


@dataclasses.dataclass(frozen=True)
class FixedRate(Workload):
    """A steady rate far below what anybody can do: what a proxy adds to the latency, corrected for coordinated omission."""

    def run(self, bench):
        direct = Contestant("no proxy", "origin", is_reference=True)
        result = Result(self, {contestant: [] for contestant in (direct, *self.contestants)})
        proxies = []
        try:
            for contestant in (direct, *self.contestants):
                proxies.append(bench.proxy(contestant))
            for proxy in proxies:
                load.wrk(proxy.port, self._warm_up_seconds(bench, proxy), FIXED_RATE_CONNECTIONS)
                load.fixed_rate(proxy.port, FIXED_RATE_PER_SECOND, 1, FIXED_RATE_CONNECTIONS)
            for _ in range(bench.rounds):
                direct_p50 = None
                for proxy in proxies:
                    figures = self._measure(proxy, bench.seconds, direct_p50)
                    direct_p50 = figures["p50 us"] if direct_p50 is None else direct_p50
                    result.rounds[proxy.contestant].append(figures)
        finally:
            for proxy in proxies:
                proxy.stop()
        return result

    def _measure(self, proxy, seconds, direct_p50):
        is_proxy = proxy.contestant.program != "origin"
        before, allocated = (proxy.usage(), proxy.allocated_bytes()) if is_proxy else (None, None)
        figures = load.fixed_rate(proxy.port, FIXED_RATE_PER_SECOND, seconds, FIXED_RATE_CONNECTIONS)
        used = proxy.usage() - before if is_proxy else None
        answer = {
            self.figure: figures["p50"] - direct_p50 if is_proxy else 0.0,
            "p50 us": figures["p50"],
            "p99 us": figures["p99"],
            "p99.9 us": figures["p999"],
        }
        if is_proxy:
            answer[CPU_PER_REQUEST] = used.proxy * 1e6 / figures["requests"]
            answer[OTHERS] = max(0.0, used.core - used.proxy) / figures["seconds"] * 100
        if allocated is not None:
            answer[ALLOCATED_IN_ROUND] = proxy.allocated_bytes() - allocated
            answer[ALLOCATED] = answer[ALLOCATED_IN_ROUND] / figures["requests"]
        return answer


@dataclasses.dataclass(frozen=True)
class IdleMemory(Workload):
    """Each round starts a proxy anew, warms it, and looks how much it grows by connections that wait for their next request.

    nginx and HAProxy set memory aside for connections when they start, as many as they are configured for; that counts, too. It is
    what a peer that is configured for all of the connections has more than one that is configured for few.
    """

    def run(self, bench):
        result = Result(self, {contestant: [] for contestant in self.contestants})
        for _ in range(bench.rounds):
            for contestant in self.contestants:
                result.rounds[contestant].append(self._measure(bench, contestant))
        return result

    def _measure(self, bench, contestant):
        small = None
        if contestant.is_peer:
            with bench.proxy(dataclasses.replace(contestant, capacity=FEW_CONNECTIONS)) as proxy:
                small = self._warm_memory(bench, proxy)
        with bench.proxy(contestant) as proxy:
            before, allocated = self._warm_memory(bench, proxy), proxy.allocated_bytes()
            connections = load.idle_connections(proxy.port, IDLE_CONNECTIONS, origin.body("small"))
            try:
                time.sleep(SETTLING_SECONDS)
                after = accounting.memory_of(proxy.pid)
                allocated = (proxy.allocated_bytes() - allocated) / IDLE_CONNECTIONS if allocated is not None else None
            finally:
                for connection in connections:
                    connection.close()
        set_aside = (before.resident - small.resident) / (contestant.capacity - FEW_CONNECTIONS) if small else 0.0
        growth = (after.resident - before.resident) / IDLE_CONNECTIONS
        figures = {
            self.figure: set_aside + growth,
            "set aside at start": set_aside,
            "growth": growth,
            "growth, anonymous": (after.anonymous - before.anonymous) / IDLE_CONNECTIONS,
            "resident MB before": before.resident / 1e6,
            "resident MB after": after.resident / 1e6,
        }
        return figures if allocated is None else {**figures, "allocated objects": allocated}

    def _warm_memory(self, bench, proxy):
        """Accepting and the status are warmed, too: what their first use takes would be counted with the connections."""
        seconds = self._warm_up_seconds(bench, proxy)
        proxy.status()
        load.wrk(proxy.port, seconds, WARM_UP_CONNECTIONS)
        load.wrk(proxy.port, seconds, WARM_UP_CONNECTIONS, headers=CLOSE)
        time.sleep(SETTLING_SECONDS)
        return accounting.memory_of(proxy.pid)


@dataclasses.dataclass(frozen=True)
class Start(Workload):
    """From the start of the program to its first answer from a worker that is already there, and the memory it has then."""

    is_absolute = True

    def run(self, bench):
        result = Result(self, {contestant: [] for contestant in self.contestants})
        for _ in range(bench.rounds):
            for contestant in self.contestants:
                with bench.proxy(contestant, poll_seconds=0.001) as proxy:
                    memory = accounting.memory_of(proxy.pid)
                    result.rounds[contestant].append({
                        self.figure: proxy.first_answer_seconds * 1000,
                        "resident MB": memory.resident / 1e6,
                        "of these anonymous MB": memory.anonymous / 1e6,
                    })
        return result


class Features(typing.NamedTuple):
    """What the FastLB that is measured has here, where versions and machines differ."""

    engines: list = ["epoll", "io-uring"]
    default_engine: str = "io-uring"  # What `engine: auto` is.
    accelerations: list = ["sockmap", "splice", "copy"]  # Of TCP pools.
    spins: list = ["adaptive"]


def all_workloads(features):
    """Every row of the report by its name, in its order."""

    def fastlb(suffix="", **setting):
        return tuple(
            Contestant(f"fastlb {engine}{suffix}", "fastlb", engine=engine, is_default=engine == features.default_engine, **setting)
            for engine in features.engines)

    def peers(suffix="", **setting):
        return (Contestant(f"nginx{suffix}", "nginx", **setting), Contestant(f"haproxy{suffix}", "haproxy", **setting))

    everybody = fastlb() + peers()
    spinning = tuple(
        Contestant(f"fastlb {features.default_engine}, spin {spin}", "fastlb", engine=features.default_engine, spin=spin) for spin in features.spins)
    rows = [
        ClosedLoop("keep-alive-64", "keep-alive, 128 B, 64 connections", CPU_PER_REQUEST, 0.80, everybody),
        ClosedLoop(
            "unix-64", "the same, unix-socket workers", CPU_PER_REQUEST, 0.70,
            fastlb(", unix", workers="unix") + peers(", unix", workers="unix") + peers(", tcp", is_reference=True),
            note="The bound is held against peers that reach the same worker over the same unix socket; over TCP they are shown beside."),
        ClosedLoop("keep-alive-512", "keep-alive, 128 B, 512 connections", CPU_PER_REQUEST, 0.70, everybody, connections=512),
        ClosedLoop(
            "sticky-64", "sticky cookie, 64 connections", CPU_PER_REQUEST, 0.82, fastlb(sticky=True) + peers(sticky=True),
            note=f"FastLB verifies a signed cookie, HAProxy has `cookie insert`; nginx 1.22 can only hash a cookie (`hash $cookie_{COOKIE}`) that somebody else sets."),
        ClosedLoop("new-connections", "a new connection per request", CPU_PER_REQUEST, 0.80, everybody, headers=CLOSE),
        ClosedLoop("pipelined-16", "pipelined, 16 deep", CPU_PER_REQUEST, 0.50, everybody, depth=16),
        ClosedLoop("body-100k", "100 KB bodies", CPU_PER_GB, 0.85, fastlb(bodies="medium") + peers(bodies="medium"), connections=32, note=SPLICING),
        ClosedLoop("body-10m", "10 MB bodies", CPU_PER_GB, 0.90, fastlb(bodies="large") + peers(bodies="large"), connections=8, note=SPLICING),
        *_tcp_rows(features, peers(protocol="tcp")),
        FixedRate("fixed-rate", f"latency at a fixed {FIXED_RATE_PER_SECOND:,} requests/s", "p50 added us", 0.85, fastlb() + spinning + peers()),
        IdleMemory("idle-memory", f"memory of {IDLE_CONNECTIONS:,} idle connections", "user memory B per connection", 0.60, everybody),
        Start("start", "start to first answer", "ms to first answer", 150, everybody),
        ClosedLoop(
            "access-log", "access log into a file, 64 connections", CPU_PER_REQUEST, 1.10,
            (
                Contestant("fastlb, json", "fastlb", engine=features.default_engine, access_log="json", is_default=True),
                Contestant("fastlb, combined", "fastlb", engine=features.default_engine, access_log="combined"),
                Contestant("fastlb, no log", "fastlb", engine=features.default_engine, is_baseline=True),
            ),
            is_own=True,
            note="The bound is held against FastLB without a log. CPU time is that of the whole process, the log's own thread included."),
    ]
    return {row.name: row for row in rows}


def _tcp_rows(features, peers):
    def fastlb(choices, default):
        return tuple(
            Contestant(
                f"fastlb {engine}" + (f", {choice}" if choice else ""), "fastlb", protocol="tcp", engine=engine, acceleration=choice,
                is_default=engine == features.default_engine and choice == default)
            for engine in features.engines for choice in choices)

    without = [choice for choice in features.accelerations if choice != "sockmap"]
    if "sockmap" in features.accelerations:
        yield ClosedLoop("tcp-sockmap", "TCP, 128 B, sockmap", MACHINE_PER_REQUEST, 0.75, fastlb(["sockmap"], "sockmap") + peers)
    choices = without or [None]
    yield ClosedLoop("tcp", "TCP, 128 B, without sockmap", CPU_PER_REQUEST, 1.00, fastlb(choices, choices[0]) + peers)
