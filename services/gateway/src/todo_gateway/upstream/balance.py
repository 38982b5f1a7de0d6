"""Several addresses of one upstream: which is asked, which is left alone for a while, what is asked again.

Task: T-043 · Spec: plan.md#balance
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from todo_gateway.upstream.breaker import Breaker, BreakerState
from todo_gateway.upstream.errors import (
    ConnectFailed,
    ConnectTimeout,
    Disconnected,
    PoolTimeout,
    ProtocolError,
    ReadTimeout,
    Unavailable,
    UpstreamError,
    WriteTimeout,
)
from todo_gateway.upstream.http1 import Body
from todo_gateway.upstream.pool import Pool
from todo_gateway.upstream.request import Headers
from todo_gateway.upstream.response import Response
from todo_gateway.upstream.retries import SAFE_METHODS, RetryBudget, is_repeatable

MOST_TRIES = 3

# What an address is to blame for; the other errors are about this side.
_FAULTS = (ConnectFailed, ConnectTimeout, Disconnected, ProtocolError, ReadTimeout, WriteTimeout)
_REPEATED = (*_FAULTS, PoolTimeout)
_AWAY = frozenset({502, 503, 504})  # a proxy or a service that says that it cannot serve
_READY_FOR_S = 1.0  # that long one look at readiness is good for everybody who asks
_PROBE_TIMEOUT_S = 2.0
_LEAVING_S = 2.0  # that long an address is avoided that ends its connections: it may be about to go

_log = logging.getLogger(__name__)

OnTry = Callable[[str, str, float], None]
"""Told of every try: the address, `2xx` and so on or the error's class name or `cancelled`, and seconds."""


@dataclass(frozen=True, slots=True)
class AddressState:
    """How one address stands. `failures`: in a row. `openings`: of its breaker, since the start."""

    origin: str
    outstanding: int
    breaker: BreakerState
    failures: int
    openings: int


@dataclass(eq=False, slots=True)
class _Address:
    pool: Pool
    breaker: Breaker
    leaves_until: float = -math.inf
    probe: asyncio.TimerHandle | None = None


