"""WebSockets of browsers, which cannot set headers: the token comes as a subprotocol or as the first message.

    app.add_middleware(AuthenticateWebSocket, authority=verifier)
    new WebSocket(url, ["bearer", token])                     // in the page, or:
    socket.onopen = () => socket.send(JSON.stringify({token}))

Task: T-010 · Spec: plan.md#interfaces
"""

import asyncio
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from todo_auth import jws
from todo_auth.asgi import ASGIApp, Receive, Scope, Send, close, refuse_handshake
from todo_auth.errors import (
    AuthError,
    CredentialsMissing,
    InvalidRequest,
    KeysUnavailable,
    TokenExpired,
    TokenMalformed,
    TokenTooLarge,
)
from todo_auth.identity import Identity
from todo_auth.sessions import SessionExchange
from todo_auth.verifier import Verifier

SUBPROTOCOL = "bearer"
_MAX_MESSAGE_CHARS = jws.MAX_TOKEN_CHARS + 1024


class SocketExpired(OSError):
    """A message to a client whose token has expired; ASGI has `send` raise OSError on a closed connection."""


class AuthenticateWebSocket:
    """ASGI middleware: puts the `Identity` of a WebSocket into `scope["state"]["identity"]`, where
    `CurrentUser` reads it, and ends the connection when that identity expires. Other requests pass by.

    The token is looked for in this order, and the first place that has one decides:

    1. the subprotocol after `bearer`, which the application never sees: the handshake is answered with the
       subprotocol that the application chose, or with `bearer`;
    2. headers, as `authority.authenticate` reads them: Authorization from a client that can set it; with a
       `SessionExchange`, the session cookie, if the page's `Origin` is allowed (a page of any site can open a
       WebSocket with the user's cookies, CWE-1385);
    3. the first message, JSON `{"token": "…"}` or the bare token, in at most `first_message_s` seconds and
       about 17 KiB. The connection is accepted for it, without a subprotocol; what the application accepts
       with later has no effect. `max_waiting` connections may be at this point; `first_message=False` turns
       it off.

    A refusal before the connection is accepted is the handshake's HTTP status; after it, a close code of
    4000 + that status. So is the end: 4401 `token_expired` once `exp` has passed, at the next message out, or
    while one in is waited for; the application then meets `websocket.disconnect`, or OSError from `send`.
    """

    def __init__(
        self,
        app: ASGIApp,
        authority: Verifier | SessionExchange,
        *,
        first_message: bool = True,
        first_message_s: float = 10,
        max_waiting: int = 1_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.app = app
        self._authority = authority
        self._first_message = first_message
        self._first_message_s = first_message_s
        self._max_waiting = max_waiting
        self._now = now
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application runs only for a client whose token is good."""
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        try:
            identity = await self._handshake(scope)
        except AuthError as error:
            await refuse_handshake(error, scope, send)
            return
        if identity is not None:
            await self._run(identity, scope, receive, send)
            return
        self._waiting += 1
        try:
            identity = await self._greet(receive, send)
        finally:
            self._waiting -= 1
        if identity is not None:
            await self._run(identity, scope, _replay_connect(receive), _without_accept(send))

    async def _handshake(self, scope: Scope) -> Identity | None:
        """The identity in the handshake; None when the first message may hold it."""
        offered: list[str] = scope.get("subprotocols") or []
        if SUBPROTOCOL in offered:
            return await self._authority.verify(_take_token(scope, offered))
        try:
            if isinstance(self._authority, SessionExchange):
                return await self._authority.authenticate_scope(scope)
            return await self._authority.authenticate(scope["headers"])
        except CredentialsMissing:
            if not self._first_message:
                raise
        if self._waiting >= self._max_waiting:
            raise KeysUnavailable("too many connections have yet to send their token")
        return None

    async def _greet(self, receive: Receive, send: Send) -> Identity | None:
        """Accepts, and verifies the first message; None when the connection has ended instead."""
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        try:
            try:
                async with asyncio.timeout(self._first_message_s):
                    message = await receive()
            except TimeoutError:
                raise CredentialsMissing("no first message in time") from None
            if message["type"] != "websocket.receive":
                return None
            return await self._authority.verify(token_in(message))
        except AuthError as error:
            await close(error, send)
            return None

    async def _run(self, identity: Identity, scope: Scope, receive: Receive, send: Send) -> None:
        is_over = False
        was_offered = SUBPROTOCOL in (scope.get("subprotocols") or [])

        async def end() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                await close(TokenExpired("exp has passed"), send)

        async def receive_until_expiry() -> MutableMapping[str, Any]:
            if not is_over:
                try:
                    async with asyncio.timeout(identity.expires_at - self._now()):
                        return await receive()
                except TimeoutError:
                    await end()
            return {"type": "websocket.disconnect", "code": 4401, "reason": TokenExpired.code}

        async def send_until_expiry(message: MutableMapping[str, Any]) -> None:
            if self._now() >= identity.expires_at and message["type"] != "websocket.close":
                await end()
            if is_over:
                raise SocketExpired("the token has expired")
            if message["type"] == "websocket.accept" and was_offered and not message.get("subprotocol"):
                message = {**message, "subprotocol": SUBPROTOCOL}
            await send(message)

        scope.setdefault("state", {})["identity"] = identity
        await self.app(scope, receive_until_expiry, send_until_expiry)


def token_in(message: MutableMapping[str, Any]) -> str:
    """The token in an ASGI `websocket.receive`: JSON `{"token": "…"}`, or all of the message. Raises
    TokenTooLarge, TokenMalformed.
    """
    data = message.get("text") or message.get("bytes") or ""
    if len(data) > _MAX_MESSAGE_CHARS:
        raise TokenTooLarge(f"{len(data)} characters")
    try:
        text = (data.decode() if isinstance(data, bytes) else data).strip()
        value = jws.strict_json(text.encode()) if text.startswith("{") else {"token": text}
    except ValueError:
        raise TokenMalformed("the first message is neither a token nor JSON") from None
    token = value.get("token") if isinstance(value, dict) else None
    if not isinstance(token, str) or not token:
        raise TokenMalformed("no token in the first message")
    return token


def _take_token(scope: Scope, offered: list[str]) -> str:
    """The offered subprotocol after `bearer`, which is taken out of the scope: it must be neither selected
    nor logged. Raises InvalidRequest.
    """
    at = offered.index(SUBPROTOCOL) + 1
    rest = offered[at + 1 :]
    if at == len(offered) or SUBPROTOCOL in offered[at:]:
        raise InvalidRequest("not one subprotocol after bearer")
    shown = [*offered[:at], *rest]
    headers = [(name, value) for name, value in scope["headers"] if name != b"sec-websocket-protocol"]
    scope["subprotocols"] = shown
    scope["headers"] = [*headers, (b"sec-websocket-protocol", ", ".join(shown).encode("latin-1"))]
    return offered[at]


def _replay_connect(receive: Receive) -> Receive:
    """Begins with the `websocket.connect` that has been taken."""
    is_first = True

    async def replay() -> MutableMapping[str, Any]:
        nonlocal is_first
        if is_first:
            is_first = False
            return {"type": "websocket.connect"}
        return await receive()

    return replay


def _without_accept(send: Send) -> Send:
    """Leaves out the application's `websocket.accept`: the connection is accepted already. A refusal by HTTP
    comes too late as well, and becomes a close.
    """

    async def forward(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "websocket.http.response.start":
            message = {"type": "websocket.close", "code": 4000 + message["status"]}
        if message["type"] not in ("websocket.accept", "websocket.http.response.body"):
            await send(message)

    return forward
