"""Quotas that several gateways share through Redis, without a request ever waiting for it.

Each gateway counts by itself and, a few times a second, tells Redis what it counted and hears the sum of all.
A quota can be overrun by what the others let through between two such rounds, and by no more.

Task: T-040 · Spec: plan.md#limits
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from limits.aio.storage import RedisStorage
from redis.asyncio import BlockingConnectionPool
from redis.exceptions import RedisError

from todo_gateway.quotas import Quota

ROUND_S = 0.2
"""Seconds between two rounds."""

_TIMEOUT_S = 1.0  # of a round: slower is away
_LONGEST_PAUSE_S = 10.0
_AT_ONCE = 32  # questions under way together
_WARN_EVERY_S = 60.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class SharingState:
    """What `Sharing` has seen: rounds that failed, and whether the last one did."""

    failures: int = 0
    is_away: bool = False


class Sharing:
    """Keeps `quotas` in step with Redis at `url`. Enter it within an event loop.

    While Redis is away the quotas are open: requests pass. That is counted in `state`, logged once a minute,
    and tried again after a pause that grows to 10 s.
    """

    def __init__(
        self,
        url: str,
        quotas: Sequence[Quota],
        *,
        timeout_s: float = _TIMEOUT_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = SharingState()
        self._url = url
        self._quotas = quotas
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._now = now
        self._warned_at = -_WARN_EVERY_S
        self._is_ending = False
        for quota in quotas:
            quota.changed = set()
        self._open(True)  # until Redis has answered

    async def __aenter__(self) -> "Sharing":
        # The URL is not repeated in an error: it may have a password in it.
        self._connections: BlockingConnectionPool = BlockingConnectionPool.from_url(
            self._url, max_connections=8, timeout=self._timeout_s, socket_connect_timeout=self._timeout_s
        )
        self._storage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix="todo-limits",
            connection_pool=self._connections,  # type: ignore[arg-type]  # documented, and typed too narrowly
        )
        self._running = asyncio.ensure_future(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_ending = True
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self._connections.disconnect()

    async def _run(self) -> None:
        pause_s = ROUND_S
        # A round whose questions fail as it is cancelled raises their errors, and the cancellation is lost.
        while not self._is_ending:
            await self._sleep(pause_s)
            pause_s = ROUND_S if await self.exchange() else min(pause_s * 2, _LONGEST_PAUSE_S)

    async def exchange(self) -> bool:
        """One round: tells Redis what was counted here, and takes its sums over. Returns whether all went
        well.
        """
        answered = True
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._is_open and not await self._storage.check():
                    raise ConnectionError
                while batch := self._batch():
                    async with asyncio.TaskGroup() as group:
                        for quota, subject in batch:
                            group.create_task(self._exchange_one(quota, subject))
        except* (RedisError, OSError, TimeoutError) as errors:
            answered = False
            self._note_failure(errors.exceptions[0])
        self._open(not answered)
        if answered and self.state.is_away:
            self.state.is_away = False
            _log.info("rate limits: Redis is back")
        return answered

    def _open(self, is_open: bool) -> None:
        self._is_open = is_open
        for quota in self._quotas:
            quota.is_open = is_open

    def _batch(self) -> list[tuple[Quota, str]]:
        """What is asked together, no longer noted as changed."""
        batch: list[tuple[Quota, str]] = []
        for quota in self._quotas:
            while quota.changed and len(batch) < _AT_ONCE:
                batch.append((quota, quota.changed.pop()))
        return batch

    async def _exchange_one(self, quota: Quota, subject: str) -> None:
        slot = quota.known(subject)
        if slot is None:
            return  # forgotten meanwhile
        index, sent, slot.unsent = slot.index, slot.unsent, 0
        lasts_s = 2 * quota.window_s
        try:
            if slot.is_new:
                # The others may have counted it in the window before, when it did not come here.
                before = await self._storage.get(quota.key(subject, index - 1))
                if slot.index == index:
                    slot.previous, slot.is_new = max(slot.previous, before), False
            total = await self._storage.incr(quota.key(subject, index), lasts_s, sent)
        except BaseException:
            if slot.index == index and quota.changed is not None:
                slot.unsent += sent
                quota.changed.add(subject)
            raise
        if slot.index == index:
            slot.current = total + slot.unsent
        elif slot.index == index + 1:
            slot.previous = total

    def _note_failure(self, error: BaseException) -> None:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self.state.failures += 1
        self.state.is_away = True
        if self._now() - self._warned_at >= _WARN_EVERY_S:
            self._warned_at = self._now()
            # The kind alone: the text of a connection's error has its address in it.
            _log.warning(
                "rate limits: Redis does not answer (%s); nobody is refused meanwhile",
                type(error).__name__,
            )
