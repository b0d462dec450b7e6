"""FastLB beside nginx and HAProxy on one machine: every row that FastLB is held to, in one interleaved run.

Each workload starts its proxies anew, warms them up, and then runs all of them in turn in every round, so that whatever else the
machine does hits all of them. A wrong answer ends its workload and fails the run: a fast proxy that answers nonsense is not fast.
"""

import argparse
import dataclasses
import datetime
import os
import pathlib
import resource
import shlex
import shutil
import sys
import tempfile

import chart
import machine
import report
from machine import BenchmarkError
from origin import Origin
from proxies import Contestant, FastLb, Proxy
from workloads import Features, all_workloads

CAPTION = "CPU time per request or GB, median latency added, memory; one core of one machine, medians of interleaved rounds"


class Bench:
    """What all workloads share: the origin, the installed FastLB and how long to measure. To be used in a with statement."""

    def __init__(self, options):
        self.rounds, self.seconds, self.warm_up_seconds = options.rounds, options.seconds, options.warm_up
        self.perf_workloads = options.perf
        self.observes_system_calls = options.system_calls
        self.fastlb = FastLb(options.fastlb)
        self._engines = options.engines
        self._environment = {"DOTNET_PerfMapEnabled": "1", "DOTNET_EnableWriteXorExecute": "0"} if options.perf else {}

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fastlb-bench-"))
        self.folder.chmod(0o755)  # The workers of an nginx that root starts are nobody, and the bodies and sockets are in here.
        self.origin = Origin(self.folder)
        return self

    def __exit__(self, *_):
        self.origin.stop()
        shutil.rmtree(self.folder)

    def proxy(self, contestant, **keywords):
        return Proxy(contestant, self.folder, self.origin, self.fastlb, self._environment, **keywords)

    def _default_engine(self):
        with self.proxy(Contestant("fastlb", "fastlb")) as proxy:
            status = proxy.status()
            engine = status["engine"].replace("_", "-")  # As the configuration names it.
            return engine, f"FastLB {status['version']}, `engine: auto` is {engine} here ({status['engineReason']})"

    def features(self, names, left_out):
        """What the workloads of these names need to know, and a line about this FastLB. What it refuses goes to left_out."""
        default_engine, line = self._default_engine()
        engines = self._accepted("engine", self._engines, left_out)
        if not engines:
            raise BenchmarkError(f"FastLB runs with none of the engines {', '.join(self._engines)}: {'; '.join(left_out)}")
        if default_engine not in engines:
            default_engine = engines[0]  # The only ones that were asked for take its place.
        spins = self._accepted("spin", Features().spins, left_out) if "fixed-rate" in names else []
        is_tcp = any(name.startswith("tcp") for name in names)
        accelerations = self._accepted("acceleration", Features().accelerations, left_out, protocol="tcp") if is_tcp else []
        return Features(engines, default_engine, accelerations, spins), line

    def _accepted(self, setting, values, left_out, **others):
        """The values of a setting with which this FastLB starts and answers."""
        accepted = []
        for value in values:
            try:
                with self.proxy(Contestant(f"{setting} {value}", "fastlb", **{setting: value}, **others)) as proxy:
                    # Where the kernel does not allow an acceleration FastLB runs with another and says so.
                    used = proxy.status()["listeners"][0].get("acceleration") or value
                if setting == "acceleration" and not used.startswith(value):
                    left_out.append(f"acceleration {value}: {used}")
                else:
                    accepted.append(value)
            except BenchmarkError as error:
                left_out.append(str(error))
        return accepted


