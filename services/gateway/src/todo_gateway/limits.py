"""Who asks too often waits: per address, per address for failed sign-ins, per user.

Task: T-040 · Spec: plan.md#limits
"""

import math
import time
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send
from todo_auth import Identity, InvalidRequest, InvalidToken
from todo_service.problems import Problem
from todo_service.requests import add_header

from todo_gateway.client_address import subject
from todo_gateway.quotas import Quota, Slot, policies

Subject = Callable[[Scope], str]
Refused = Callable[[str], None]
Standing = tuple[Quota, Slot, int]  # and how many requests are left


def address(scope: Scope) -> str:
    """The client's address, an IPv6 one by its network: a client has all of a /64."""
    return subject(scope["state"]["client"])


def user(scope: Scope) -> str:
    """The user; for behind `Authenticate`."""
    identity: Identity = scope["state"]["identity"]
    return identity.user_id


class RateLimits:
    """Pure ASGI middleware: lets a subject have so many requests, and tells it how many are left.

    `of`: whose requests they are. `announce`: whether every answer has `RateLimit-Policy` and `RateLimit`
    (draft-ietf-httpapi-ratelimit-headers-10 §3 and §4: `r` are left, the window ends in `t` seconds), or only
    a refusal. `exempt`: exact paths that are not limited. `refused`: told the quota's name at each refusal.
    A request counts against all quotas or against none.
    While a quota is open, all pass.
    """

    def __init__(
        self,
        app: ASGIApp,
        quotas: Sequence[Quota],
        of: Subject,
        *,
        announce: bool = False,
        exempt: frozenset[str] = frozenset(),
        refused: Refused | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.app = app
        self._quotas = tuple(quotas)
        self._of = of
        self._announce = announce
        self._exempt = exempt
        self._refused = refused
        self._now = now
        self._policies = policies(quotas)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Problem 429 with `Retry-After`."""
        if scope["type"] == "http" and self._quotas and scope["path"] not in self._exempt:
            self._count(scope)
        await self.app(scope, receive, send)

    def _count(self, scope: Scope) -> None:
        subject, now = self._of(scope), self._now()
        standing: list[Standing] = []
        is_open, fits = False, True
        for quota in self._quotas:
            slot = quota.slot(subject, now)
            left = quota.remaining(slot, now)
            is_open = quota.is_open
            fits = fits and (left > 0 or is_open)
            standing.append((quota, slot, left))
        if fits:
            for quota, slot, _ in standing:
                quota.count(subject, slot)
        if (self._announce and not is_open) or not fits:
            parts = [
                b"%b;r=%d;t=%d" % (quota.label, left - fits, quota.window_s - int(now % quota.window_s))
                for quota, _, left in standing
            ]
            add_header(scope, b"ratelimit-policy", self._policies)
            add_header(scope, b"ratelimit", b", ".join(parts))
        if not fits:
            exceeded = [(quota, slot) for quota, slot, left in standing if not left]
            if self._refused is not None:
                self._refused(exceeded[0][0].name)
            raise too_many(max(quota.wait_s(slot, now) for quota, slot in exceeded))


class FailureLimits:
    """Pure ASGI middleware before `Authenticate`: an address whose credentials were refused too often is
    answered 429 before they are looked at, so that the answer tells nothing of them.

    A request without credentials is no failure, and neither is an issuer that cannot be reached.
    """

    def __init__(
        self,
        app: ASGIApp,
        quotas: Sequence[Quota],
        *,
        refused: Refused | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.app = app
        self._quotas = tuple(quotas)
        self._refused = refused
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Problem 429 with `Retry-After`, and what the application raises."""
        if scope["type"] != "http" or not self._quotas:
            await self.app(scope, receive, send)
            return
        subject = address(scope)
        for quota in self._quotas:
            if quota.known(subject) is not None and not quota.is_open:
                self._check(quota, subject)
        try:
            await self.app(scope, receive, send)
        except (InvalidToken, InvalidRequest):
            now = self._now()
            for quota in self._quotas:
                quota.count(subject, quota.slot(subject, now))
            raise

    def _check(self, quota: Quota, subject: str) -> None:
        now = self._now()
        slot = quota.slot(subject, now)
        if not quota.remaining(slot, now):
            if self._refused is not None:
                self._refused(quota.name)
            raise too_many(quota.wait_s(slot, now))


def too_many(wait_s: float) -> Problem:
    """The answer to one request too many."""
    seconds = math.floor(wait_s) + 1
    return Problem(
        429,
        f"Too many requests. Please try again in {seconds} second{'' if seconds == 1 else 's'}.",
        headers={"Retry-After": str(seconds)},
    )
