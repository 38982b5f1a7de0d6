"""One issuer's keys: fetched, cached, rotated.

Task: T-007 · Spec: plan.md#key-set
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Self

import httpx

from todo_auth.errors import KeysUnavailable, KeyUnknown
from todo_auth.jwk import Jwk, SigningKey, distinct_members, read_key_set
from todo_auth.key_document import KeyDocument, download, read_file
from todo_auth.key_export import SeedRefused, read_export, write_export
from todo_auth.key_ring import KeyRing

_log = logging.getLogger(__name__)

MIN_REFRESH_S = 30


@dataclass(frozen=True, slots=True)
class KeySetState:
    """A key set at one moment, for metrics. `keys`: how many serve. `age_s`: since they were had, None
    before. `fetches` and `failures`: begun and failed so far. `last_error`: of the last fetch, None if it
    went well; for logs, it may name hosts. `waiting`: requests that wait for a key now.
    """

    keys: int
    is_usable: bool
    age_s: float | None
    fetches: int
    failures: int
    last_error: str | None
    waiting: int


class KeySet:
    """The keys at one address, so kept that requests do not wait for the issuer.

    `url`: of a key set (RFC 7517 §5), `http:`, `https:` or `file:`. `refresh_s`: keys are fetched again
    in the background at this age (with up to a tenth less, so that many processes spread out), which is
    also how soon a withdrawn key is noticed; the issuer's `Cache-Control: max-age` makes it sooner, never
    under 30 s. `max_stale_s`: for how long known keys are believed while the issuer does not answer.
    `retry_s`: at most one fetch begins in this time, however many tokens name keys that are not known.
    `timeout_s`: of one fetch, altogether. `max_waiting`: how many requests may wait for an unknown key at
    once. `now` measures time, `wall` (seconds since the epoch) dates what is exported.

    Belongs to one event loop at a time; in another one it fetches with a client of that loop.
    """

    def __init__(
        self,
        url: str,
        *,
        client: httpx.AsyncClient | None = None,
        refresh_s: float = 240,
        max_stale_s: float = 24 * 3600,
        retry_s: float = 1,
        timeout_s: float = 3,
        max_waiting: int = 1000,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.url = url
        self._given_client = client
        self._own_client: httpx.AsyncClient | None = None
        self._refresh_s = refresh_s
        self._max_stale_s = max_stale_s
        self._retry_s = retry_s
        self._timeout_s = timeout_s
        self._max_waiting = max_waiting
        self._now = now
        self._wall = wall
        self._sleep = sleep
        self._is_fixed = False
        self._ring = KeyRing()
        self._fetched_at: float | None = None
        self._stale_at = -math.inf
        self._due_at = -math.inf
        self._tried_at: float | None = None
        self._max_age_s: float | None = None
        self._fetches = 0
        self._failures = 0
        self._failures_in_a_row = 0
        self._last_error: str | None = None
        self._waiting = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._current: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def of(cls, jwks: Mapping[str, object] | Sequence[Jwk]) -> Self:
        """The keys of a JWK Set or a list of JWKs, for good: nothing is ever fetched. Raises ValueError where
        none of them can be used.
        """
        document = dict(jwks) if isinstance(jwks, Mapping) else {"keys": list(jwks)}
        keys = cls("")
        keys._is_fixed = True
        keys._ring.replace(distinct_members(document))
        if not keys._ring:
            raise ValueError("no key of the set can be used")
        keys._fetched_at, keys._stale_at, keys._due_at = keys._now(), math.inf, math.inf
        return keys

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Self:
        """The key set in a file, for use without a network. The file is read again as an issuer is asked
        again: every few minutes, and when a token names a key that is not known.
        """
        return cls(Path(path).absolute().as_uri())

    @property
    def age_s(self) -> float | None:
        """Seconds since the keys were last had; None before the first time."""
        return None if self._fetched_at is None else self._now() - self._fetched_at

    @property
    def is_usable(self) -> bool:
        """Whether the keys were had, and not too long ago."""
        return self._now() <= self._stale_at

    @property
    def is_due(self) -> bool:
        """Whether the keys should be fetched again, or for the first time."""
        return self._now() >= self._due_at

    @property
    def state(self) -> KeySetState:
        """How it stands, cheap enough for every scrape."""
        return KeySetState(
            len(self._ring),
            self.is_usable,
            self.age_s,
            self._fetches,
            self._failures,
            self._last_error,
            self._waiting,
        )

    def peek(self, key_id: str | None, algorithm: str) -> SigningKey | None:
        """The key for a token, if it is here now; without `kid` only where exactly one key fits. Begins
        nothing and may be called in any thread.
        """
        return self._ring.get(key_id, algorithm) if self._now() <= self._stale_at else None

    def known(self, key_id: str | None, algorithm: str) -> SigningKey | None:
        """What `peek` gives; begins a refresh in the background when it is due."""
        if self._now() >= self._due_at and self.is_usable:
            self._begin()
        return self.peek(key_id, algorithm)

    async def find(self, key_id: str | None, algorithm: str) -> SigningKey:
        """The key for a token, after a fetch that began later than this call if it is not known.

        Raises KeyUnknown when the set, so fetched, has none, and KeysUnavailable when it could not be fetched
        or too many wait already.
        """
        if (key := self.known(key_id, algorithm)) is not None:
            return key
        if not self._is_fixed:
            if self._waiting >= self._max_waiting:
                raise KeysUnavailable(f"{self._waiting} requests wait for an unknown key")
            self._waiting += 1
            try:
                await self._wait_for(key_id, algorithm)
            finally:
                self._waiting -= 1
            if (key := self.known(key_id, algorithm)) is not None:
                return key
        raise KeyUnknown(f"no key of the set fits kid and {algorithm}")

    async def start(self) -> None:
        """Has the keys before the first request: waits for a fetch, or only begins one if a seed has
        given keys that are believed. An issuer that does not answer is no error here.
        """
        if self._fetches or not self.is_usable:
            await self.refresh()
        elif not self._is_fixed:
            self._enter_loop()
            self._schedule()
            self.refresh_if_due()

    async def refresh(self) -> None:
        """Waits for a fetch that begins after this call, shared with everyone who waits for the same one. Its
        failure is kept and logged, not raised. Raises KeysUnavailable when the set is closed meanwhile.
        """
        if self._is_fixed:
            return
        self._enter_loop()
        if self._current is None and self._may_try():
            task = self._begin()
        elif self._next is not None:
            task = self._next
        else:
            task = self._next = asyncio.ensure_future(self._fetch_later())
        await _shared(task)

    def refresh_if_due(self) -> None:
        """Begins a fetch in the background if one is due. Call it in the event loop."""
        if self.is_due and not self._is_fixed:
            self._begin()

    def export(self) -> bytes | None:
        """The keys with their age, for another worker's `seed`: a JWK Set with the members `url` and
        `fetched_at` (seconds since the epoch) besides. None while there are none to believe.
        """
        age = self.age_s
        if age is None or not self.is_usable or self._is_fixed:
            return None
        return write_export(self.url, self._wall() - age, self._ring.members.values())

    def seed(self, document: bytes) -> None:
        """Takes over what another worker of the same configuration exported, as old as it is. It is checked
        like an issuer's answer, but whoever can write it decides who signs: take it from nowhere that is less
        trusted than the issuer. Raises SeedRefused when it is no export of this address, too old, from the
        future, or not newer than the keys that are here.
        """
        members, age = read_export(document, self.url, self._wall())
        if age > self._max_stale_s:
            raise SeedRefused("it is too old to be believed")
        if self.age_s is not None and self.age_s <= age:
            raise SeedRefused("the keys that are here are newer")
        self._ring.replace(members)
        self._fetched_at = self._now() - age
        self._stale_at = self._fetched_at + self._max_stale_s
        self._due_at = self._fetched_at + self._refresh_s

    async def aclose(self) -> None:
        """Ends what runs in the background, and the HTTP client if it was made here. Who waits gets
        KeysUnavailable.
        """
        self._enter_loop()
        tasks = [task for task in (self._current, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A task that is cancelled before its first step never comes to forget itself.
        self._current = self._next = None
        if self._timer is not None:
            self._timer.cancel()
        if self._own_client is not None:
            await self._own_client.aclose()
            self._own_client = None

    def _enter_loop(self) -> None:
        """Forgets what belongs to an event loop that is another one by now: it will never go on."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._current = self._next = self._timer = self._own_client = None

    def _may_try(self) -> bool:
        return self._tried_at is None or self._now() - self._tried_at >= self._retry_s

    async def _wait_for(self, key_id: str | None, algorithm: str) -> None:
        """Waits until the key is there, or was not in a set that was fetched after the call."""
        self._enter_loop()
        if self._current is not None:
            # It may have begun too early to see the key; but mostly it is the first fetch, and everybody's.
            await _shared(self._current)
            if self.peek(key_id, algorithm) is not None:
                return
        if self._failures_in_a_row and not self._may_try():
            raise KeysUnavailable("the issuer's keys could not be fetched a moment ago")
        await self.refresh()
        if self._failures_in_a_row and self.peek(key_id, algorithm) is None:
            raise KeysUnavailable("the issuer's keys could not be fetched")

    def _begin(self) -> asyncio.Task[None]:
        """The fetch that runs, begun if there is none."""
        self._enter_loop()
        if self._current is None:
            self._tried_at = self._now()
            # Not for ever, in case the event loop ends before the fetch does.
            self._due_at = self._tried_at + self._timeout_s + self._retry_s
            self._fetches += 1
            self._current = asyncio.ensure_future(self._fetch(self._tried_at))
        return self._current

    async def _fetch_later(self) -> None:
        """One fetch after the one that runs and after the interval; everybody who comes meanwhile waits for
        it.
        """
        if self._current is not None:
            await asyncio.shield(self._current)
        if self._tried_at is not None:
            await self._sleep(max(0.0, self._tried_at + self._retry_s - self._now()))
        self._next = None
        await asyncio.shield(self._begin())

    async def _fetch(self, begun_at: float) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                document = await self._document()
            self._ring.replace(read_key_set(document.body))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, RuntimeError, ValueError) as error:
            self._failures += 1
            self._failures_in_a_row += 1
            self._last_error = f"{type(error).__name__}: {error}"[:200]
            _log.warning("the issuer's keys could not be fetched (%s)", self._last_error)
        else:
            self._failures_in_a_row = 0
            self._last_error = None
            self._max_age_s = document.max_age_s
            self._fetched_at = begun_at
            self._stale_at = begun_at + self._max_stale_s
        finally:
            self._current = None
        # Not where it was cancelled: the set is closed, or its event loop ends.
        self._schedule()

    def _schedule(self) -> None:
        """The next refresh in the background: at its age, or sooner and sooner less often while the issuer
        fails.
        """
        if self._timer is not None:
            self._timer.cancel()
        delay = self._refresh_s
        if self._failures_in_a_row:
            delay = min(delay, self._retry_s * 2.0 ** min(self._failures_in_a_row, 16))
        elif self._max_age_s is not None:
            delay = min(delay, max(MIN_REFRESH_S, self._max_age_s))
        delay *= random.uniform(0.9, 1.0)
        if not self._failures_in_a_row and self._fetched_at is not None:
            delay = max(0.0, delay - (self._now() - self._fetched_at))
        self._due_at = self._now() + delay
        self._timer = asyncio.get_running_loop().call_later(delay, self._begin)

    async def _document(self) -> KeyDocument:
        if self.url.startswith("file:"):
            return await read_file(self.url)
        client = self._given_client or self._own_client
        if client is None:
            # A connection that is kept would be idle until long after its server has closed it.
            limits = httpx.Limits(max_keepalive_connections=0)
            client = self._own_client = httpx.AsyncClient(timeout=self._timeout_s, limits=limits)
        return await download(client, self.url)


async def _shared(task: asyncio.Task[None]) -> None:
    """Waits for a fetch that belongs to all who wait. Raises KeysUnavailable where it was ended by
    `aclose`.
    """
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        waiter = asyncio.current_task()
        if task.cancelled() and (waiter is None or not waiter.cancelling()):
            raise KeysUnavailable("the key set was closed") from None
        raise
