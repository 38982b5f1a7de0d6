"""An upstream's answer, as the caller of a pool gets it.

Task: T-025 · Spec: plan.md#upstream-client
"""

from collections.abc import AsyncIterator, Callable

from todo_gateway.upstream.answer import Answer
from todo_gateway.upstream.http1 import Connection


class Response:
    """An upstream's answer: `status`, raw `headers` (names in lower case, in their order) and `body`.

    `body` is the whole body where it is already there: always up to 64 KiB with a `content-length`, often
    otherwise. Else it is None, the connection stays lent to this answer, and `stream` gives the body. A
    caller must call `aclose` in either case; before the end of the body it closes the connection. `origin`:
    the address that answered. `closes`: the upstream ends the connection behind this answer, which is known
    of whole ones only.
    """

    __slots__ = ("status", "headers", "body", "origin", "closes", "_connection", "_release")

    def __init__(
        self, answer: Answer, connection: Connection, release: Callable[[Connection], None], origin: str
    ) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.body: bytes | None = None
        self.origin = origin
        self.closes = answer.is_complete and not answer.keep_alive
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
