"""Floors: read, judged, and in step with what a run measures.

Task: T-033 · Spec: plan.md#yardstick
"""

from pathlib import Path

import pytest
from todo_bench import floors
from todo_bench.figures import Comparison, Round, Series
from todo_bench.floors import FloorsError, Verdict
from todo_bench.suites import WHAT


def comparison(mine: float, theirs: float) -> Comparison:
    return Comparison(
        "list",
        "list",
        "product",
        [Series("peer", "req/s", [Round(theirs)]), Series("product", "req/s", [Round(mine)])],
    )


def test_a_median_under_its_floor_does_not_hold() -> None:
    (verdict,) = floors.judge({"list": {"peer": 2.0}}, [comparison(199, 100)])
    assert verdict == Verdict("list", "peer", 2.0, 1.99)
    assert not verdict.holds


def test_a_median_on_its_floor_holds() -> None:
    (verdict,) = floors.judge({"list": {"peer": 2.0}}, [comparison(200, 100)])
    assert verdict.holds


@pytest.mark.parametrize("required", [{"create": {"peer": 2.0}}, {"list": {"absent": 2.0}}])
def test_what_was_not_measured_is_not_judged(required: dict[str, dict[str, float]]) -> None:
    (verdict,) = floors.judge(required, [comparison(1, 100)])
    assert verdict.measured is None
    assert verdict.holds


@pytest.mark.parametrize(
    "text", ["list = 3", "[list]\npeer = 'two'", "[list]\npeer = 0", "[list]\npeer = true"]
)
def test_a_floor_that_is_no_number_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "floors.toml"
    file.write_text(text)
    with pytest.raises(FloorsError, match="list"):
        floors.read(file)


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "floors.toml"
    file.write_text("[list")
    with pytest.raises(FloorsError, match="floors.toml"):
        floors.read(file)


def test_the_kept_floors_are_on_what_a_run_measures() -> None:
    kept = floors.read()
    assert {work.partition("-")[0] for work in kept} <= {*WHAT, "verify"}
    assert kept["list"].keys() >= {"textbook", "node-cached"}
    assert kept["create"].keys() >= {"textbook", "node-cached"}
