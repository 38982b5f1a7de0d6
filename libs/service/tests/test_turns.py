"""Those who wait, and what they get."""

import asyncio

import pytest

from todo_service.turns import Turns


def nobody(item: int) -> None:
    pytest.fail(f"{item} was given on")


async def waiting(turns: Turns[int], number: int) -> list["asyncio.Task[int]"]:
    tasks = [asyncio.create_task(turns.wait()) for _ in range(number)]
    while len(turns) < number:
        await asyncio.sleep(0)
    return tasks


async def test_whoever_waits_longest_is_served_first() -> None:
    turns: Turns[int] = Turns(nobody)
    assert turns.give(0) is False
    tasks = await waiting(turns, 3)
    assert [turns.give(number) for number in range(4)] == [True, True, True, False]
    assert [await task for task in tasks] == [0, 1, 2]


async def test_what_comes_in_the_moment_of_a_cancellation_is_given_on() -> None:
    given_on: list[int] = []
    turns: Turns[int] = Turns(given_on.append)
    (task,) = await waiting(turns, 1)
    assert turns.give(7)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() and given_on == [7]


@pytest.mark.parametrize("passed_over", [True, False])
async def test_whoever_is_cancelled_waits_no_more(passed_over: bool) -> None:
    turns: Turns[int] = Turns(nobody)
    cancelled, other = await waiting(turns, 2)
    cancelled.cancel()
    if not passed_over:
        await asyncio.wait([cancelled])
        assert len(turns) == 1
    assert turns.give(7)
    await asyncio.wait([cancelled])
    assert cancelled.cancelled() and await other == 7 and len(turns) == 0


async def test_the_end_is_told_to_everybody() -> None:
    turns: Turns[int] = Turns(nobody)
    tasks = await waiting(turns, 2)
    turns.end(lambda: ConnectionError("over"))
    for task in tasks:
        with pytest.raises(ConnectionError, match="over"):
            await task
    assert len(turns) == 0
