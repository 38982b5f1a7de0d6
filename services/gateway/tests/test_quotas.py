"""Sliding windows, by a clock of the test's own."""

import math
import random

import pytest
from limits import parse as parse_item
from todo_gateway import quotas
from todo_gateway.quotas import Quota

NOW = 1_000_000 * 60.0  # the beginning of a window of a minute


def quota(rate: str = "10/minute", **options: int) -> Quota:
    return Quota(parse_item(rate), "user", **options)


def take(counted: Quota, subject: str, now: float) -> bool:
    slot = counted.slot(subject, now)
    if not counted.remaining(slot, now):
        return False
    counted.count(subject, slot)
    return True


def test_so_many_and_no_more() -> None:
    counted = quota()
    assert [take(counted, "ann", NOW) for _ in range(12)] == [True] * 10 + [False] * 2


def test_subjects_do_not_share() -> None:
    counted = quota("1/minute")
    assert take(counted, "ann", NOW) and take(counted, "bob", NOW)
    assert not take(counted, "ann", NOW)


def test_the_window_before_weighs_what_is_left_of_it() -> None:
    counted = quota()
    assert all(take(counted, "ann", NOW + 59) for _ in range(10))
    assert not take(counted, "ann", NOW + 60)  # no burst of two quotas around the border
    assert sum(take(counted, "ann", NOW + 90) for _ in range(10)) == 5
    assert sum(take(counted, "ann", NOW + 240) for _ in range(12)) == 10


def test_what_is_refused_is_not_counted() -> None:
    counted = quota("1/minute")
    assert take(counted, "ann", NOW)
    for second in range(60):
        assert not take(counted, "ann", NOW + second)
    assert take(counted, "ann", NOW + 121)


def test_the_wait_that_is_told_is_enough_and_no_longer() -> None:
    chosen = random.Random(8)
    for _ in range(300):
        counted = quota(f"{chosen.randint(1, 9)}/minute")
        now = NOW
        for _ in range(30):
            now += chosen.random() * 20
            if take(counted, "ann", now):
                continue
            slot = counted.slot("ann", now)
            wait_s = counted.wait_s(slot, now)
            assert 0 < wait_s <= 120
            just_before = now + wait_s - 0.01
            assert not counted.remaining(counted.slot("ann", just_before), just_before)
            told = now + math.floor(wait_s) + 1  # what Retry-After says
            assert counted.remaining(counted.slot("ann", told), told)
            now = told


def test_memory_is_bounded_under_a_flood_and_the_oldest_goes_first() -> None:
    counted = quota(max_subjects=100)
    take(counted, "first", NOW)
    for number in range(1000):
        take(counted, str(number), NOW + 1)
    assert len(counted) == 100
    assert counted.known("first") is None
    assert counted.known("999") is not None


def test_what_counts_for_nothing_any_more_is_forgotten() -> None:
    counted = quota()
    for number in range(50):
        take(counted, f"old {number}", NOW)
    for number in range(50):
        take(counted, f"new {number}", NOW + 180)
    assert len(counted) == 50


@pytest.mark.parametrize("value", ["", "600", "many/minute", "0/minute", "5/fortnight", "-1/minute"])
def test_a_rate_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="600/minute"):
        quotas.parse(value, "user")


def test_several_rates_are_told_apart_by_their_windows() -> None:
    parsed = quotas.parse("600/minute, 20 per second, 5/10 minutes", "user")
    assert quotas.policies(parsed) == (
        b'"user-minute";q=600;w=60, "user-second";q=20;w=1, "user-10-minute";q=5;w=600'
    )
    assert quotas.parse(" OFF ", "user") == ()


def test_no_subject_can_pass_for_another_in_a_key() -> None:
    counted = quota()
    assert counted.key("1/ann", 2) != counted.key("ann", 2)
    assert len({counted.key(subject, index) for subject in ("a", "1/a", "a/1") for index in (1, 11)}) == 6