class Balance:
    """One upstream behind the addresses of `pools`; to its callers it is a pool.

    The address with the fewest requests under way is taken, equal ones in turns; where there is another, none
    that ended the connection behind its latest answer, as a server does that drains: a write that reaches it
    at its very end would be lost. `threshold` failures in a row put an address out (`Breaker`); `health_path`
    is asked of it then, every 1 to 5 seconds, until it answers below 500. Without such a path, and where no
    other address is left, single requests are the trials. An answer of 502, 503 or 504 counts as a failure
    only while another address is in: the last one goes out for what it does not answer at all. While all are
    out, requests fail at once with `Unavailable`.

    A request whose answer has not begun is sent to another address, up to `MOST_TRIES` in all and within
    `budget`: always when it was not sent, else where it is repeatable (`retries.is_repeatable`) and its body
    is no iterator. A 502 or 503 is asked again for safe methods. Where another try could follow, one gets
    `try_timeout_s` seconds, and the last what is left of `timeout_s`; both bound the time until an answer
    begins, or is whole where it is short. Body iterators have the pools' limits only, which do not count the
    time that the client takes.

    `idempotency_keys`: the service honours `Idempotency-Key`, so that a POST with one is repeatable.
    Belongs to one event loop. Raises `ValueError` without pools.
    """

    def __init__(
        self,
        pools: Sequence[Pool],
        *,
        timeout_s: float = 30.0,
        try_timeout_s: float = 10.0,
        health_path: bytes | None = b"/readyz",
        idempotency_keys: bool = False,
        threshold: int = 5,
        open_s: float = 1.0,
        max_open_s: float = 5.0,
        budget: RetryBudget | None = None,
        on_try: OnTry | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not pools:
            raise ValueError("an upstream has at least one address")
        self._addresses = [
            _Address(pool, Breaker(threshold=threshold, open_s=open_s, max_open_s=max_open_s, clock=clock))
            for pool in pools
        ]
        self._timeout_s = timeout_s
        self._try_timeout_s = min(try_timeout_s, timeout_s)
        self._health_path = health_path
        self._idempotency_keys = idempotency_keys
        self._budget = budget or RetryBudget()
        self._on_try = on_try
        self._clock = clock
        self._turn = 0
        self._probes: set[asyncio.Task[None]] = set()
        self._readiness: tuple[float, asyncio.Task[bool]] | None = None
        self._is_closed = False
        self.retries = 0

    @property
    def origin(self) -> str:
        """The first address: the name by which httpx knows the whole."""
        return self._addresses[0].pool.origin

    async def request(
        self,
        method: bytes,
        target: bytes,
        headers: Headers = (),
        body: Body | None = None,
        *,
        length: int | None = None,
    ) -> Response:
        """Send a request and return its answer, as `Pool.request` does.

        Raises `Unavailable` and the errors of the pools: the last try's, `sent` when any may have arrived. An
        answer of 502 or 503 is returned where asking again brought nothing better.
        """
        self._budget.earn()
        replayable = body is None or isinstance(body, bytes)
        repeatable = (
            len(self._addresses) > 1
            and replayable
            and is_repeatable(method, headers, idempotency_keys=self._idempotency_keys)
        )
        give_up_at = self._clock() + self._timeout_s
        tried: list[_Address] = []
        away: Response | None = None
        failure: UpstreamError | None = None
        while address := self._choose(tried):
            tried.append(address)
            timeout_s = give_up_at - self._clock()
            if repeatable and self._has_other(tried):
                timeout_s = min(timeout_s, self._try_timeout_s)
            try:
                response = await self._try(
                    address, method, target, headers, body, length, timeout_s if replayable else None
                )
            except UpstreamError as error:
                error.sent = error.sent or (failure is not None and failure.sent)
                failure = error
                may_follow = isinstance(error, _REPEATED) and (repeatable or not error.sent)
            else:
                if response.status not in (502, 503) or response.body is None:
                    return response
                away = response
                may_follow = method in SAFE_METHODS and replayable
            if not (
                may_follow and self._has_other(tried) and self._clock() < give_up_at and self._budget.spend()
            ):
                break
            self.retries += 1
        if away is not None:
            return away
        if failure is not None:
            raise failure
        retry_after_s = min([address.breaker.retry_after_s for address in self._addresses])
        raise Unavailable(
            "no address of the upstream may be asked at the moment", retry_after_s=retry_after_s
        )

    async def is_ready(self) -> bool:
        """Say whether one address at least answers `health_path` (`/readyz` without one) with 200. Asked at
        most once a second.
        """
        now = self._clock()
        if self._readiness is None or self._readiness[1].done() and now >= self._readiness[0]:
            looking = asyncio.create_task(self._any_ready(self._health_path or b"/readyz"))
            self._readiness = (now + _READY_FOR_S, looking)
        return await asyncio.shield(self._readiness[1])

    def state(self) -> tuple[AddressState, ...]:
        """How each address stands at this moment."""
        return tuple(
            AddressState(
                address.pool.origin,
                address.pool.outstanding,
                address.breaker.state,
                address.breaker.failures,
                address.breaker.openings,
            )
            for address in self._addresses
        )

    async def aclose(self, grace_s: float = 0.0) -> None:
        """Close every pool (`Pool.aclose`) and stop probing."""
        self._is_closed = True
        for address in self._addresses:
            if address.probe is not None:
                address.probe.cancel()
        running = [*self._probes, *([self._readiness[1]] if self._readiness else [])]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.gather(*[address.pool.aclose(grace_s) for address in self._addresses])

    def _choose(self, tried: Sequence[_Address]) -> _Address | None:
        """Pick the address for the next try: one that is in, else one whose trial is due, else none."""
        addresses = self._addresses
        if len(addresses) == 1 and not tried and addresses[0].breaker.is_closed:
            return addresses[0]
        if not tried:
            self._turn = (self._turn + 1) % len(addresses)
        in_turn = [
            address for address in addresses[self._turn :] + addresses[: self._turn] if address not in tried
        ]
        closed = [address for address in in_turn if address.breaker.is_closed]
        if closed:
            now = self._clock()
            return min(closed, key=lambda address: (address.leaves_until > now, address.pool.outstanding))
        return next((address for address in in_turn if address.breaker.admit()), None)

    def _has_other(self, tried: Sequence[_Address]) -> bool:
        if len(tried) >= MOST_TRIES:
            return False
        return any(address.breaker.is_closed for address in self._addresses if address not in tried)

    async def _try(
        self,
        address: _Address,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: Body | None,
        length: int | None,
        timeout_s: float | None,
    ) -> Response:
        """Ask one address and note how it did. What is no upstream error (the client left, its body failed)
        says nothing about the address.
        """
        breaker = address.breaker
        is_trial = not breaker.is_closed
        began_at = self._clock()
        outcome = "cancelled"
        try:
            response = await address.pool.request(
                method, target, headers, body, length=length, timeout_s=timeout_s
            )
            outcome = f"{response.status // 100}xx"
            if response.body is not None:
                address.leaves_until = self._clock() + _LEAVING_S if response.closes else -math.inf
            if response.status in _AWAY and self._has_other([address]):
                self._fail(address, is_trial=is_trial)
            else:
                breaker.succeed(is_trial=is_trial)
            return response
        except UpstreamError as error:
            outcome = type(error).__name__
            if isinstance(error, _FAULTS):
                self._fail(address, is_trial=is_trial)
            elif is_trial:
                breaker.abandon()
            raise
        except BaseException:
            if is_trial:
                breaker.abandon()
            raise
        finally:
            if self._on_try is not None:
                self._on_try(address.pool.origin, outcome, self._clock() - began_at)

    def _fail(self, address: _Address, *, is_trial: bool) -> None:
        if address.breaker.fail(is_trial=is_trial):
            if not is_trial:
                _log.warning("upstream: %s failed and is left alone for a while", address.pool.origin)
            self._probe_later(address, address.breaker.retry_after_s)

    def _probe_later(self, address: _Address, wait_s: float) -> None:
        if self._health_path is None or self._is_closed:
            return
        if address.probe is not None:
            address.probe.cancel()
        address.probe = asyncio.get_running_loop().call_later(wait_s, self._start_probe, address)

    def _start_probe(self, address: _Address) -> None:
        address.probe = None
        probe = asyncio.create_task(self._probe(address))
        self._probes.add(probe)
        probe.add_done_callback(self._probes.discard)

    async def _probe(self, address: _Address) -> None:
        """Ask an address that is out whether it is back, and again later where it is not."""
        breaker = address.breaker
        if breaker.is_closed:
            return
        if not breaker.admit():  # a request is the trial, and may fail yet
            self._probe_later(address, breaker.retry_after_s or _PROBE_TIMEOUT_S)
            return
        status = 0
        try:
            status = await self._ask(address, self._health_path or b"/")
        finally:
            if status and status < 500:
                breaker.readmit()
                _log.info("upstream: %s is back", address.pool.origin)
            else:
                self._fail(address, is_trial=True)

    async def _any_ready(self, path: bytes) -> bool:
        answers = await asyncio.gather(*[self._ask(address, path) for address in self._addresses])
        return 200 in answers

    async def _ask(self, address: _Address, path: bytes) -> int:
        """The status that an address answers to a GET; 0 where it does not answer."""
        try:
            response = await address.pool.request(b"GET", path, timeout_s=_PROBE_TIMEOUT_S)
        except UpstreamError:
            return 0
        await response.aclose()
        return response.status
