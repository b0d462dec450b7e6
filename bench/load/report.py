"""The report as Markdown: first every bound and whether it is met, then every workload with all of its figures."""

import datetime
import math
import statistics
import typing

import machine
from workloads import ALLOCATED, ALLOCATED_IN_ROUND, OTHERS

# An object has at least 24 bytes, so what every request allocates is far above the first. The few requests of a round of large
# bodies are not enough to tell it from what the round's own connections allocate once, hence the second.
ALLOCATED_NOISE_BYTES = 0.5
ALLOCATED_NOISE_BYTES_IN_ROUND = 1024
DISTURBED_PERCENT = 5


class Report(typing.NamedTuple):
    """Everything that is reported."""

    results: list
    failures: list  # Workloads that could not be measured or believed, and why.
    left_out: list  # What this FastLB does not have here, in its own words.
    options: object
    command: str
    fastlb: list  # Lines about the FastLB that was measured.


class Verdict(typing.NamedTuple):
    """A workload in one line: FastLB's default setting beside the better of the two peers."""

    result: object
    fastlb: object
    peer: object  # None when the bound is absolute.
    ratio: float  # Median over the rounds; of the figure itself when the bound is absolute.
    low: float
    high: float

    @property
    def bound(self):
        return self.result.workload.bound

    @property
    def is_met(self):
        return self.ratio <= self.bound


def verdict_of(result):
    """None when the workload has no FastLB in its default setting."""
    fastlb = next((contestant for contestant in result.rounds if contestant.is_default), None)
    if fastlb is None:
        return None
    if result.workload.is_absolute:
        return Verdict(result, fastlb, None, *_median_and_range(_figures(result, fastlb)))
    peer = better_peer(result)
    return Verdict(result, fastlb, peer, *_median_and_range(ratios(result, fastlb, peer)))


def better_peer(result):
    return min((contestant for contestant in result.rounds if contestant.is_peer), key=lambda peer: statistics.median(_figures(result, peer)))


def ratios(result, contestant, peer):
    """Round by round, so that what disturbed a round disturbed both. A difference that noise made nothing of has no ratio."""
    return [mine / theirs if theirs > 0 else math.inf for mine, theirs in zip(_figures(result, contestant), _figures(result, peer))]


def allocations(results):
    """What FastLB allocated on its loops per request, where that is more than nothing: lines for a person.

    What a request allocates is allocated in every round; a pool that grows once is seen in one round only, and is no finding.
    """
    for result in results:
        for contestant, rounds in result.rounds.items():
            least = min((figures.get(ALLOCATED, 0.0) for figures in rounds), default=0.0)
            least_in_round = min((figures.get(ALLOCATED_IN_ROUND, 0.0) for figures in rounds), default=0.0)
            if least > ALLOCATED_NOISE_BYTES and least_in_round > ALLOCATED_NOISE_BYTES_IN_ROUND:
                yield f"{result.workload.name}, {contestant.name}: {least:.2f} B per request"


def markdown(report, chart_name=None):
    results, options = report.results, report.options
    dirty = " with uncommitted changes" if machine.is_dirty() else ""
    lines = [
        f"# FastLB beside nginx and HAProxy, {datetime.date.today()}, commit {machine.commit()}{dirty}",
        "",
        f"Command: `{report.command}`",
        "",
        *(f"- {line}" for line in [*machine.description(), *report.fastlb]),
        "",
        f"The proxy alone on core {machine.PROXY_CORE}; load and origin on core {machine.LOAD_CORE}. {options.rounds} interleaved rounds of "
        f"{options.seconds} s; medians, lowest to highest in brackets. CPU is user and system time of all of a proxy's threads and ksoftirqd "
        "of its core. All proxies add X-Forwarded-For, -Proto and -Host; nginx and HAProxy write no access log, FastLB counts its metrics. "
        "A ratio is FastLB's figure by that of the better peer, round by round; under 1 is better.",
        "",
    ]
    if chart_name:
        lines += [f"![ratios to the better peer]({chart_name})", ""]
    lines += _summary(results)
    if report.failures:
        lines += ["**Failed:**", "", *(f"- {line}" for line in report.failures), ""]
    if report.left_out:
        lines += ["Not measured, because this FastLB does not have it here:", "", *(f"- {line}" for line in report.left_out), ""]
    lines += _allocation_lines(results)
    for result in results:
        lines += _section(result)
    return "\n".join(lines)


