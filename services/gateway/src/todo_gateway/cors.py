"""Cross-origin requests, by the Fetch standard (https://fetch.spec.whatwg.org/#http-cors-protocol).

Task: T-023 · Spec: plan.md#cors
"""

import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from todo_service.problems import Problem, answer
from todo_service.requests import request_id

_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS = (
    b"Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, X-Request-Id, "
    b"traceparent, tracestate"
)
_EXPOSED = (
    b"ETag, Link, Location, Retry-After, X-Request-Id, X-Total-Count, "
    b"RateLimit, RateLimit-Policy, WWW-Authenticate"
)
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_NOT_KEPT = (b"cache-control", b"no-store")
_PREFLIGHT_AGE_S = b"7200"  # the longest that Chromium honours


class Cors:
    """Pure ASGI middleware: answers preflights and marks every answer for the origins that are allowed.

    `origins`: compared exactly with the `Origin` header, but for a `*`, which stands for one or more letters,
    digits and hyphens. Credentials are allowed, so none is for everybody. `Vary: Origin` stands on every
    answer, also for those without an origin: a cache must not give one client's answer to another.
    So does `X-Content-Type-Options: nosniff` (ASVS 5.0 §3.4.4), and `Cache-Control: no-store` where the
    answer says nothing of caches.
    """

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self.app = app
        exact, patterns = set(), []
        for origin in (origin.encode() for origin in origins):
            if b"*" in origin:
                patterns.append(re.escape(origin).replace(rb"\*", b"[a-z0-9-]+"))
            else:
                exact.add(origin)
        self._origins = frozenset(exact)
        self._pattern = re.compile(b"|".join(patterns)) if patterns else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An upstream's own CORS headers are replaced: this is the one place that decides."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        origin = None
        preflight = False
        for name, value in scope["headers"]:
            if name == b"origin":
                origin = value
            elif name == b"access-control-request-method":
                preflight = scope["method"] == "OPTIONS"
        extra = [(b"vary", b"Origin"), _NO_SNIFFING]
        if origin is not None and self._allows(origin):
            extra += [
                (b"access-control-allow-origin", origin),
                (b"access-control-allow-credentials", b"true"),
                (b"access-control-expose-headers", _EXPOSED),
            ]

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], *extra]
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append(_NOT_KEPT)
                message["headers"] = headers
            await send(message)

        if preflight and origin is not None:
            await self._preflight(origin, scope, receive, send_marked)
        else:
            await self.app(scope, receive, send_marked)

    def _allows(self, origin: bytes) -> bool:
        return origin in self._origins or (
            self._pattern is not None and self._pattern.fullmatch(origin) is not None
        )

    async def _preflight(self, origin: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._allows(origin):
            problem = Problem(403, "This origin is not allowed to call the API.", code="origin_not_allowed")
            await answer(problem, request_id(scope))(scope, receive, send)
            return
        headers = [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _REQUEST_HEADERS),
            (b"access-control-max-age", _PREFLIGHT_AGE_S),
            (b"vary", b"Access-Control-Request-Method, Access-Control-Request-Headers"),
        ]
        if (b"access-control-request-private-network", b"true") in scope["headers"]:
            # https://wicg.github.io/private-network-access/ (from the internet to a private network)
            headers.append((b"access-control-allow-private-network", b"true"))
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
