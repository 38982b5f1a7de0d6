"""How long to wait for a database that cannot be reached: a serverless compute that wakes up refuses its
first connections, or takes seconds for them.

Task: T-019 · Spec: plan.md#connections
"""

import random
import time
from collections.abc import Callable

FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 1.0


class Patience:
    """The waits between tries to connect, for all requests together; safe among threads.

    From the first failure on, tries are repeated for `seconds`. Once that has passed without a connection the
    database is down, not waking up, and every request is told at once; until a try succeeds, or nobody has
    tried for as long.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._failing_since: float | None = None
        self._failed_at = 0.0

    def connected(self) -> None:
        """A connection was made: the next failure begins afresh."""
        self._failing_since = None

    def wait_s(self, tries: int) -> float | None:
        """How long to wait after the failure of a request's try number `tries`; None: not again."""
        now = self._clock()
        if self._failing_since is None or now - self._failed_at > self._seconds:
            self._failing_since = now
        self._failed_at = now
        # Spread, so that those who wait do not come all at once.
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (tries - 1)) * random.uniform(0.5, 1.0)
        return wait if now + wait - self._failing_since < self._seconds else None
