"""The verdicts as a picture: an SVG that is readable on light and on dark pages and needs nothing else."""

import html
import statistics

import report

WIDTH, LABEL_WIDTH, MARGIN, VALUE_WIDTH = 880, 340, 16, 56
ROW_HEIGHT, BAR_HEIGHT, TOP, BOTTOM = 30, 16, 62, 40
LONGEST_RATIO = 1.5  # What is longer is cut there and marked by its figure.

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .small { font-size: 11.5px; fill: #59636e; }
  .fastlb { fill: #1a7f5a; } .missed { fill: #bc6c00; }
  .peer { fill: none; stroke: #59636e; stroke-width: 1.5; }
  .grid { stroke: #d1d9e0; } .even { stroke: #59636e; stroke-width: 1.5; } .bound { stroke: #1f2328; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .small { fill: #9198a1; }
    .fastlb { fill: #3fb68b; } .missed { fill: #e0953b; } .peer { stroke: #9198a1; }
    .grid { stroke: #3d444d; } .even { stroke: #9198a1; } .bound { stroke: #f0f6fc; }
  }
"""


def svg(results, caption):
    """One bar per workload: FastLB's figure by the better peer's. Workloads with an absolute bound are not in it."""
    verdicts = [verdict for verdict in map(report.verdict_of, results) if verdict and verdict.peer]
    height = TOP + ROW_HEIGHT * len(verdicts) + BOTTOM
    bottom = height - BOTTOM + 4
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="{html.escape(caption)}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="{MARGIN}" y="24">What FastLB costs as a share of the better of nginx and HAProxy: shorter is better</text>',
        f'<text class="small" x="{MARGIN}" y="42">{html.escape(caption)}</text>',
    ]
    for ratio in (0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5):
        line = "even" if ratio == 1.0 else "grid"
        parts.append(f'<line class="{line}" x1="{_x(ratio)}" x2="{_x(ratio)}" y1="{TOP - 8}" y2="{bottom}"/>')
        parts.append(f'<text class="small" x="{_x(ratio)}" y="{bottom + 14}" text-anchor="middle">{ratio:g}</text>')
    for number, verdict in enumerate(verdicts):
        parts += _row(verdict, TOP + number * ROW_HEIGHT)
    parts.append(
        f'<text class="small" x="{MARGIN}" y="{bottom + 30}">Thick tick: the bound that FastLB is held to (a bar beyond it is orange). '
        "Ring: the other peer; beyond 1.5 at the edge.</text>")
    return "\n".join([*parts, "</svg>", ""])


def _row(verdict, top):
    result, middle = verdict.result, top + ROW_HEIGHT / 2 - 3
    bar = middle - BAR_HEIGHT / 2
    kind = "fastlb" if verdict.is_met else "missed"
    title = html.escape(result.workload.title)
    yield f'<text x="{LABEL_WIDTH - 8}" y="{middle + 4}" text-anchor="end">{title}</text>'
    yield f'<rect class="{kind}" x="{_x(0)}" y="{bar}" width="{_x(verdict.ratio) - _x(0)}" height="{BAR_HEIGHT}" rx="2"/>'
    yield f'<line class="bound" x1="{_x(verdict.bound)}" x2="{_x(verdict.bound)}" y1="{bar - 3}" y2="{bar + BAR_HEIGHT + 3}"/>'
    for contestant in result.rounds:
        if contestant.is_peer and contestant is not verdict.peer:
            ratio = statistics.median(report.ratios(result, contestant, verdict.peer))
            yield f'<circle class="peer" cx="{_x(ratio)}" cy="{middle}" r="5"><title>{html.escape(contestant.name)} {ratio:.2f}</title></circle>'
    yield f'<text x="{WIDTH - MARGIN}" y="{middle + 4}" text-anchor="end">{verdict.ratio:.2f}</text>'


def _x(ratio):
    width = WIDTH - LABEL_WIDTH - MARGIN - VALUE_WIDTH
    return round(LABEL_WIDTH + min(max(ratio, 0), LONGEST_RATIO) / LONGEST_RATIO * width, 1)
