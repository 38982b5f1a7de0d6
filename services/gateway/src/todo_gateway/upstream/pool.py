"""Keep-alive connections to one upstream address: a bounded number, shared in the order of asking.

Task: T-025 · Spec: plan.md#upstream-client
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

from todo_gateway.upstream.answer import Answer
from todo_gateway.upstream.errors import (
    ConnectFailed,
    ConnectTimeout,
    Disconnected,
    LocalProtocolError,
    PoolClosed,
    PoolTimeout,
    UpstreamError,
)
from todo_gateway.upstream.http1 import Body, Connection, Limits
from todo_gateway.upstream.request import Headers, encode_head

IDEMPOTENT_METHODS = frozenset({b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PUT", b"TRACE"})
"""Methods that may be sent twice with the effect of once (RFC 9110 §9.2.2)."""


class Response:
    """An upstream's answer: `status`, raw `headers` (names in lower case, in their order) and `body`.

    `body` is the whole body where it is already there: always up to 64 KiB with a `content-length`, often
    otherwise. Else it is None, the connection stays lent to this answer, and `stream` gives the body. A
    caller must call `aclose` in either case; before the end of the body it closes the connection.
    """

    __slots__ = ("status", "headers", "body", "_connection", "_release")

    def __init__(self, answer: Answer, connection: Connection, release: Callable[[Connection], None]) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.body: bytes | None = None
        self._connection: Connection | None = None
        self._release = release
        if answer.is_complete:
            self.body = answer.take()
            release(connection)
        else:
            self._connection = connection

    async def stream(self) -> AsyncIterator[bytes]:
        """Give the body in non-empty pieces as they come; a slow reader slows the upstream down. Once only.

        Raises `ReadTimeout`, `Disconnected` (the body was cut short) and `ProtocolError`.
        """
        if self._connection is None:
            if self.body:
                yield self.body
            return
        try:
            while piece := await self._connection.read():
                yield piece
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Give the connection back, or close it when the body is not at its end. May be called again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._release(connection)
            await connection.upload_left()


class Pool:
    """Connections to one `origin` (`http://host:port` or `https://…`), made when needed and kept for reuse.

    At most `max_connections` are open; further requests wait their turn, first come first served. Limits in
    seconds: `connect_timeout_s` for a connection (name resolution and TLS included), `pool_timeout_s` for a
    turn, `write_timeout_s` for the upstream to take more of the request, `head_timeout_s` from the end of the
    request to the head of the answer, `read_timeout_s` for the next byte after it. The time that a caller
    takes to produce a body or to read one is never counted. An idle connection is closed after `keepalive_s`:
    keep it under the upstream's own limit (uvicorn's is 5 s), or requests meet connections that are just
    being closed. `max_head_bytes` bounds the names and values of an answer's headers. `tls` replaces the
    default context of an https origin.

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
        self._free_slots = (
            max_connections  # a slot is taken by a connection, from before it is made until it is closed
        )
        self._idle: dict[Connection, float] = {}  # and the loop's time at which it expires; the oldest first
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()  # None: a free slot
        self._open: set[Connection] = set()
        self._connecting = 0
        self._reaper: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._quiet = asyncio.Event()  # closed, and nothing left open

    async def request(
        self,
        method: bytes,
        target: bytes,
        headers: Headers = (),
        body: Body | None = None,
        *,
        length: int | None = None,
    ) -> Response:
        """Send a request and return its answer, as soon as it is whole or too long to wait for.

        `Host`, `Content-Length` and `Transfer-Encoding` are made here; `headers` must be end-to-end. A `body`
        that is an iterator is sent chunked, or as `length` bytes where that is known. On a reused connection
        that turns out to have been closed, the request is sent once more on a new one if nothing of an answer
        came, the method is idempotent and the body is no iterator; otherwise never.

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

        connection = await self._acquire()
        try:
            try:
                answer = await connection.exchange(head, content, length, without_body=without_body)
            except Disconnected as error:
                repeatable = connection.is_reused and replayable and method in IDEMPOTENT_METHODS
                if error.sent and not (repeatable and not connection.answer.has_begun):
                    raise
                try:
                    connection = await self._connect()
                    answer = await connection.exchange(head, content, length, without_body=without_body)
                except UpstreamError as second:
                    second.sent = second.sent or error.sent
                    raise
        except BaseException:
            self._pass_on(None)
            raise
        return Response(answer, connection, self._release)

    async def aclose(self, grace_s: float = 0.0) -> None:
        """Close: new and waiting requests fail at once, running ones have `grace_s` seconds and are then cut.

        Returns when every connection is closed; a connection attempt under way may take its own time limit.
        """
        self._is_closed = True
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(PoolClosed("the pool is closed"))
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

    async def _acquire(self) -> Connection:
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
            connection = await self._wait_for_turn()
        if connection is not None and not connection.is_stale():
            return connection
        try:
            if connection is not None:
                connection.close()
            return await self._connect()
        except BaseException:
            self._pass_on(None)
            raise

    async def _wait_for_turn(self) -> Connection | None:
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._pool_timeout_s):
                return await waiter
        except BaseException as error:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif waiter.exception() is None:
                self._pass_on(waiter.result())  # its turn came at the very moment it gave up
            if isinstance(error, TimeoutError):
                raise PoolTimeout("every connection to the upstream stayed busy") from None
            raise

    async def _connect(self) -> Connection:
        """Make the connection of a slot that is held."""
        self._connecting += 1
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._limits, self._on_lost), *self._address, ssl=self._tls
                )
            if not connection.is_lost:
                self._open.add(connection)
        except TimeoutError:
            raise ConnectTimeout("no connection to the upstream in time") from None
        except OSError as error:
            raise ConnectFailed(f"no connection to the upstream: {type(error).__name__}") from error
        finally:
            self._connecting -= 1
            self._note_quiet()
        if self._is_closed:
            connection.close()
            raise PoolClosed("the pool is closed")
        return connection

    def _release(self, connection: Connection) -> None:
        self._pass_on(connection if connection.settle() else None)

    def _pass_on(self, connection: Connection | None) -> None:
        """Give a slot, and the connection in it, to whoever has waited longest; keep it if nobody does."""
        if connection is not None and self._is_closed:
            connection.close()
            connection = None
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
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
        self._open.discard(connection)
        if self._idle.pop(connection, None) is not None:
            self._pass_on(None)
        self._note_quiet()

    def _note_quiet(self) -> None:
        if self._is_closed and not self._open and not self._connecting:
            self._quiet.set()