def main():
    options = read_options()
    # Every second connection of the many that idle belongs to this program, and a proxy has both sides of each.
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    if not {machine.PROXY_CORE, machine.LOAD_CORE} <= os.sched_getaffinity(0):
        raise BenchmarkError("two cores are needed, one for the proxy and one for the load")
    os.sched_setaffinity(0, {machine.LOAD_CORE})

    machine.commit(), machine.is_dirty()
    names = options.workloads or [name for name, row in all_workloads(Features()).items() if not row.is_own]
    if unknown := set(names) - set(all_workloads(Features())):
        raise BenchmarkError(f"there is no workload {', '.join(sorted(unknown))}; there are {', '.join(all_workloads(Features()))}")

    with machine.priority(options.priority), Bench(options) as bench:
        left_out = []
        features, fastlb_line = bench.features(names, left_out)
        rows = all_workloads(features)
        results, failures = [], []
        for name in names:
            if name not in rows:
                continue  # It is about what was left out.
            print(f"{datetime.datetime.now():%H:%M:%S} {name}", file=sys.stderr, flush=True)
            try:
                results.append(with_twin(rows[name], options.twin).run(bench))
            except BenchmarkError as error:
                failures.append(f"{name}: {error}")

    how = f"{'the assembly' if bench.fastlb.path.suffix == '.dll' else 'the published file'} `{options.fastlb}`"
    command = f"bench/load/run.sh {shlex.join(sys.argv[1:])}".strip()
    write(report.Report(results, failures, left_out, options, command, [f"{fastlb_line}; {how}"]), options.write)
    failures += (f"allocated per request: {line}" for line in report.allocations(results))
    if failures:
        raise BenchmarkError("; ".join(failures))


def with_twin(workload, wanted):
    """The workload with a second start of the default FastLB: what two equal programs differ by is the noise of the measurement."""
    if not wanted:
        return workload
    twins = tuple(
        dataclasses.replace(contestant, name=f"{contestant.name}, again", is_default=False, is_twin=True)
        for contestant in workload.contestants if contestant.is_default)
    return dataclasses.replace(workload, contestants=workload.contestants + twins)


def write(findings, into_repository):
    if not into_repository:
        print(report.markdown(findings))
        return
    base = f"{datetime.date.today()}-{machine.commit()}"
    folder = machine.ROOT / "perf-results"
    picture = chart.svg(findings.results, CAPTION)
    (folder / f"{base}.svg").write_text(picture)
    (machine.ROOT / "docs" / "speed.svg").write_text(picture)
    text = report.markdown(findings, f"{base}.svg")
    (folder / f"{base}.md").write_text(text)
    print(text)
    print(f"written to perf-results/{base}.md, its chart beside it and to docs/speed.svg", file=sys.stderr)


def read_options():
    def names(text):
        return text.split(",")

    parser = argparse.ArgumentParser(prog="bench/load/run.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", type=names, metavar="A,B", help="only these rows; a wrong name lists all")
    parser.add_argument("--engines", type=names, default=Features().engines, metavar="A,B", help="only these of FastLB's engines")
    parser.add_argument("--rounds", type=int, default=7, help="(default 7)")
    parser.add_argument("--seconds", type=int, default=3, help="of load per proxy and round (default 3)")
    parser.add_argument("--warm-up", type=int, default=5, help="seconds of load before FastLB's first round (default 5)")
    parser.add_argument("--fastlb", default="publish/fastlb", help="the program, or fastlb.dll for the one of a build (default publish/fastlb)")
    parser.add_argument("--twin", action="store_true", help="run the default FastLB twice; their ratio is the noise of the measurement")
    parser.add_argument("--priority", action="store_true", help="take the cores from other processes (nice -20), for a machine that is not quiet")
    parser.add_argument("--no-system-calls", dest="system_calls", action="store_false", help="do not count system calls with perf")
    parser.add_argument("--perf", type=names, default=[], metavar="A,B", help="add the hot functions of these workloads (perf record)")
    parser.add_argument("--write", action="store_true", help="write the report and its chart into perf-results/ and the chart to docs/speed.svg")
    options = parser.parse_args()
    if min(options.rounds, options.seconds, options.warm_up) < 1:
        parser.error("--rounds, --seconds and --warm-up have to be at least 1")
    return options


if __name__ == "__main__":
    try:
        main()
    except BenchmarkError as failure:
        sys.exit(f"bench/load: {failure}")
