"""A request's id, and its one line in the log.

Task: T-013 · Spec: plan.md#request-ids-and-logs
"""

import logging
import re
import time
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_WELL_FORMED = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}\Z")

_log = logging.getLogger("todo.access")


def request_id(scope: Scope) -> str:
    """The id that `Requests` gave to this request; empty outside of it."""
    value = scope.get("state", {}).get("request_id", "")
    return value if isinstance(value, str) else ""


class Requests:
    """Pure ASGI middleware, outermost: gives each request an id and writes one access line when its answer
    has ended.

    A client's `X-Request-Id` is kept when it has 1 to 128 characters of `A-Za-z0-9._:+/=@-`, else a new one
    is made. The answer carries it. The line has method, path without query, status, milliseconds, user and
    id: never a token, never a query value. `quiet`: paths without a line, such as health.
    """

    def __init__(self, app: ASGIApp, quiet: frozenset[str] = frozenset({"/healthz", "/readyz"})) -> None:
        self.app = app
        self._quiet = quiet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every answer gets `X-Request-Id`; an upstream's own is replaced."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started_at = time.perf_counter()
        raw_id = _sent_id(scope) or uuid.uuid4().hex.encode()
        state = scope.setdefault("state", {})
        state["request_id"] = raw_id.decode()
        path = scope["path"]
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [header for header in message["headers"] if header[0] != b"x-request-id"]
                headers.append((b"x-request-id", raw_id))
                message["headers"] = headers
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            if path not in self._quiet and _log.isEnabledFor(logging.INFO):
                milliseconds = (time.perf_counter() - started_at) * 1000
                user = getattr(state.get("identity"), "user_id", None)
                _log.info(
                    "%s %s %s %.1fms",
                    scope["method"],
                    path,
                    status or "no answer",
                    milliseconds,
                    extra={
                        "request_id": state["request_id"],
                        "method": scope["method"],
                        "path": path,
                        "status": status,
                        "ms": round(milliseconds, 2),
                        "user": user,
                    },
                )


def _sent_id(scope: Scope) -> bytes | None:
    """The client's id; two of them are none."""
    sent: list[bytes] = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(sent) == 1 and _WELL_FORMED.match(sent[0]):
        return sent[0]
    return None
