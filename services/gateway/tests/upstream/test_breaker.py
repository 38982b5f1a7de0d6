"""When an address is put out, tried again and taken back."""

from todo_auth.testing import Clock
from todo_gateway.upstream.breaker import Breaker


def made(clock: Clock) -> Breaker:
    return Breaker(threshold=3, open_s=1, max_open_s=4, clock=clock)


def opened(clock: Clock) -> Breaker:
    breaker = made(clock)
    assert [breaker.fail() for _ in range(3)] == [False, False, True]
    return breaker


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = made(Clock())
    for _ in range(10):
        breaker.fail()
        breaker.fail()
        breaker.succeed()
    assert (breaker.is_closed, breaker.failures, breaker.openings) == (True, 0, 0)


def test_while_open_nothing_is_admitted_until_the_wait_is_over() -> None:
    clock = Clock()
    breaker = opened(clock)
    assert (breaker.state, breaker.retry_after_s, breaker.admit()) == ("open", 1, False)
    clock.moment += 1
    assert (breaker.state, breaker.retry_after_s, breaker.admit()) == ("half-open", 0, True)


def test_one_trial_at_a_time() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.moment += 1
    assert [breaker.admit() for _ in range(3)] == [True, False, False]
    breaker.abandon()
    assert breaker.admit(), "a trial that said nothing makes room for another"


def test_a_trial_that_succeeds_closes_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.moment += 1
    breaker.admit()
    breaker.succeed(is_trial=True)
    assert (breaker.state, breaker.failures, breaker.openings) == ("closed", 0, 1)
    assert not breaker.fail(), "and it takes as many failures as before"


def test_a_trial_that_fails_doubles_the_wait_up_to_its_bound() -> None:
    clock = Clock()
    breaker = opened(clock)
    waits = []
    for _ in range(4):
        waits.append(breaker.retry_after_s)
        clock.moment += breaker.retry_after_s
        assert breaker.admit()
        assert breaker.fail(is_trial=True)
    assert waits == [1, 2, 4, 4]
    clock.moment += 4
    breaker.admit()
    breaker.succeed(is_trial=True)
    for _ in range(3):
        breaker.fail()
    assert breaker.retry_after_s == 1, "after a success the wait begins anew"


def test_what_began_before_it_opened_says_nothing_any_more() -> None:
    breaker = opened(Clock())
    breaker.succeed()
    assert not breaker.is_closed
    assert not breaker.fail()
    assert breaker.retry_after_s == 1


def test_readmitted_without_a_real_request_it_is_on_probation() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.moment += 1
    breaker.admit()
    breaker.readmit()
    assert breaker.is_closed
    assert breaker.fail(), "one failure opens it again"
    assert breaker.retry_after_s == 2, "for longer"
