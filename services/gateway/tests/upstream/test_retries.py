"""What may be sent twice, and how often."""

import pytest
from todo_auth.testing import Clock
from todo_gateway.upstream.retries import RetryBudget, is_repeatable

KEY = [(b"Idempotency-Key", b"abc")]
MATCH = [(b"if-match", b'"3"')]
SINCE = [(b"If-Unmodified-Since", b"Tue, 24 Nov 2026 00:00:00 GMT")]


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"])
def test_an_idempotent_method_is_repeatable(method: bytes) -> None:
    assert is_repeatable(method, [])


@pytest.mark.parametrize("method", [b"POST", b"PATCH", b"LINK"])
def test_any_other_method_is_not(method: bytes) -> None:
    assert not is_repeatable(method, [])


@pytest.mark.parametrize("condition", [MATCH, SINCE])
@pytest.mark.parametrize("method", [b"PUT", b"DELETE"])
def test_a_change_under_a_condition_is_not_because_the_second_would_be_told_412(
    method: bytes, condition: list[tuple[bytes, bytes]]
) -> None:
    assert not is_repeatable(method, condition)


def test_a_read_under_a_condition_is_repeatable() -> None:
    assert is_repeatable(b"GET", MATCH)


def test_an_idempotency_key_makes_a_post_repeatable_where_the_service_honours_it() -> None:
    assert is_repeatable(b"POST", KEY, idempotency_keys=True)
    assert not is_repeatable(b"POST", KEY)
    assert not is_repeatable(b"POST", [], idempotency_keys=True)
    assert not is_repeatable(b"PATCH", KEY, idempotency_keys=True)


def spent(budget: RetryBudget) -> int:
    count = 0
    while budget.spend():
        count += 1
    return count


def test_a_budget_pays_for_a_burst_and_then_for_a_share_of_the_requests() -> None:
    budget = RetryBudget(0.2, per_second=0, burst=10, clock=Clock())
    assert spent(budget) == 10
    for _ in range(25):
        budget.earn()
    assert spent(budget) in (4, 5)


def test_a_budget_never_holds_more_than_its_burst() -> None:
    clock = Clock()
    budget = RetryBudget(1, per_second=100, burst=10, clock=clock)
    for _ in range(100):
        budget.earn()
    clock.moment += 3600
    assert spent(budget) == 10


def test_where_requests_are_few_the_time_pays_for_some() -> None:
    clock = Clock()
    budget = RetryBudget(0, per_second=2, burst=10, clock=clock)
    spent(budget)
    clock.moment += 2
    assert spent(budget) == 4
