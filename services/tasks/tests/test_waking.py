import pytest

from todo_tasks.waking import LONGEST_WAIT_S, Patience


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_waits_grow_and_end_with_the_time_there_is(clock: Clock) -> None:
    patience = Patience(5, clock)
    waits: list[float] = []
    while (wait := patience.wait_s(len(waits) + 1)) is not None:
        waits.append(wait)
        clock.now += wait
    assert len(waits) > 5
    assert waits[0] <= 0.05 < waits[3] < waits[5] <= LONGEST_WAIT_S
    assert clock.now < 105


def test_a_database_that_is_down_is_told_at_once(clock: Clock) -> None:
    patience = Patience(5, clock)
    assert patience.wait_s(1) is not None
    clock.now += 3
    assert patience.wait_s(1) is not None
    clock.now += 3
    assert patience.wait_s(1) is None


def test_a_connection_and_a_long_silence_begin_afresh(clock: Clock) -> None:
    patience = Patience(5, clock)
    for _ in range(3):
        patience.wait_s(1)
        clock.now += 3
    assert patience.wait_s(1) is None
    patience.connected()
    assert patience.wait_s(1) is not None
    clock.now += 5.1
    assert patience.wait_s(1) is not None
