"""What a run found, on the terminal and as JSON.

Task: T-032 · Spec: plan.md#yardstick
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from todo_bench.figures import Comparison, Ratio, Series
from todo_bench.floors import Verdict
from todo_bench.rounds import Method

BUSY = 0.8
"""The share of a core from which the load generator itself may be what holds a figure down."""


@dataclass(frozen=True)
class Run:
    """Everything that is known after a run. `command`: what repeats it; `left_out`: what took no part."""

    command: str
    date: str
    machine: Mapping[str, str]
    method: Method
    left_out: Sequence[str]
    comparisons: Sequence[Comparison]

    def document(self) -> dict[str, object]:
        """The run as JSON: for each piece of work every build's rounds, median and ratio."""
        return {
            "command": self.command,
            "date": self.date,
            "machine": dict(self.machine),
            "method": asdict(self.method),
            "left_out": list(self.left_out),
            "works": [
                {
                    "work": comparison.work,
                    "title": comparison.title,
                    "subject": comparison.subject,
                    "builds": {
                        series.build: _series(series, comparison.ratio(series.build))
                        for series in comparison.series
                    },
                }
                for comparison in self.comparisons
            ],
        }


def _series(series: Series, ratio: Ratio | None) -> dict[str, object]:
    return {
        "unit": series.unit,
        "median": series.value,
        "p50_ms": series.p50_ms,
        "p99_ms": series.p99_ms,
        "cpu_us": series.cpu_us,
        "subject_is_times_better": ratio._asdict() if ratio else None,
        "rounds": [asdict(round) for round in series.rounds],
    }


def figure(value: float | None, unit: str) -> str:
    """A figure with as many digits as it is worth."""
    if value is None:
        return "does not count"
    digits = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{digits}/s" if unit == "req/s" else f"{digits} {unit}"


def times(ratio: Ratio | None) -> str:
    """A ratio as `14.2 (13.8–14.9)`: median, least, greatest."""
    if ratio is None:
        return ""
    if ratio.least == ratio.greatest:
        return _short(ratio.median)
    return f"{_short(ratio.median)} ({_short(ratio.least)}–{_short(ratio.greatest)})"


def cpu(series: Series) -> str:
    """CPU microseconds a request, by process: those that took any, the load generator's left out."""
    spent = {name: value for name, value in series.cpu_us.items() if name != "load" and value >= 0.5}
    parts = " + ".join(f"{name} {value:,.0f}" for name, value in spent.items())
    return f"{sum(spent.values()):,.0f} = {parts}" if len(spent) > 1 else parts


def milliseconds(value: float | None) -> str:
    """A latency, or nothing."""
    return "" if value is None else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def print_run(run: Run, console: Console) -> None:
    """Print the table, with the machine above it."""
    console.print(" · ".join(f"{name} {value}" for name, value in run.machine.items()), style="dim")
    method = run.method
    console.print(
        f"{method.rounds} rounds of {method.seconds} s in turns, {method.connections} connections where "
        f"nothing else is said, load from {method.generator}. ×: how many times better the bold build is, "
        "by the median of the rounds (least–greatest).",
        style="dim",
    )
    table = Table("work", box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("build", no_wrap=True)
    for name in ("median", "p50 ms", "p99 ms"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("CPU µs a request")
    table.add_column("×", no_wrap=True)
    for comparison in run.comparisons:
        table.add_section()
        for number, series in enumerate(comparison.series):
            subject = series.build == comparison.subject
            table.add_row(
                comparison.title if number == 0 else "",
                series.build,
                figure(series.value, series.unit),
                milliseconds(series.p50_ms),
                milliseconds(series.p99_ms),
                cpu(series),
                times(comparison.ratio(series.build)),
                style="bold" if subject else None,
            )
    console.print(table)
    for sentence in remarks(run):
        console.print(sentence, style="yellow")


def remarks(run: Run) -> list[str]:
    """What a reader of the figures has to know: who took no part, who answered wrongly, and where the load
    generator took most of a core, so that the build may be faster than the figure.
    """
    sentences = list(run.left_out)
    for comparison in run.comparisons:
        for series in comparison.series:
            what = f"{comparison.title}: {series.build}"
            if series.failures:
                failed = f"{len(series.failures)} of {len(series.rounds)} rounds ({series.failures[0]})"
                sentences.append(f"{what} does not count in {failed}.")
            share = series.cpu_us.get("load", 0) * (series.value or 0) / 1e6
            if share > BUSY:
                sentences.append(f"{what} kept the load generator busy for {share:.0%} of a core.")
    return sentences


def subject_fails(comparisons: Sequence[Comparison]) -> bool:
    """Whether what is measured gave a wrong answer itself, in whichever round."""
    subjects = [comparison.of(comparison.subject) for comparison in comparisons]
    return any(subject is None or subject.failures for subject in subjects)


def print_verdicts(verdicts: Sequence[Verdict], console: Console) -> None:
    """Print every floor that does not hold, and how many do."""
    judged = [verdict for verdict in verdicts if verdict.measured is not None]
    for verdict in judged:
        if not verdict.holds:
            ratio = f"{verdict.measured:.3g} × {verdict.build}"
            console.print(f"[red]✗[/red] {verdict.work}: {ratio} is under the floor, {verdict.floor:g}.")
    held = sum(verdict.holds for verdict in judged)
    console.print(f"{held} of {len(judged)} floors hold; {len(verdicts) - len(judged)} were not measured.")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.2f}"