def _summary(results):
    lines = ["| workload | FastLB | better peer | ratio | at most | |", "| --- | --- | --- | --- | --- | --- |"]
    for verdict in filter(None, map(verdict_of, results)):
        workload = verdict.result.workload
        own = statistics.median(_figures(verdict.result, verdict.fastlb))
        met = "met" if verdict.is_met else "**missed**"
        if verdict.peer is None:
            lines.append(f"| {workload.title}, {workload.figure} | {own:.0f} | | | {verdict.bound:g} | {met} |")
            continue
        theirs = statistics.median(_figures(verdict.result, verdict.peer))
        spread = f"{verdict.ratio:.2f} ({verdict.low:.2f} to {verdict.high:.2f})"
        lines.append(
            f"| {workload.title}, {workload.figure} | {_number(own)} ({verdict.fastlb.name}) | {_number(theirs)} ({verdict.peer.name}) | "
            f"{spread} | {verdict.bound:.2f} | {met} |")
    return [*lines, ""]


def _allocation_lines(results):
    if not any(ALLOCATED in figures for result in results for rounds in result.rounds.values() for figures in rounds):
        return []
    found = list(allocations(results))
    if not found:
        return ["FastLB's loops allocated nothing per request in any workload.", ""]
    return ["**FastLB's loops allocated memory per request:**", "", *(f"- {line}" for line in found), ""]


def _section(result):
    workload = result.workload
    names = list(dict.fromkeys(name for rounds in result.rounds.values() for figures in rounds for name in figures if name != ALLOCATED_IN_ROUND))
    lines = [f"## {workload.title} (`{workload.name}`)", ""]
    if workload.note:
        lines += [workload.note, ""]
    has_ratio = not workload.is_absolute
    has_calls = bool(result.system_calls)
    head = ["", names[0], *(["to the better peer"] if has_ratio else []), *names[1:], *(["system calls per request"] if has_calls else [])]
    lines += [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    peer = better_peer(result) if has_ratio else None
    for contestant, rounds in result.rounds.items():
        median, low, high = _median_and_range(_figures(result, contestant))
        cells = [contestant.name + (" (default)" if contestant.is_default else ""), f"{_number(median)} ({_number(low)} to {_number(high)})"]
        if has_ratio:
            middle, lowest, highest = _median_and_range(ratios(result, contestant, peer))
            cells.append("" if contestant.program == "origin" else f"{middle:.2f} ({lowest:.2f} to {highest:.2f})")
        for name in names[1:]:
            values = [figures[name] for figures in rounds if name in figures]
            cells.append(_number(statistics.median(values)) if values else "")
        if has_calls:
            cells.append(result.system_calls.get(contestant, ""))
        lines.append(f"| {' | '.join(cells)} |")
    references = [contestant for contestant in result.rounds if contestant.is_reference and contestant.program != "origin"]
    if references and verdict_of(result):
        reference = min(references, key=lambda each: statistics.median(_figures(result, each)))
        median, low, high = _median_and_range(ratios(result, verdict_of(result).fastlb, reference))
        lines += ["", f"FastLB by {reference.name}: {median:.2f} ({low:.2f} to {high:.2f})."]
    for twin in filter(lambda contestant: contestant.is_twin, result.rounds):
        median, low, high = _median_and_range(ratios(result, twin, next(each for each in result.rounds if each.is_default)))
        lines += ["", f"Noise: the same FastLB started twice differed by {median:.2f} ({low:.2f} to {high:.2f})."]
    disturbed = [figures[OTHERS] for rounds in result.rounds.values() for figures in rounds if OTHERS in figures]
    if disturbed and statistics.median(disturbed) > DISTURBED_PERCENT:
        lines += ["", f"Disturbed: other processes used {statistics.median(disturbed):.0f} % of the proxy's core."]
    for contestant, functions in result.hot_functions.items():
        lines += ["", f"Hot functions of {contestant.name}:", "", "```", functions, "```"]
    return [*lines, ""]


def _figures(result, contestant):
    return [next(iter(figures.values())) for figures in result.rounds[contestant]]


def _median_and_range(values):
    return statistics.median(values), min(values), max(values)


def _number(value):
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"
