"""The circuit breaker of one upstream address.

Task: T-043 · Spec: plan.md#balance
"""

import time
from collections.abc import Callable
from typing import Literal

BreakerState = Literal["closed", "open", "half-open"]


class Breaker:
    """Says whether an address may be asked.

    Closed while it answers. `threshold` failures in a row open it for `open_s` seconds; then it is half-open:
    one trial at a time (`admit`), whose success closes it and whose failure opens it for twice as long as
    before, up to `max_open_s`. What was already under way when it opened says nothing any more.
    """

    __slots__ = (
        "is_closed",
        "failures",
        "openings",
        "_threshold",
        "_open_s",
        "_max_open_s",
        "_clock",
        "_next_open_s",
        "_retry_at",
        "_is_on_trial",
    )

    def __init__(
        self,
        *,
        threshold: int = 5,
        open_s: float = 1.0,
        max_open_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_closed = True
        self.failures = 0  # in a row
        self.openings = 0  # since the start
        self._threshold = threshold
        self._open_s = self._next_open_s = open_s
        self._max_open_s = max_open_s
        self._clock = clock
        self._retry_at = 0.0
        self._is_on_trial = False

    @property
    def state(self) -> BreakerState:
        """How it stands: half-open from the moment a trial is allowed until one has ended."""
        if self.is_closed:
            return "closed"
        return "open" if self.retry_after_s else "half-open"

    @property
    def retry_after_s(self) -> float:
        """Seconds until a trial is allowed."""
        return 0.0 if self.is_closed else max(0.0, self._retry_at - self._clock())

    def admit(self) -> bool:
        """Take the trial of a half-open breaker; False when it is not due or is taken. Its end must be told
        to `succeed`, `readmit`, `fail` or `abandon`.
        """
        if self.is_closed or self._is_on_trial or self.retry_after_s:
            return False
        self._is_on_trial = True
        return True

    def succeed(self, *, is_trial: bool = False) -> None:
        """Note an answer."""
        if self.failures and (self.is_closed or is_trial):
            self.is_closed = True
            self._is_on_trial = False
            self.failures = 0
            self._next_open_s = self._open_s

    def readmit(self) -> None:
        """Close after a trial that was no real request: one failure opens it again, and for longer."""
        self.is_closed = True
        self._is_on_trial = False
        self.failures = max(self._threshold - 1, 1)

    def fail(self, *, is_trial: bool = False) -> bool:
        """Note a failure; return whether it opened the breaker."""
        if not (self.is_closed or is_trial):
            return False
        self.failures += 1
        if self.failures < self._threshold:
            return False
        self.is_closed = False
        self._is_on_trial = False
        self.openings += 1
        self._retry_at = self._clock() + self._next_open_s
        self._next_open_s = min(2 * self._next_open_s, self._max_open_s)
        return True

    def abandon(self) -> None:
        """Note that a trial ended without saying anything about the address."""
        self._is_on_trial = False
