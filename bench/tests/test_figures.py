"""The arithmetic of the yardstick.

Task: T-032 · Spec: plan.md#yardstick
"""

import pytest
from todo_bench.figures import Comparison, Ratio, Round, Series, Unit, ratio


def series(build: str, *values: float | None, unit: Unit = "req/s") -> Series:
    return Series(build, unit, [Round(value, failure="" if value else "wrong") for value in values])


def test_a_ratio_is_taken_round_by_round() -> None:
    # The medians' own ratio would be 2.0: the machine was slower for both in the second round.
    mine, theirs = series("product", 300, 100, 200), series("peer", 100, 50, 200)
    assert ratio(mine, theirs) == Ratio(median=2.0, least=1.0, greatest=3.0)


@pytest.mark.parametrize("unit", ["µs", "MB", "s"])
def test_of_what_is_spent_less_is_better(unit: Unit) -> None:
    found = ratio(series("product", 10, unit=unit), series("peer", 25, unit=unit))
    assert found == Ratio(2.5, 2.5, 2.5)


def test_a_round_with_wrong_answers_takes_no_part_in_a_ratio() -> None:
    mine, theirs = series("product", 300, 100), series("peer", None, 50)
    assert ratio(mine, theirs) == Ratio(2.0, 2.0, 2.0)


def test_there_is_no_ratio_when_no_round_holds_for_both() -> None:
    assert ratio(series("product", 300, None), series("peer", None, 50)) is None


def test_the_median_leaves_out_rounds_that_do_not_hold() -> None:
    found = series("product", 100, None, 300, 200)
    assert found.value == 200
    assert found.failures == ["wrong"]
    assert series("product", None).value is None


def test_cpu_is_the_median_by_process() -> None:
    rounds = [Round(1, cpu_us={"gateway": cost, "tasks": 5.0}) for cost in (10.0, 30.0, 11.0)]
    assert Series("product", "req/s", rounds).cpu_us == {"gateway": 11.0, "tasks": 5.0}


def test_a_comparison_measures_the_others_against_its_subject_only() -> None:
    comparison = Comparison("list", "list", "product", [series("peer", 10), series("product", 20)])
    assert comparison.ratio("peer") == Ratio(2.0, 2.0, 2.0)
    assert comparison.ratio("product") is None
    assert comparison.ratio("absent") is None
