"""ASGI middleware that lets nothing through without an identity.

Task: T-010 · Spec: plan.md#interfaces
"""

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from todo_auth.errors import AuthError
from todo_auth.identity import Identity, RawHeaders

Scope = MutableMapping[str, Any]  # the ASGI specification leaves the values' types to each event
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class Authenticate:
    """Puts the request's `Identity` into `scope["state"]["identity"]`, or lets the `AuthError` rise. A
    WebSocket is refused here, before it is accepted.

    `authenticate`: from raw headers to an identity, such as `Verifier.authenticate` or
    `IdentityVerifier.authenticate`. `authenticate_scope`: instead of it, for what must know more of the
    request, such as `SessionExchange.authenticate_scope`. `exempt`: exact paths that need none.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticate: Callable[[RawHeaders], Awaitable[Identity]] | None = None,
        exempt: frozenset[str] = frozenset(),
        *,
        authenticate_scope: Callable[[Scope], Awaitable[Identity]] | None = None,
    ) -> None:
        if (authenticate is None) == (authenticate_scope is None):
            raise ValueError("one of authenticate and authenticate_scope is needed")
        self.app = app
        self._authenticate = authenticate
        self._authenticate_scope = authenticate_scope
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises AuthError, for HTTP, before the application sees anything of the request."""
        if scope["type"] != "lifespan" and scope["path"] not in self._exempt:
            try:
                if self._authenticate is not None:
                    identity = await self._authenticate(scope["headers"])
                else:
                    assert self._authenticate_scope is not None
                    identity = await self._authenticate_scope(scope)
            except AuthError as error:
                if scope["type"] != "websocket":
                    raise
                await refuse_handshake(error, scope, send)
                return
            scope.setdefault("state", {})["identity"] = identity
        await self.app(scope, receive, send)


async def refuse_handshake(error: AuthError, scope: Scope, send: Send) -> None:
    """Answers a WebSocket handshake with the error's status and headers where the server can (the ASGI
    extension `websocket.http.response`); else closes it before it is accepted, which the client sees as 403.
    """
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await close(error, send)
        return
    body = error.detail.encode()
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in error.headers.items()]
    headers += [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


async def close(error: AuthError, send: Send) -> None:
    """Closes a WebSocket with 4000 + the error's HTTP status (4401, 4403, 4503) and its code as the reason:
    the private range of RFC 6455 §7.4.2. A client that has gone already is no error.
    """
    with suppress(OSError):
        await send({"type": "websocket.close", "code": 4000 + error.status, "reason": error.code})
