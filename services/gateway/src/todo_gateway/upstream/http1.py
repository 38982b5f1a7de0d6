"""One HTTP/1.1 connection to an upstream: one request out, one answer back, at a time.

Task: T-025 · Spec: plan.md#upstream-client
"""

import asyncio
import math
import select
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass
from typing import cast

from todo_service.deadline import Deadline

from todo_gateway.upstream.answer import BUFFER_BYTES, Answer
from todo_gateway.upstream.errors import (
    Disconnected,
    LocalProtocolError,
    ProtocolError,
    ReadTimeout,
    WriteTimeout,
)

Body = bytes | AsyncIterable[bytes]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one exchange may take: seconds without progress, and bytes of the answer's head.

    An answer whose body is short enough to be kept until it is whole has `head_timeout_s` for all of it.
    """

    head_timeout_s: float
    read_timeout_s: float
    write_timeout_s: float
    max_head_bytes: int


class Connection(asyncio.Protocol):
    """One connection, made by `loop.create_connection`; it carries one exchange after another.

    `exchange` sends a request and waits for its answer, `read` gives a long body piece by piece. `on_lost` is
    called once, when the transport is gone. Whether a request may be sent again, and where, is not decided
    here.
    """

    answer: Answer
    """The answer to the present request; the last one while the connection is idle."""

    def __init__(self, limits: Limits, on_lost: Callable[["Connection"], None]) -> None:
        self.is_reused = False  # an exchange went before the present one
        self.is_lost = False  # the transport is gone
        self._limits = limits
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._is_idle = True  # no answer is awaited
        self._is_fresh = True
        self._is_closed = False
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._reading_is_paused = False
        self._drained: asyncio.Future[None] | None = None  # there while the transport wants no more to write
        self._upload: asyncio.Task[None] | None = None
        self._deadline = Deadline(self._loop, self._on_expired)
        self._head_timeout_s = limits.head_timeout_s
        self._due_at = math.inf  # a short answer is whole by then

    async def exchange(
        self,
        head: bytes,
        body: Body,
        length: int | None,
        *,
        without_body: bool,
        head_timeout_s: float | None = None,
    ) -> Answer:
        """Send a request and wait for its answer: whole where it is short, else until its head is there.

        `length` is the size in bytes of a `body` that comes piece by piece, None for chunked coding.
        `without_body` says that the answer has no body (HEAD). `head_timeout_s` is another limit than the
        connection's, for this exchange. An answer that comes before the request is
        sent ends the upload: at once where it refuses (status 300 and above), when it is complete otherwise.
        On any error, cancellation included, the connection is closed.

        Raises `Disconnected`, `ReadTimeout`, `WriteTimeout`, `ProtocolError`, `LocalProtocolError`, and
        whatever the body's iterator raises.
        """
        if self._is_closed:
            raise Disconnected("the connection was closed before the request")
        answer = self.answer = Answer(without_body=without_body, max_head_bytes=self._limits.max_head_bytes)
        self.is_reused, self._is_fresh = not self._is_fresh, False
        self._is_idle = False
        self._due_at = math.inf
        self._head_timeout_s = self._limits.head_timeout_s if head_timeout_s is None else head_timeout_s
        try:
            if isinstance(body, bytes) and len(body) <= BUFFER_BYTES:
                self._upload = None
                self._transport.write(head + body)
                self._due_at = self._deadline.set(self._head_timeout_s)
            else:
                self._transport.write(head)
                pieces = _slices(body) if isinstance(body, bytes) else body
                self._upload = self._loop.create_task(self._send(pieces, length))
                self._upload.add_done_callback(self._on_upload_done)
            await self._wait()
            if self._error is not None and not answer.is_complete:
                raise self._error
        except BaseException:
            self.close()
            raise
        finally:
            if self._upload is not None and self._upload.cancelling():
                await self.upload_left()
        return answer

    async def read(self) -> bytes:
        """Give what has come of the body since the last call, waiting for some; `b""` at its end.

        Raises `ReadTimeout`, `Disconnected` and `ProtocolError`, each after everything that came before it.
        """
        answer = self.answer
        while not answer.buffered_bytes and not answer.is_complete:
            if self._error is not None:
                raise self._error
            self._deadline.set(self._limits.read_timeout_s)
            await self._wait()
        data = answer.take()
        if self._reading_is_paused:
            self._reading_is_paused = False
            if not self._is_closed:
                self._transport.resume_reading()
        return data

    async def upload_left(self) -> None:
        """Wait until a body that is no longer sent has been left, so that its owner may use it again."""
        if self._upload is not None and not self._upload.done():
            await asyncio.wait([self._upload])

    def settle(self) -> bool:
        """End the exchange. Returns whether another may follow; if not, the connection is closed.

        Another may follow when the answer ended where it said and its sender keeps the connection, all of the
        request was sent, and nothing came behind the answer.
        """
        upload = self._upload
        if (
            not self.answer.is_complete
            or not self.answer.keep_alive
            or self._is_closed
            or not (upload is None or upload.done() and not upload.cancelled())
            or self._transport.get_write_buffer_size()
        ):
            self.close()
            return False
        return True

    def is_stale(self) -> bool:
        """Say whether an idle connection is of no more use: it ended, or has bytes that nobody asked for.

        The system is asked (under a microsecond), because the event loop may not have come to read them yet.
        """
        return self._is_closed or bool(self._poll.poll(0))

    def close(self) -> None:
        """Close at once; whoever waits for the answer gets `Disconnected`."""
        self._fail(Disconnected("the connection was closed before the answer was complete", sent=True))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio)."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Read on in the answer; what comes when none is awaited closes the connection (asyncio)."""
        if self._is_idle:
            self.close()
            return
        answer = self.answer
        try:
            answer.feed(data)
        except ProtocolError as error:
            self._fail(error)
            return
        if answer.is_complete:
            self._finish()
        elif answer.status:
            if answer.status >= 300:
                self._stop_upload()
            if answer.is_short:
                now = self._loop.time()
                self._due_at = min(self._due_at, now + self._head_timeout_s)
                self._deadline.set(min(self._limits.read_timeout_s, self._due_at - now))
            else:
                self._wake()
                if answer.buffered_bytes > BUFFER_BYTES and not self._reading_is_paused:
                    self._reading_is_paused = True
                    self._transport.pause_reading()

    def eof_received(self) -> None:
        """Take the upstream's end as the connection's (asyncio)."""
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection as the answer's where that is how it ends (asyncio)."""
        if exc is None:
            self._end()
        else:
            self._fail(Disconnected("the connection broke before the answer was complete", sent=True))
        self.is_lost = True
        self._on_lost(self)

    def pause_writing(self) -> None:
        """Hold the upload back (asyncio)."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let the upload go on (asyncio)."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    async def _send(self, body: AsyncIterable[bytes], length: int | None) -> None:
        left = length
        async for piece in body:
            if not piece:
                continue
            if left is None:
                # Not writelines: asyncio's forgets to pause the upload in Python 3.12.1 and 3.13.0.
                self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            elif len(piece) <= left:
                left -= len(piece)
                self._transport.write(piece)
            else:
                raise LocalProtocolError("the body is longer than was said", sent=True)
            if self._drained is not None:
                self._limit_upload(self._limits.write_timeout_s)
                await self._drained
                self._limit_upload(None)
        if left:
            raise LocalProtocolError("the body is shorter than was said", sent=True)
        if left is None:
            self._transport.write(b"0\r\n\r\n")
        self._limit_upload(self._head_timeout_s)

    def _on_upload_done(self, upload: asyncio.Task[None]) -> None:
        if not upload.cancelled() and (error := upload.exception()) is not None:
            self._fail(error)

    def _stop_upload(self) -> None:
        if self._upload is not None and not self._upload.done():
            self._upload.cancel()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._deadline.lift()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _finish(self) -> None:
        self._is_idle = True
        self._stop_upload()
        self._wake()

    def _end(self) -> None:
        if not self._is_idle and self.answer.end_of_connection():
            self._finish()
        else:
            self._fail(
                Disconnected("the upstream closed the connection before the answer was complete", sent=True)
            )

    def _fail(self, error: BaseException) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._error = error
        self._deadline.close()
        self._stop_upload()
        self._transport.abort()
        self._wake()

    def _limit_upload(self, timeout_s: float | None) -> None:
        if self.answer.status:
            return  # the answer has begun, and it is what is waited for
        if timeout_s is None:
            self._deadline.lift()
        else:
            self._deadline.set(timeout_s)

    def _on_expired(self) -> None:
        if self.answer.status:
            self._fail(ReadTimeout("the answer fell silent, or was not whole in time", sent=True))
        elif self._drained is not None:
            self._fail(WriteTimeout("the upstream took nothing of the request in time", sent=True))
        else:
            self._fail(ReadTimeout("the answer did not begin in time", sent=True))


async def _slices(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), BUFFER_BYTES):
        yield body[start : start + BUFFER_BYTES]
