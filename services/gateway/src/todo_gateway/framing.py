"""The server's HTTP/1.1 protocol: one stream of bytes has one reading, or it is refused and the connection
ends.

What `grammar` lets pass is parsed by llhttp, so that two parsers must agree. One request is read at a time:
what a client has pipelined behind it waits, and is never looked at when the connection ends first. Chunk
extensions and trailers go no further, and nobody can switch protocols.

Task: T-044 · Spec: plan.md#framing
"""

import asyncio
import logging
import socket
import uuid
from dataclasses import dataclass
from typing import Any

from todo_service import problems
from todo_service.deadline import Deadline
from todo_service.problems import Problem
from todo_service.protocol import OneWriteProtocol
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.server import ServerState

from todo_gateway import grammar

_LINGER_S = 2  # for a client to read why it is refused, before a reset could take that away
_STALLED_MS = 60_000  # a client that takes nothing of its answer for so long is gone

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may cost before its request is whole: bytes of a head (request line included),
    seconds from its first byte (or from the connection's beginning) to its last, and connections in one
    process.
    """

    head_bytes: int = 40 * 1024
    head_timeout_s: float = 10
    connections: int = 10_000


class StrictProtocol(OneWriteProtocol):
    """uvicorn's protocol behind a strict reader of the stream. `limits` are bound with `functools.partial`.

    What it refuses gets a problem document (400, 405, 408, 413, 414, 417, 431, 501, 503, 505) with
    `Connection: close`, after the answers to earlier requests of the connection. No byte behind a refused
    request is read as another.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits = Limits(),
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._held = b""  # not interpreted yet: a part of a head, or what came behind the request under way
        # A client sends the same fields again and again: they are read once, while they stay the same.
        self._fields_read = b""
        self._fields = grammar.NO_FIELDS
        self._body_left = 0
        self._chunked: grammar.Chunked | None = None
        self._head_begun = False
        self._would_keep_alive = False
        self._refused = False
        self._deadline = Deadline(self.loop, self._too_late)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """The first head is awaited from here."""
        super().connection_made(transport)
        tcp = transport.get_extra_info("socket")
        if tcp is not None and tcp.family in (socket.AF_INET, socket.AF_INET6):
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STALLED_MS)
        if len(self.connections) > self._limits.connections:
            retry = {"Retry-After": "1"}
            self._refuse(Problem(503, "Too many connections.", code="overloaded", headers=retry))
        else:
            self._deadline.set(self._limits.head_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leaves no timer behind."""
        self._deadline.close()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of the client: read as far as they are surely one request's."""
        if self._held:
            data, self._held = self._held + data, b""
        try:
            self._read(data)
        except Problem as problem:
            self._refuse(problem)

    def send_400_response(self, msg: str) -> None:
        """What llhttp refuses although the grammar here let it pass."""
        self._refuse(Problem(400, "This is not a request of HTTP/1.1 that can be read in one way."))

    def on_response_complete(self) -> None:
        """The next request's turn. A body that nobody waited for may still come to its end, in bounded
        time.
        """
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._in_body:
            self._unset_keepalive_if_required()
            self._deadline.set(self._limits.head_timeout_s)
        elif self._held:
            self.data_received(b"")

    @property
    def _in_body(self) -> bool:
        return self._body_left > 0 or self._chunked is not None

    @property
    def _is_answered(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _read(self, data: bytes) -> None:
        while data and not self._refused and not self.transport.is_closing():
            if self._in_body:
                data = self._read_body(data)
            elif not self._is_answered:
                self._held = data
                self.flow.pause_reading()
                return
            else:
                data = self._read_head(data)

    def _read_head(self, data: bytes) -> bytes:
        """Passes one whole head to the parser; gives what follows it."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 or end > self._limits.head_bytes:
            self._wait_for_head(data)
            return b""
        head = data if end == len(data) else data[:end]
        line_end = head.index(b"\r\n", 2) + 2
        if head[line_end:] != self._fields_read:
            self._fields = grammar.read_fields(head[line_end:])
            self._fields_read = head[line_end:]
        fields = self._fields
        grammar.read_request_line(head[:line_end], fields)
        if fields.upgrades or fields.expects:
            head = grammar.honoured(head, fields)
        body = data[end : end + fields.length]
        rest = data[end + len(body) :]
        self._head_begun = False
        self._deadline.lift()
        super().data_received(head + body)
        if self._refused:
            return b""
        self._body_left = fields.length - len(body)
        if fields.is_chunked:
            self._chunked = grammar.Chunked()
        if self.expect_100_continue and self._in_body and not body and not rest:
            # Answered before it is asked to go on, a client may send the body or not: nobody could know where
            # its next request begins.
            self._would_keep_alive = self.cycle.keep_alive
            self.cycle.keep_alive = False
        return rest

    def _wait_for_head(self, data: bytes) -> None:
        """Keeps the part of a head that is here, for so long; raises Problem where it cannot become one."""
        if len(data) > self._limits.head_bytes:
            raise grammar.too_large(data, self._limits.head_bytes)
        if not self._head_begun:
            grammar.check_beginning(data)
            self._head_begun = True
            self._unset_keepalive_if_required()
            if not self._deadline.is_set:
                self._deadline.set(self._limits.head_timeout_s)
        self._held = data

    def _read_body(self, data: bytes) -> bytes:
        """Passes what belongs to the body to the parser; gives what follows it."""
        if self._would_keep_alive:
            self.cycle.keep_alive, self._would_keep_alive = True, False
        if self._chunked is not None:
            plain, rest = self._chunked.read(data)
            if self._chunked.ended:
                self._chunked = None
        else:
            plain, rest = data[: self._body_left], data[self._body_left :]
            self._body_left -= len(plain)
        if plain:
            super().data_received(plain)
        if self._is_answered and not self._in_body:
            self._deadline.lift()
            self._idle.set(self.timeout_keep_alive)
        return rest

    def _too_late(self) -> None:
        """The head, or a body that nobody waits for, took too long, or a refused client stayed."""
        if self._held and not self._in_body:
            self._refuse(Problem(408, "The rest of the request did not come in time."))
        else:
            self.transport.abort()

    def _refuse(self, problem: Problem) -> None:
        self._refused = True
        self._held = b""
        self._unset_keepalive_if_required()
        unanswered = not self._is_answered
        if unanswered:
            self.cycle.disconnected = True  # the rest of its body never comes
            self.cycle.message_event.set()
        if (unanswered or self._in_body) and self.cycle.response_started:
            self.transport.close()
            return
        instance = uuid.uuid4().hex
        _log.info("refused: %d %s", problem.status, problem.detail, extra={"request_id": instance})
        response = problems.answer(problem, instance)
        fields = [*self.server_state.default_headers, *response.raw_headers]
        fields += [(b"x-request-id", instance.encode()), (b"connection", b"close")]
        head = b"".join([b"%b: %b\r\n" % field for field in dict(fields).items()])
        self.transport.write(STATUS_LINE[problem.status] + head + b"\r\n" + bytes(response.body))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._deadline.set(_LINGER_S)
