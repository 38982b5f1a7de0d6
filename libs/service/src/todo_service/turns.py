"""The queue of those who wait for what others give back, in the order of their asking.

Task: T-015 · Spec: plan.md#service-settings
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Who waits longest is served first, and nothing that is given gets lost: what came for somebody in the
    very moment of their cancellation goes to `give_on`. For one event loop.
    """

    def __init__(self, give_on: Callable[[T], None]) -> None:
        self._give_on = give_on
        self._waiting: deque[asyncio.Future[T]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self) -> T:
        """What `give` gives when it is one's turn. Raises what `end` makes."""
        turn: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):  # passed over already
                    self._waiting.remove(turn)
            elif turn.exception() is None:
                self._give_on(turn.result())
            raise

    def give(self, item: T) -> bool:
        """Give to whoever has waited longest; False where nobody waits."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(item)
                return True
        return False

    def end(self, why: Callable[[], Exception]) -> None:
        """Let everybody who waits fail."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(why())
