"""Writes a run into the documentation: the tables of docs/performance.md, and the picture.

Task: T-032 · Spec: plan.md#yardstick
"""

from itertools import groupby
from pathlib import Path

from todo_bench.figures import Comparison
from todo_bench.picture import draw
from todo_bench.report import Run, cpu, figure, milliseconds, remarks, times
from todo_bench.work import WHOLE_PATH

DOCS = Path(__file__).parents[3] / "docs"
_MARKS = "<!-- {0}: begin -->", "<!-- {0}: end -->"
BEGIN, END = (mark.format("figures") for mark in _MARKS)
_HEADINGS = {"connections": "Connections", "gateway": "The gateway alone", "verify": "The verifier alone"} | {
    "table": "Growing tables",
    "memory": "Memory",
    "start": "Start",
}


def publish(run: Run, docs: Path = DOCS) -> None:
    """Replace what stands between the marks in performance.md, and images/performance.svg where the whole
    path was measured. What the run did not measure is gone from the page: publish whole runs.
    """
    put(docs / "performance.md", "figures", figures(run))
    names = {work.name for work in WHOLE_PATH}
    whole = [comparison for comparison in run.comparisons if comparison.work in names]
    if whole:
        picture = docs / "images" / "performance.svg"
        picture.parent.mkdir(exist_ok=True)
        picture.write_text(draw(whole, "Requests a second, through the whole path", _note(run)))


def put(page: Path, name: str, text: str) -> None:
    """Replace what stands between the marks of that name in a page. Raises ValueError for a page without
    them.
    """
    begin, end = (mark.format(name) for mark in _MARKS)
    before, begun, rest = page.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"{page} has no marks for {name}")
    page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")


def figures(run: Run) -> str:
    """The run as Markdown: what it was taken with, then a table for each kind of work."""
    machine = ", ".join(f"{name} {value}" for name, value in run.machine.items())
    lines = [f"Taken on {run.date} by `{run.command}` ({_note(run)}).", "", f"{machine}.", ""]
    for heading, comparisons in groupby(run.comparisons, _heading):
        lines += [f"### {heading}", "", "| work | build | median | p50 ms | p99 ms | CPU µs a request | × |"]
        lines += ["| --- | --- | ---: | ---: | ---: | --- | ---: |"]
        for comparison in comparisons:
            lines += _rows(comparison)
        lines.append("")
    lines += [f"- {sentence}" for sentence in remarks(run)]
    return "\n".join(lines).rstrip() + "\n"


def _rows(comparison: Comparison) -> list[str]:
    rows = []
    for series in comparison.series:
        build = f"**{series.build}**" if series.build == comparison.subject else series.build
        cells = [comparison.title, build, figure(series.value, series.unit), milliseconds(series.p50_ms)]
        cells += [milliseconds(series.p99_ms), cpu(series), times(comparison.ratio(series.build))]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _heading(comparison: Comparison) -> str:
    return _HEADINGS.get(comparison.work.partition("-")[0], "The whole path")


def _note(run: Run) -> str:
    method = run.method
    return (
        f"{method.rounds} rounds of {method.seconds} s in turns, {method.connections} connections, "
        f"one process each, {run.machine['processor']}"
    )
