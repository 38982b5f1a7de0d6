"""A time limit of a connection, on a clock of the test's own."""

import asyncio
from collections.abc import Callable
from typing import cast

import uvloop

from todo_service.deadline import Deadline


class Timer:
    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at, self.call, self.is_cancelled = at, call, False

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        self.is_cancelled = True


class Clock:
    """The part of an event loop that tells the time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(at, call))
        return self.timers[-1]

    def advance(self, seconds: float) -> None:
        self.now += seconds
        while due := [timer for timer in self.timers if not timer.is_cancelled and timer.at <= self.now]:
            self.timers.remove(due[0])
            due[0].call()

    @property
    def armed(self) -> int:
        return len([timer for timer in self.timers if not timer.is_cancelled])


def start() -> tuple[Clock, Deadline, list[float]]:
    clock, expired = Clock(), list[float]()
    deadline = Deadline(cast(asyncio.AbstractEventLoop, clock), lambda: expired.append(clock.now))
    return clock, deadline, expired


def test_a_limit_that_passes_expires_once() -> None:
    clock, deadline, expired = start()
    deadline.set(30)
    clock.advance(29)
    assert expired == []
    clock.advance(1)
    clock.advance(100)
    assert expired == [30]


def test_a_limit_that_is_lifted_never_expires() -> None:
    clock, deadline, expired = start()
    deadline.set(30)
    deadline.lift()
    clock.advance(100)
    assert expired == [] and clock.armed == 0


def test_a_later_limit_holds_in_place_of_the_earlier_one() -> None:
    clock, deadline, expired = start()
    deadline.set(30)
    clock.advance(20)
    deadline.set(30)
    clock.advance(10)
    assert expired == []
    clock.advance(20)
    assert expired == [50]


def test_a_nearer_limit_holds_although_the_timer_was_set_for_a_later_one() -> None:
    clock, deadline, expired = start()
    deadline.set(30)
    deadline.set(5)
    clock.advance(5)
    assert expired == [5]


def test_many_limits_in_a_row_arm_one_timer() -> None:
    clock, deadline, expired = start()
    for _ in range(1000):
        deadline.set(30)
        clock.advance(0.01)
        deadline.lift()
    assert len(clock.timers) == 1 and expired == []


def test_closing_leaves_no_timer() -> None:
    clock, deadline, expired = start()
    deadline.set(30)
    deadline.close()
    assert clock.armed == 0
    clock.advance(100)
    assert expired == []


def test_a_limit_that_is_over_at_once_can_be_moved() -> None:
    """uvloop gives no timer for less than half a millisecond, but a plain handle."""
    expired: list[float] = []

    async def move() -> None:
        loop = asyncio.get_running_loop()
        deadline = Deadline(loop, lambda: expired.append(loop.time()))
        deadline.set(0)
        until = deadline.set(0.05)
        while not expired:
            await asyncio.sleep(0.01)
        assert expired[0] >= until
        deadline.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(move())
