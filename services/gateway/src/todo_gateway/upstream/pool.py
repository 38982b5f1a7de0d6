"""Keep-alive connections to one upstream address: a bounded number, shared in the order of asking.

Task: T-025 · Spec: plan.md#upstream-client
"""

import asyncio
import math
import random
import ssl
from urllib.parse import urlsplit

from todo_service.turns import Turns

from todo_gateway.upstream.dial import dial
from todo_gateway.upstream.errors import (
    Disconnected,
    LocalProtocolError,
    PoolClosed,
    PoolTimeout,
    UpstreamError,
)
from todo_gateway.upstream.http1 import Body, Connection, Limits
from todo_gateway.upstream.request import Headers, encode_head
from todo_gateway.upstream.response import Response
from todo_gateway.upstream.retries import is_repeatable


class Pool:
    """Connections to one `origin` (`http://host:port` or `https://…`), made when needed and kept for reuse.

    At most `max_connections` are open; further requests wait their turn, first come first served. Limits
    in seconds: `connect_timeout_s` for a connection (name resolution and TLS included), `pool_timeout_s`
    for a turn, `write_timeout_s` for the upstream to take more of the request, `head_timeout_s` from the
    end of the request to the head of the answer and to all of a short one, `read_timeout_s` for the next
    byte. The time that a caller takes to produce a body or to read one is never counted. An idle
    connection is closed after `keepalive_s`: keep it under the upstream's own limit (uvicorn's is 5 s),
    or requests meet connections that are just being closed. One that has lived for `lifetime_s` (give or
    take a tenth) is closed behind its answer, so that whoever is new behind the same name gets a share.
    `max_head_bytes` bounds the names and values of an answer's headers. `tls` replaces the default
    context of an https origin.

    Belongs to one event loop. Raises `ValueError` for an origin that is none.
    """

    def __init__(
        self,
        origin: str,
        *,
        max_connections: int = 100,
        connect_timeout_s: float = 5.0,
        pool_timeout_s: float = 5.0,
        write_timeout_s: float = 30.0,
        head_timeout_s: float = 30.0,
        read_timeout_s: float = 30.0,
        keepalive_s: float = 4.0,
        lifetime_s: float = 300.0,
        max_head_bytes: int = 32 * 1024,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise ValueError("an origin is http://host:port or https://host:port")
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("an origin has no path")
        if max_connections < 1:
            raise ValueError("a pool needs at least one connection")
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self._address = (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        self._host = parts.netloc.encode("ascii")
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._limits = Limits(head_timeout_s, read_timeout_s, write_timeout_s, max_head_bytes)
        self._connect_timeout_s = connect_timeout_s
        self._pool_timeout_s = pool_timeout_s
        self._keepalive_s = keepalive_s
        self._lifetime_s = lifetime_s
        self._max_connections = max_connections
        self._free_slots = max_connections  # a connection has one, from before it is made until it is closed
        self._idle: dict[Connection, float] = {}  # and the loop's time at which it expires; the oldest first
        self._turns: Turns[Connection | None] = Turns(self._pass_on)  # None: a free slot
        self._open: dict[Connection, float] = {}  # and the loop's time at which it has lived
        self._connecting = 0
        self._reaper: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._quiet = asyncio.Event()  # closed, and nothing left open

    @property
    def outstanding(self) -> int:
        """How many requests are under way: answers that are being read, and those waiting for a turn,
        included.
        """
        return self._max_connections - self._free_slots - len(self._idle) + len(self._turns)

    async def request(
        self,
        method: bytes,
        target: bytes,
        headers: Headers = (),
        body: Body | None = None,
        *,
        length: int | None = None,
        timeout_s: float | None = None,
    ) -> Response:
        """Send a request and return its answer, as soon as it is whole or too long to wait for.

        `Host`, `Content-Length` and `Transfer-Encoding` are made here; `headers` must be end-to-end. A `body`
        that is an iterator is sent chunked, or as `length` bytes where that is known. On a reused connection
        that turns out to have been closed, the request is sent once more on a new one if nothing of an answer
        came, the request is repeatable (`is_repeatable`) and the body is no iterator; otherwise never.
        `timeout_s` bounds the time until there is an answer to return, beside the pool's own limits.

        Raises the errors of `todo_gateway.upstream.errors`, and what the body's iterator raises.
        """
        replayable = body is None or isinstance(body, bytes)
        if isinstance(body, bytes):
            length = len(body)
        elif length is not None and length < 0:
            raise LocalProtocolError("a length is not negative")
        chunked = body is not None and length is None
        head = encode_head(
            method, target, self._host, headers, length if body is not None else None, chunked=chunked
        )
        content = b"" if body is None else body
        without_body = method == b"HEAD"

        give_up_at = math.inf if timeout_s is None else asyncio.get_running_loop().time() + timeout_s
        connection = await self._acquire(give_up_at)
        try:
            try:
                answer = await connection.exchange(
                    head, content, length, without_body=without_body, head_timeout_s=self._head_s(give_up_at)
                )
            except Disconnected as error:
                repeatable = connection.is_reused and replayable and is_repeatable(method, headers)
                if error.sent and not (repeatable and not connection.answer.has_begun):
                    raise
                try:
                    connection = await self._connect(give_up_at)
                    answer = await connection.exchange(
                        head,
                        content,
                        length,
                        without_body=without_body,
                        head_timeout_s=self._head_s(give_up_at),
                    )
                except UpstreamError as second:
                    second.sent = second.sent or error.sent
                    raise
        except BaseException:
            self._pass_on(None)
            raise
        return Response(answer, connection, self._release, self.origin)

    async def aclose(self, grace_s: float = 0.0) -> None:
        """Close: new and waiting requests fail at once, running ones have `grace_s` seconds and are then cut.

        Returns when every connection is closed; a connection attempt under way may take its own time limit.
        """
        self._is_closed = True
        self._turns.end(lambda: PoolClosed("the pool is closed"))
        if self._reaper is not None:
            self._reaper.cancel()
        for connection in tuple(self._idle):
            connection.close()
        self._note_quiet()
        try:
            async with asyncio.timeout(grace_s):
                await self._quiet.wait()
        except TimeoutError:
            for connection in tuple(self._open):
                connection.close()
            await self._quiet.wait()

    def _head_s(self, give_up_at: float) -> float:
        return min(self._limits.head_timeout_s, give_up_at - asyncio.get_running_loop().time())

    async def _acquire(self, give_up_at: float) -> Connection:
        """Take a slot, with the connection in it."""
        if self._is_closed:
            raise PoolClosed("the pool is closed")
        connection: Connection | None = None
        if self._idle:
            connection, expires_at = self._idle.popitem()  # the most recently used
            if expires_at <= asyncio.get_running_loop().time():
                connection.close()
        elif self._free_slots:
            self._free_slots -= 1
        else:
            connection = await self._wait_for_turn(give_up_at)
        if connection is not None and not connection.is_stale():
            return connection
        try:
            if connection is not None:
                connection.close()
            return await self._connect(give_up_at)
        except BaseException:
            self._pass_on(None)
            raise

    async def _wait_for_turn(self, give_up_at: float) -> Connection | None:
        by = min(give_up_at, asyncio.get_running_loop().time() + self._pool_timeout_s)
        try:
            async with asyncio.timeout_at(by):
                return await self._turns.wait()
        except TimeoutError:
            raise PoolTimeout("every connection to the upstream stayed busy") from None

    async def _connect(self, give_up_at: float) -> Connection:
        """Make the connection of a slot that is held."""
        self._connecting += 1
        try:
            connection = await dial(
                lambda: Connection(self._limits, self._on_lost),
                *self._address,
                tls=self._tls,
                timeout_s=min(self._connect_timeout_s, give_up_at - asyncio.get_running_loop().time()),
            )
            if not connection.is_lost:
                lifetime_s = self._lifetime_s * random.uniform(0.9, 1.1)
                self._open[connection] = asyncio.get_running_loop().time() + lifetime_s
        finally:
            self._connecting -= 1
            self._note_quiet()
        if self._is_closed:
            connection.close()
            raise PoolClosed("the pool is closed")
        return connection

    def _release(self, connection: Connection) -> None:
        if not connection.settle():
            self._pass_on(None)
        elif self._open.get(connection, 0.0) > asyncio.get_running_loop().time():
            self._pass_on(connection)
        else:
            connection.close()
            self._pass_on(None)

    def _pass_on(self, connection: Connection | None) -> None:
        """Give a slot, and the connection in it, to whoever has waited longest; keep it if nobody does."""
        if connection is not None and self._is_closed:
            connection.close()
            connection = None
        if self._turns.give(connection):
            return
        if connection is None:
            self._free_slots += 1
        else:
            loop = asyncio.get_running_loop()
            expires_at = self._idle[connection] = loop.time() + self._keepalive_s
            if self._reaper is None:
                self._reaper = loop.call_at(expires_at, self._reap)

    def _reap(self) -> None:
        """Close what has been idle for too long, and look again when the next one will have been."""
        self._reaper = None
        loop = asyncio.get_running_loop()
        for connection, expires_at in tuple(self._idle.items()):
            if expires_at > loop.time():
                self._reaper = loop.call_at(expires_at, self._reap)
                return
            connection.close()

    def _on_lost(self, connection: Connection) -> None:
        self._open.pop(connection, None)
        if self._idle.pop(connection, None) is not None:
            self._pass_on(None)
        self._note_quiet()

    def _note_quiet(self) -> None:
        if self._is_closed and not self._open and not self._connecting:
            self._quiet.set()
