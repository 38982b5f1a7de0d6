"""Which requests may be sent twice, and how often that may happen.

Task: T-043 · Spec: plan.md#balance
"""

import time
from collections.abc import Callable

from todo_gateway.upstream.request import Headers

IDEMPOTENT_METHODS = frozenset({b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PUT", b"TRACE"})
"""Methods that may be sent twice with the effect of once (RFC 9110 §9.2.2)."""

SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})
"""Methods that only read (RFC 9110 §9.2.1)."""


def is_repeatable(method: bytes, headers: Headers, *, idempotency_keys: bool = False) -> bool:
    """Say whether a request that may have arrived may be sent again (RFC 9110 §9.2.2).

    One that changes something under `If-Match` may not: had the first one been carried out, the second would
    be told 412, and its sender that nothing happened. `idempotency_keys`: the service honours
    `Idempotency-Key` on POST (draft-ietf-httpapi-idempotency-key-header).
    """
    if method in SAFE_METHODS:
        return True
    names = {name.lower() for name, _ in headers}
    if method in IDEMPOTENT_METHODS:
        return names.isdisjoint((b"if-match", b"if-unmodified-since"))
    return idempotency_keys and method == b"POST" and b"idempotency-key" in names


class RetryBudget:
    """How many requests may be sent again: a share of all requests, and a few a second where those are few.

    A token bucket, full at first. Every request earns `share` of a token and every second `per_second`; a
    retry spends one. So an upstream that fails altogether is asked 1 + `share` times as often, not twice.
    """

    __slots__ = ("_share", "_per_second", "_burst", "_clock", "_tokens", "_filled_at")

    def __init__(
        self,
        share: float = 0.2,
        *,
        per_second: float = 5,
        burst: float = 100,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._share = share
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._filled_at = clock()

    def earn(self) -> None:
        """Note a request that is sent for the first time."""
        if self._tokens < self._burst:
            self._tokens += self._share

    def spend(self) -> bool:
        """Take the token of one retry; False when there is none."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
