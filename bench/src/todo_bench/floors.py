"""The least ratios that a change may leave, kept in `bench/floors.toml`.

Task: T-033 · Spec: plan.md#yardstick
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from todo_bench.figures import Comparison

FILE = Path(__file__).parents[2] / "floors.toml"

Floors = Mapping[str, Mapping[str, float]]
"""By piece of work and build: how many times better the subject has to be, at least, in the median."""


class FloorsError(Exception):
    """The file of floors does not say what it should."""


@dataclass(frozen=True)
class Verdict:
    """One floor and the median that was measured; `measured` is None when the run did not measure it."""

    work: str
    build: str
    floor: float
    measured: float | None

    @property
    def holds(self) -> bool:
        """Whether the median is not under the floor. What was not measured is not judged."""
        return self.measured is None or self.measured >= self.floor


def read(file: Path = FILE) -> Floors:
    """The floors in a TOML file of one table a piece of work. Raises `FloorsError`."""
    try:
        document = tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise FloorsError(f"{file.name} is not TOML: {error}") from error
    for work, floors in document.items():
        if not isinstance(floors, dict) or not all(_is_floor(value) for value in floors.values()):
            raise FloorsError(f"{file.name}: [{work}] has to hold builds and numbers greater than 0.")
    return document


def judge(floors: Floors, comparisons: Sequence[Comparison]) -> list[Verdict]:
    """Hold the medians of a run against every floor."""
    return [
        Verdict(work, build, floor, _measured(comparisons, work, build))
        for work, builds in floors.items()
        for build, floor in builds.items()
    ]


def _measured(comparisons: Sequence[Comparison], work: str, build: str) -> float | None:
    for comparison in comparisons:
        if comparison.work == work:
            found = comparison.ratio(build)
            return found.median if found else None
    return None


def _is_floor(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
