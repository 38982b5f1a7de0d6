"""Browsers' WebSockets over a real server: subprotocol, first message, and the end of a token."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from todo_auth import Identity, Verifier
from todo_auth.asgi import ASGIApp
from todo_auth.fastapi import BearerToken, CurrentUser
from todo_auth.sessions import SessionExchange
from todo_auth.testing import Clock, Issuer
from todo_auth.websocket import AuthenticateWebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol


class Live:
    """An application that answers with the user's name, then echoes; it notes what it saw."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.scopes: list[dict[str, Any]] = []
        self.ends: list[object] = []
        self.subprotocol: str | None = None
        self.app.add_api_websocket_route("/live", self.live)

    async def live(self, connection: WebSocket, user: CurrentUser) -> None:
        self.scopes.append(dict(connection.scope))
        try:
            await connection.accept(self.subprotocol)
            await connection.send_text(user.user_id)
            while True:
                await connection.send_text(await connection.receive_text())
        except WebSocketDisconnect as end:
            self.ends.append(end.code)


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """On a free port, in this loop."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error"))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:
                await asyncio.sleep(0.005)
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}/live"
        finally:
            server.should_exit = True
            await running


@pytest.fixture
def live() -> Live:
    return Live()


@pytest.fixture
async def url(live: Live, verifier: Verifier, clock: Clock) -> AsyncIterator[str]:
    async with serving(AuthenticateWebSocket(live.app, verifier, now=clock)) as address:
        yield address


def offering(url: str, *protocols: str) -> connect:
    return connect(url, subprotocols=[Subprotocol(name) for name in protocols] or None, proxy=None)


async def status_of(connecting: Awaitable[ClientConnection]) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        await connecting
    return refusal.value.response.status_code


async def close_of(connection: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as end:
        await connection.recv()
    assert end.value.rcvd is not None
    return end.value.rcvd.code, end.value.rcvd.reason


async def test_a_token_comes_as_a_subprotocol_and_only_bearer_is_selected(
    url: str, live: Live, issuer: Issuer
) -> None:
    token = issuer.token("ann")
    async with offering(url, "bearer", token) as connection:
        assert await connection.recv() == "ann"
        assert connection.subprotocol == "bearer"
        await connection.send("hello")
        assert await connection.recv() == "hello"
    assert token not in repr(live.scopes[0]["headers"]) + repr(live.scopes[0]["subprotocols"])


async def test_the_application_may_select_a_subprotocol_of_its_own(
    url: str, live: Live, issuer: Issuer
) -> None:
    live.subprotocol = "todo.v1"
    async with offering(url, "todo.v1", "bearer", issuer.token("ann"), "todo.v0") as connection:
        assert (await connection.recv(), connection.subprotocol) == ("ann", "todo.v1")
    assert live.scopes[0]["subprotocols"] == ["todo.v1", "bearer", "todo.v0"]


async def test_a_bad_token_as_subprotocol_is_refused_before_the_connection_is_accepted(
    url: str, live: Live, issuer: Issuer
) -> None:
    assert await status_of(offering(url, "bearer", issuer.token(exp=1))) == 401
    assert await status_of(offering(url, "bearer")) == 400
    assert await status_of(offering(url, "bearer", "bearer", issuer.token())) == 400
    assert not live.scopes


async def test_a_client_that_can_set_headers_uses_authorization(url: str, issuer: Issuer) -> None:
    headers = {"Authorization": f"Bearer {issuer.token('ann')}"}
    async with connect(url, additional_headers=headers, proxy=None) as connection:
        assert await connection.recv() == "ann"
        assert connection.subprotocol is None
    bad = {"Authorization": "Bearer nonsense"}
    assert await status_of(connect(url, additional_headers=bad, proxy=None)) == 401


@pytest.mark.parametrize(
    "shape", [str, str.encode, lambda token: json.dumps({"token": token}), lambda token: f" {token}\n"]
)
async def test_a_token_comes_as_the_first_message(
    shape: Callable[[str], str | bytes], url: str, issuer: Issuer
) -> None:
    async with connect(url, proxy=None) as connection:
        await connection.send(shape(issuer.token("ann")))
        assert await connection.recv() == "ann"
        await connection.send("hello")
        assert await connection.recv() == "hello"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "token_malformed"),
        ("nonsense", "token_malformed"),
        ("{", "token_malformed"),
        ('{"token": 7}', "token_malformed"),
        ('{"token": ""}', "token_malformed"),
        ('{"token": "a", "token": "b"}', "token_malformed"),
        (b"\xff\xfe", "token_malformed"),
        ("x" * 20_000, "token_too_large"),
    ],
)
async def test_a_first_message_that_is_no_good_token_closes_with_4401(
    message: str | bytes, code: str, url: str, live: Live
) -> None:
    async with connect(url, proxy=None) as connection:
        await connection.send(message)
        assert await close_of(connection) == (4401, code)
    assert not live.scopes, "the application is not asked"


async def test_a_client_that_says_nothing_is_closed(live: Live, verifier: Verifier, clock: Clock) -> None:
    guarded = AuthenticateWebSocket(live.app, verifier, first_message_s=0.02, now=clock)
    async with serving(guarded) as url, connect(url, proxy=None) as connection:
        assert await close_of(connection) == (4401, "credentials_missing")


async def test_a_client_that_leaves_before_its_token_is_forgotten(url: str, live: Live) -> None:
    async with connect(url, proxy=None):
        pass
    assert not live.scopes


async def test_how_many_may_keep_the_server_waiting_is_bounded(
    live: Live, verifier: Verifier, issuer: Issuer, clock: Clock
) -> None:
    guarded = AuthenticateWebSocket(live.app, verifier, max_waiting=1, now=clock)
    async with serving(guarded) as url, connect(url, proxy=None) as silent:
        assert await status_of(connect(url, proxy=None)) == 503
        async with offering(url, "bearer", issuer.token("bob")) as connection:
            assert await connection.recv() == "bob"
        await silent.send(issuer.token("ann"))
        assert await silent.recv() == "ann"
        async with connect(url, proxy=None):
            pass  # the place is free again


async def test_the_first_message_can_be_turned_off(live: Live, verifier: Verifier, clock: Clock) -> None:
    guarded = AuthenticateWebSocket(live.app, verifier, first_message=False, now=clock)
    async with serving(guarded) as url:
        assert await status_of(connect(url, proxy=None)) == 401


@pytest.mark.parametrize("by", ["subprotocol", "first message"])
async def test_a_connection_ends_with_its_token_while_it_waits(
    by: str, live: Live, verifier: Verifier, issuer: Issuer, clock: Clock
) -> None:
    token = issuer.token("ann", exp=int(clock.moment) + 1)
    # The verifier's clock stands still; this one is a moment before the end.
    guarded = AuthenticateWebSocket(live.app, verifier, now=lambda: clock.moment + 0.95)
    async with serving(guarded) as url:
        async with offering(url, *(["bearer", token] if by == "subprotocol" else [])) as connection:
            if by == "first message":
                await connection.send(token)
            assert await connection.recv() == "ann"
            assert await close_of(connection) == (4401, "token_expired")
    assert live.ends == [4401]


async def test_nothing_is_sent_to_a_client_whose_token_has_expired(
    verifier: Verifier, issuer: Issuer, clock: Clock
) -> None:
    app = FastAPI()
    ended = asyncio.Event()

    @app.websocket("/live")
    async def push(connection: WebSocket) -> None:
        await connection.accept()
        try:
            while True:
                await connection.send_text("news")
                clock.moment += 400
        except WebSocketDisconnect:
            ended.set()

    async with serving(AuthenticateWebSocket(app, verifier, now=clock)) as url:
        async with offering(url, "bearer", issuer.token("ann")) as connection:
            for _ in range(3):
                assert await connection.recv() == "news"
            assert await close_of(connection) == (4401, "token_expired")
            await ended.wait()


async def test_a_session_cookie_opens_a_websocket_only_from_the_applications_pages(
    live: Live, verifier: Verifier, issuer: Issuer, clock: Clock
) -> None:
    async def token_endpoint(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"token": issuer.token("ann")}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    better_auth = await asyncio.start_server(token_endpoint, "127.0.0.1", 0)
    token_url = f"http://127.0.0.1:{better_auth.sockets[0].getsockname()[1]}/"
    cookie = {"Cookie": "better-auth.session_token=s.g"}
    async with SessionExchange(verifier, token_url, origins=["https://app.test"]) as exchange:
        async with serving(AuthenticateWebSocket(live.app, exchange, now=clock)) as url:
            for origin in ({}, {"Origin": "https://evil.test"}, {"Origin": "null"}):
                opening = connect(url, additional_headers=cookie | origin, proxy=None)
                assert await status_of(opening) == 403
            page = cookie | {"Origin": "https://app.test"}
            allowed = connect(url, additional_headers=page, proxy=None)
            async with allowed as connection:
                assert await connection.recv() == "ann"
            async with offering(url, "bearer", "opaque") as connection:
                assert await connection.recv() == "ann"
    better_auth.close()


async def test_other_requests_pass_by(verifier: Verifier) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    for kind in ("http", "lifespan"):
        await AuthenticateWebSocket(app, verifier)({"type": kind}, None, None)  # type: ignore[arg-type]
    assert seen == ["http", "lifespan"]


@pytest.mark.parametrize("status", [403, 404])
async def test_an_application_that_refuses_after_the_first_message_closes(
    status: int, verifier: Verifier, issuer: Issuer, clock: Clock
) -> None:
    app = FastAPI()

    @app.websocket("/live")
    async def refusing(connection: WebSocket) -> None:
        raise HTTPException(status)

    async with serving(AuthenticateWebSocket(app, verifier, now=clock)) as url:
        async with connect(url, proxy=None) as connection:
            await connection.send(issuer.token("ann"))
            assert (await close_of(connection))[0] == 4000 + status


async def test_the_bearer_dependency_answers_a_handshake_as_it_does_a_request(
    verifier: Verifier, issuer: Issuer
) -> None:
    app = FastAPI()

    @app.websocket("/live")
    async def live(connection: WebSocket, user: Annotated[Identity, Depends(BearerToken(verifier))]) -> None:
        await connection.accept()
        await connection.send_text(user.user_id)

    async with serving(app) as url:
        assert await status_of(connect(url, proxy=None)) == 401
        headers = {"Authorization": f"Bearer {issuer.token('ann')}"}
        async with connect(url, additional_headers=headers, proxy=None) as connection:
            assert await connection.recv() == "ann"
