"""A request's id, and what is noted when its answer has ended: its line in the log, its place in the metrics.

Task: T-013 · Spec: plan.md#request-ids-and-logs
"""

import os
import re
import time
from collections.abc import Callable
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from todo_service.access import AccessLine, logged

_WELL_FORMED = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}\Z")

HEALTH = frozenset({"/healthz", "/readyz"})
"""Paths that whoever watches the process asks, over and over."""

RouteOf = Callable[[Scope], str]
"""The template of a request's route (`/api/tasks/{id}`), one of a bounded number; asked after the answer."""


class Observer(Protocol):
    """What is told of every request, such as `metrics.HttpMetrics`."""

    def begun(self) -> None:
        """One request more is under way."""

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """It has ended, with `status` or, where nothing was answered, with 0."""


def request_id(scope: Scope) -> str:
    """The id that `Requests` gave to this request; empty outside of it."""
    value = scope.get("state", {}).get("request_id", "")
    return value if isinstance(value, str) else ""


def add_header(scope: Scope, name: bytes, value: bytes) -> None:
    """Puts a header on the answer to this request, whoever makes it: an error's has it, too, and an
    upstream's own is replaced. `name` in lower case.
    """
    scope.setdefault("state", {}).setdefault("answer_headers", []).append((name, value))


def path_of(scope: Scope) -> str:
    """The route's template as the framework found it; `other` where no route was found."""
    path = getattr(scope.get("route"), "path", None)
    if isinstance(path, str):
        return path
    return str(scope["path"]) if scope["path"] in HEALTH else "other"


class Requests:
    """Pure ASGI middleware, outermost: gives each request an id, and notes each when its answer has ended.

    A client's `X-Request-Id` is kept when it has 1 to 128 characters of `A-Za-z0-9._:+/=@-`, else a new one
    is made. The answer carries it. `access`: writes the access line, which has the path without the query:
    never a token, never a query value. `quiet`: paths without a line. `observer`: told of every request.
    `timing`: whether answers carry `Server-Timing` (https://www.w3.org/TR/server-timing/), which is for
    development: it tells strangers where the time goes.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        quiet: frozenset[str] = HEALTH,
        route_of: RouteOf = path_of,
        access: AccessLine = logged,
        observer: Observer | None = None,
        timing: bool = False,
    ) -> None:
        self.app = app
        self._quiet = quiet
        self._route_of = route_of
        self._access = access
        self._observer = observer
        self._timing = timing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every answer gets `X-Request-Id`; an upstream's own is replaced."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started_at = time.perf_counter()
        raw_id = _sent_id(scope) or os.urandom(16).hex().encode()
        state = scope.setdefault("state", {})
        state["request_id"] = raw_id.decode()
        status = 0
        observer = self._observer
        if observer is not None:
            observer.begun()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [header for header in message["headers"] if header[0] != b"x-request-id"]
                headers.append((b"x-request-id", raw_id))
                if added := state.get("answer_headers"):
                    names = {name for name, _ in added}
                    headers = [header for header in headers if header[0] not in names] + added
                if self._timing:
                    headers.append((b"server-timing", _timing(state, time.perf_counter() - started_at)))
                message["headers"] = headers
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started_at
            route = self._route_of(scope)
            if observer is not None:
                observer.ended(scope["method"], route, status, seconds)
            if scope["path"] not in self._quiet:
                self._access(scope, route, status, seconds)


def _sent_id(scope: Scope) -> bytes | None:
    """The client's id; two of them are none."""
    sent: list[bytes] = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(sent) == 1 and _WELL_FORMED.match(sent[0]):
        return sent[0]
    return None


def _timing(state: dict[str, object], seconds: float) -> bytes:
    """The value of `Server-Timing`, durations in milliseconds."""
    value = f"total;dur={seconds * 1000:.1f}"
    upstream_s = state.get("upstream_s")
    if isinstance(upstream_s, float):
        value = f"{value}, upstream;dur={upstream_s * 1000:.1f}"
    return value.encode("ascii")
