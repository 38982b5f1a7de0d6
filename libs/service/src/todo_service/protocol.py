"""The server's side of one connection: uvicorn's protocol, with an answer that leaves in one piece.

uvicorn writes the head of an answer as soon as it has it, and the body behind it: two system calls, and two
for who reads it, where one does. Between two processes on one machine that is the dearest part of a small
answer.

Task: T-015 · Spec: plan.md#service-settings
"""

import asyncio
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from todo_service.deadline import Deadline
from todo_service.fields import is_token, is_value

_JOINED_BYTES = 64 * 1024  # a longer body is not copied for the sake of its head
_WITHOUT_BODY = (204, 304)


class Cycle(RequestResponseCycle):
    """One request and its answer. The head of an answer with a length waits for the first of its body; that
    of a stream leaves at once, for somebody may wait for it alone (server-sent events).
    """

    _head: bytes | None = None

    async def send(self, message: Any) -> None:
        """As the ASGI specification has it. Raises RuntimeError for messages out of turn, for a header that
        could end its line, and for a body of another length than the head has said.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.response_complete or message["type"] != (
            "http.response.body" if self.response_started else "http.response.start"
        ):
            raise RuntimeError(f"The ASGI message {message['type']} is out of turn.")
        if self.response_started:
            self._send_body(message.get("body", b""), message.get("more_body", False))
        else:
            self._send_head(message["status"], [*self.default_headers, *message.get("headers", ())])

    def _send_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        names = b"".join([name for name, _ in headers])
        values = b"".join([value for _, value in headers])
        if not is_token(names) or not is_value(values):
            raise RuntimeError("A header cannot be sent: it could end its line.")
        self.response_started = True
        self.waiting_for_100_continue = False
        says_close = False
        for name, value in headers:
            if name == b"content-length":
                self.expected_content_length = int(value)
                self.chunked_encoding = False
            elif name == b"transfer-encoding" and value.lower() == b"chunked":
                self.expected_content_length = 0
                self.chunked_encoding = True
            elif name == b"connection" and b"close" in value.lower():
                self.keep_alive, says_close = False, True
        lines = [b"%b: %b\r\n" % header for header in headers]
        if not self.keep_alive and not says_close:
            lines.append(b"connection: close\r\n")
        has_body = self.scope["method"] != "HEAD" and status not in _WITHOUT_BODY
        if self.chunked_encoding is None and has_body:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        head = b"%b%b\r\n" % (STATUS_LINE[status], b"".join(lines))
        if self.chunked_encoding:
            self.transport.write(head)
        else:
            self._head = head

    def _send_body(self, body: bytes, more_body: bool) -> None:
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
            body = b""
        elif self.chunked_encoding:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not more_body:
                body += b"0\r\n\r\n"
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("The body is longer than its Content-Length.")
        head, self._head = self._head, None
        if head is None:
            self.transport.write(body)
        elif len(body) <= _JOINED_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)
        if more_body:
            return
        if self.expected_content_length:
            raise RuntimeError("The body is shorter than its Content-Length.")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


class OneWriteProtocol(HttpToolsProtocol):
    """uvicorn's protocol without WebSockets, a limit of concurrency, or an access log of its own; and without
    a new timer for every pause between two requests.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Nothing has been asked yet."""
        super().connection_made(transport)
        self._idle = Deadline(self.loop, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leaves no timer behind."""
        self._idle.close()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """The answer is whole: the next request's turn, or the wait for one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self._idle.set(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        self._idle.lift()

    def on_headers_complete(self) -> None:
        """The head of a request is whole: its answer begins, or waits for the earlier ones."""
        parser, scope = self.parser, self.scope
        version = parser.get_http_version()
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope["method"] = parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = url.path
        scope["query_string"] = url.query or b""
        earlier: RequestResponseCycle | None = self.cycle
        self.cycle = Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if earlier is None or earlier.response_complete:
            self._start_asgi_task(self.cycle, cast(Any, self.app))
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, cast(Any, self.app)))
