"""One time limit that is set and lifted for every wait of a connection, at next to no cost.

Task: T-015 · Spec: plan.md#service-settings
"""

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls `on_expired` once a limit has passed that was not lifted.

    Lifting or moving a limit leaves the timer alone: it may fire early, and then looks again. Arming one for
    every request would cost more than all the rest of the waiting.
    """

    __slots__ = ("_loop", "_on_expired", "_at", "_timer", "_fires_at")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_expired: Callable[[], None]) -> None:
        self._loop = loop
        self._on_expired = on_expired
        self._at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = 0.0  # uvloop's handle of a timer that is due has no `when`

    @property
    def is_set(self) -> bool:
        """Whether there is a limit at present."""
        return self._at is not None

    def set(self, timeout_s: float) -> float:
        """Allow `timeout_s` seconds from now, in place of any earlier limit; return the loop's time then."""
        at = self._at = self._loop.time() + timeout_s
        if self._timer is None or self._fires_at > at:
            self._arm(at)
        return at

    def lift(self) -> None:
        """Allow any time."""
        self._at = None

    def close(self) -> None:
        """Lift the limit and leave no timer behind."""
        self._at = None
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._on_timer)
        self._fires_at = at

    def _on_timer(self) -> None:
        self._timer = None
        if self._at is None:
            return
        if self._loop.time() < self._at:
            self._arm(self._at)
        else:
            self._at = None
            self._on_expired()
