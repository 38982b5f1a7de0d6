"""What is refused or stripped before anything else looks at a request.

Task: T-022 · Spec: plan.md#edge
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from todo_service.problems import Problem

from todo_gateway import paths

# OPTIONS is a preflight, which todo_gateway.cors answers, or nothing.
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

# Whoever sends one of these speaks for somebody; only the gateway may, and only to the inside.
_IDENTITY_HEADERS = frozenset({b"x-user-id", b"txn-token"})


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest request that is looked at: the target in bytes, headers by count and bytes, the body in
    bytes, and the slowest: seconds without a byte of the body, and the bytes a second that it comes with at
    least, once it has had so many seconds.
    """

    target_bytes: int = 8 * 1024
    headers: int = 100
    header_bytes: int = 32 * 1024
    body_bytes: int = 1024 * 1024
    body_silence_s: float = 30
    min_body_rate: int = 500


class Edge:
    """Pure ASGI middleware: limits, identity headers, ambiguous paths. What passes has one reading.

    `body_bytes_of`: the largest body for a path, where some have a limit of their own. Raises Problem 400
    (ambiguous path), 405 (any method but METHODS), 413, 414, 431; 408 while the body is silent for too long.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits = Limits(),
        body_bytes_of: Callable[[bytes], int] | None = None,
    ) -> None:
        self.app = app
        self._limits = limits
        self._body_bytes_of = body_bytes_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Problem before the application sees the request, or through its `receive`."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limits = self._limits
        if scope["method"] not in METHODS:
            allow = {"Allow": ", ".join(METHODS)}
            raise Problem(405, "This server does not answer to that method.", headers=allow)
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
        if len(raw_path) + len(scope["query_string"]) > limits.target_bytes:
            raise Problem(414, f"The request target is longer than {limits.target_bytes} bytes.")
        if paths.read(raw_path) is None:
            raise Problem(400, "The path can be read in more than one way: send it in its plain form.")
        headers = scope["headers"]
        if len(headers) > limits.headers:
            raise Problem(431, f"The request has more than {limits.headers} header fields.")
        size = 0
        declared = None
        kept = []
        for header in headers:
            name, value = header
            size += len(name) + len(value) + 4
            if name == b"content-length":
                declared = value
            # A program behind may take `_` for `-`, and so a name for another's: nobody needs such names.
            if name in _IDENTITY_HEADERS or b"_" in name:
                continue
            kept.append(header)
        if size > limits.header_bytes:
            raise Problem(431, f"The request's header fields have more than {limits.header_bytes} bytes.")
        most = limits.body_bytes if self._body_bytes_of is None else self._body_bytes_of(raw_path)
        if declared is not None and (not declared.isdigit() or int(declared[:20]) > most):
            raise _too_large(most)
        scope["headers"] = kept
        await self.app(scope, self._limited(receive, most), send)

    def _limited(self, receive: Receive, most: int) -> Receive:
        """`receive`, counting the body and waiting for its next byte only so long."""
        seen = 0
        ended = False
        loop = asyncio.get_running_loop()
        silence_s = self._limits.body_silence_s
        in_time_until = loop.time() + silence_s  # as if the bytes that are here had come at the least rate

        async def limited() -> Message:
            nonlocal seen, ended, in_time_until
            if ended:
                return await receive()  # the client leaving, whenever that may be
            try:
                async with asyncio.timeout_at(min(loop.time() + silence_s, in_time_until)):
                    message = await receive()
            except TimeoutError:
                ended = True
                raise Problem(
                    408, "The rest of the request did not come in time.", headers={"Connection": "close"}
                ) from None
            if message["type"] == "http.request":
                size = len(message.get("body", b""))
                seen += size
                in_time_until += size / self._limits.min_body_rate
                ended = not message.get("more_body", False)
                if seen > most:
                    raise _too_large(most)
            return message

        return limited


def _too_large(most: int) -> Problem:
    return Problem(413, f"The body has more than {most} bytes.")
