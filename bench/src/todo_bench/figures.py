"""The arithmetic of the yardstick: what a round measured, medians, and ratios taken round by round.

Task: T-032 · Spec: plan.md#yardstick
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal, NamedTuple

Unit = Literal["req/s", "µs", "MB", "s"]
"""Of requests a second more is better, of the others less."""


@dataclass(frozen=True)
class Round:
    """One measurement of one build. `value` in the series' unit; None when the round does not count,
    `failure` then says why. `cpu_us`: microseconds of CPU a request, by process.
    """

    value: float | None
    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_us: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True)
class Series:
    """All rounds of one build at one piece of work."""

    build: str
    unit: Unit
    rounds: Sequence[Round]

    @property
    def value(self) -> float | None:
        """The median of the rounds that hold; None when none does."""
        return middle([round.value for round in self.rounds])

    @property
    def p50_ms(self) -> float | None:
        """The median of the rounds' medians of the latency."""
        return middle([round.p50_ms for round in self.rounds])

    @property
    def p99_ms(self) -> float | None:
        """The median of the rounds' 99th percentiles of the latency."""
        return middle([round.p99_ms for round in self.rounds])

    @property
    def cpu_us(self) -> dict[str, float]:
        """The median of CPU microseconds a request, by process."""
        names = {name: None for round in self.rounds for name in round.cpu_us}
        return {name: median(round.cpu_us.get(name, 0.0) for round in self.rounds) for name in names}

    @property
    def failures(self) -> list[str]:
        """What was wrong, for each round that does not hold."""
        return [round.failure for round in self.rounds if round.failure]


@dataclass(frozen=True)
class Comparison:
    """One piece of work, and how the build `subject` stands beside the others at it."""

    work: str
    title: str
    subject: str
    series: Sequence[Series]

    def of(self, build: str) -> Series | None:
        """The series of a build, or None when it took no part."""
        return next((series for series in self.series if series.build == build), None)

    def ratio(self, build: str) -> "Ratio | None":
        """How many times better the subject is than `build`; None when no round of both holds."""
        subject, other = self.of(self.subject), self.of(build)
        return ratio(subject, other) if subject and other and subject is not other else None


class Ratio(NamedTuple):
    """Of ratios taken round by round: the median, the least and the greatest."""

    median: float
    least: float
    greatest: float


def ratio(subject: Series, other: Series) -> Ratio | None:
    """How many times better `subject` is, in each round that holds for both; None when none does.

    More requests a second are better, and so are fewer microseconds, seconds and bytes. Only figures of the
    same round are divided: they were taken within seconds of each other, and share the machine's mood.
    """
    ratios = [
        mine.value / theirs.value if subject.unit == "req/s" else theirs.value / mine.value
        for mine, theirs in zip(subject.rounds, other.rounds)
        if mine.value and theirs.value
    ]
    return Ratio(median(ratios), min(ratios), max(ratios)) if ratios else None


def middle(values: Sequence[float | None]) -> float | None:
    """The median of the values that are there."""
    there = [value for value in values if value is not None]
    return median(there) if there else None
