"""How many requests are served at once, and what happens to those past that.

Task: T-045 · Spec: plan.md#overload
"""

import asyncio
from collections import deque

from starlette.types import ASGIApp, Receive, Scope, Send
from todo_service.problems import Problem


class Overload:
    """Pure ASGI middleware: past `max_concurrency` a request waits for a place, else it is shed.

    At most `max_waiting` wait, each at most `max_wait_s` seconds. The newest is served first, and where the
    queue is full, the oldest is shed for it: under overload the oldest client is the likeliest to have given
    up, and serving in order would make everybody wait the longest.

    Raises Problem 503 `overloaded` with `Retry-After`. `running`, `waiting` and `shed` can be read at any
    time.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_concurrency: int = 256,
        max_waiting: int = 256,
        max_wait_s: float = 1,
    ) -> None:
        self.app = app
        self.running = 0
        self.shed = 0
        self._max_concurrency = max_concurrency
        self._max_waiting = max_waiting
        self._max_wait_s = max_wait_s
        self._queue: deque[asyncio.Future[bool]] = deque()

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A place is held until the answer has ended, a stream's too."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self.running < self._max_concurrency:
            self.running += 1
        else:
            await self._wait()
        try:
            await self.app(scope, receive, send)
        finally:
            self._leave()

    async def _wait(self) -> None:
        """Returns with a place, or raises Problem."""
        if len(self._queue) >= self._max_waiting:
            if not self._queue:
                raise self._shed()
            self._answer(self._queue[0], False)
        loop = asyncio.get_running_loop()
        place: asyncio.Future[bool] = loop.create_future()
        self._queue.append(place)
        timer = loop.call_later(self._max_wait_s, self._answer, place, False)
        try:
            if not await place:
                raise self._shed()
        except asyncio.CancelledError:
            if not place.cancelled() and place.result():
                self._leave()  # it had been given a place, and does not come for it
            raise
        finally:
            timer.cancel()
            if place in self._queue:
                self._queue.remove(place)

    def _leave(self) -> None:
        """Hands the place on to the newest, or frees it."""
        while self._queue:
            if self._answer(self._queue[-1], True):
                return
        self.running -= 1

    def _answer(self, place: "asyncio.Future[bool]", granted: bool) -> bool:
        """Ends one wait; False where its request was cancelled meanwhile."""
        self._queue.remove(place)
        if place.done():
            return False
        place.set_result(granted)
        return True

    def _shed(self) -> Problem:
        self.shed += 1
        return Problem(
            503,
            "There are too many requests at the moment. Please try again shortly.",
            code="overloaded",
            headers={"Retry-After": "1"},
        )
