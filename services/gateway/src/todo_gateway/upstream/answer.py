"""One HTTP/1.1 answer, read from the bytes of a connection without any I/O (RFC 9112).

llhttp parses, strictly: it refuses bare LF, obsolete folding, spaces before a colon, control characters, two
lengths, lengths that are not plain numbers, and a length beside chunked coding. What it would let pass is
refused here. Every answer has a parser of its own (under a microsecond), so that nothing of one can reach the
next.

Task: T-025 · Spec: plan.md#upstream-client
"""

from httptools import HttpParserError, HttpResponseParser

from todo_gateway.upstream.errors import ProtocolError

BUFFER_BYTES = 64 * 1024
"""A body up to this size travels in one piece; a longer one is read ahead by about as much."""

_CHUNKED = -1
_UNTIL_CLOSE = -2


class Answer:
    """What has come of the answer to one request. 1xx answers before it and trailers after it are dropped.

    `status` is 0 until the head is there. `headers` are raw, names in lower case, in their order.
    `keep_alive` means something once `is_complete`: the answer ended by itself, its sender keeps the
    connection, and nothing came behind it. `without_body`: there is no body, whatever the head says (the
    request was HEAD). Header names and values of more than `max_head_bytes` are refused, and so are twice as
    many bytes in a row that bring nothing: a head without an end, 1xx, chunk extensions, trailers.
    """

    __slots__ = (
        "status",
        "headers",
        "is_complete",
        "keep_alive",
        "has_begun",
        "buffered_bytes",
        "_chunks",
        "_body_length",
        "_without_body",
        "_silent_bytes",
        "_max_head_bytes",
        "_parser",
    )

    def __init__(self, *, without_body: bool, max_head_bytes: int) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False
        self.keep_alive = False
        self.has_begun = False  # a byte has come
        self.buffered_bytes = 0  # of the body, not yet taken
        self._chunks: list[bytes] = []
        self._body_length = 0
        self._without_body = without_body
        self._silent_bytes = 0  # since the head or a piece of the body was last delivered
        self._max_head_bytes = max_head_bytes
        self._parser = HttpResponseParser(self)

    @property
    def is_short(self) -> bool:
        """Whether the head promises a body that fits the buffer: not worth delivering in pieces."""
        return 0 <= self._body_length <= BUFFER_BYTES

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection, however they were split.

        Raises `ProtocolError`. Not to be called after that, nor once `is_complete`.
        """
        self.has_begun = True
        self._silent_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not self.is_complete:
                own = error.__context__
                raise own if isinstance(own, ProtocolError) else _refused(str(error)) from error
            self.keep_alive = False  # the answer is whole; what follows it belongs to nobody
        if self.is_complete:
            del self._parser  # it refers to this object: a cycle would wait for the garbage collector
        elif self._silent_bytes > 2 * self._max_head_bytes:
            raise _refused("too many bytes without a body")

    def end_of_connection(self) -> bool:
        """Note that the connection ended in order; return whether that completes the answer (RFC 9112 §8)."""
        if self.status and self._body_length == _UNTIL_CLOSE:
            self.is_complete = True
        return self.is_complete

    def take(self) -> bytes:
        """Give what has come of the body and is not yet taken."""
        chunks, self._chunks = self._chunks, []
        self.buffered_bytes = 0
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def on_message_begin(self) -> None:
        """Start a head, of an informational answer or of the answer itself (called by the parser)."""
        if self.is_complete:
            raise _refused("a second answer")
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header; a trailer is dropped (called by the parser)."""
        if not self.status:
            self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Decide from the whole head what follows it (called by the parser)."""
        status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise _refused("not HTTP/1.1")
        if 100 <= status < 200 and status != 101:
            return
        if not 200 <= status < 600:
            raise _refused(f"status {status}")
        if sum([len(name) + len(value) for name, value in self.headers]) > self._max_head_bytes:
            raise _refused("its head is too large")
        self._body_length = _body_length(status, version, self.headers)
        self._silent_bytes = 0
        self.status = status
        if self._without_body:
            self._complete()

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body (called by the parser)."""
        if self.is_complete:
            raise _refused("a body that must not be there")
        self._chunks.append(data)
        self.buffered_bytes += len(data)
        self._silent_bytes = 0

    def on_message_complete(self) -> None:
        """Note the end of the answer; an informational one is forgotten (called by the parser)."""
        if self.status:
            self._complete()

    def _complete(self) -> None:
        self.is_complete = True
        self.keep_alive = self._parser.should_keep_alive()


def _body_length(status: int, version: str, headers: list[tuple[bytes, bytes]]) -> int:
    """Say where the body ends (RFC 9112 §6.3): its length in bytes, `_CHUNKED` or `_UNTIL_CLOSE`."""
    length = _UNTIL_CLOSE
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked" or length == _CHUNKED or version != "1.1":
                raise _refused("its transfer coding is not plain chunked")
            length = _CHUNKED
    return 0 if status in (204, 304) else length


def _refused(reason: str) -> ProtocolError:
    return ProtocolError(f"the answer was refused: {reason}", sent=True)
