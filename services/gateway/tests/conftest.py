"""A gateway on a real socket, before an upstream on a real socket that records what reaches it."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send
from todo_auth import IdentityVerifier, Verifier
from todo_auth.testing import Issuer
from todo_gateway.app import create_app
from todo_gateway.settings import GatewaySettings
from todo_service.tracing.spans import Tracing

SECRET = "the identity secret of these tests and long enough"
ORIGIN = "http://localhost:3000"


@asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[str]:
    """Serves on a free port for as long as it is entered; gives the address."""
    server = uvicorn.Server(
        uvicorn.Config(
            app, port=0, log_config=None, server_header=False, proxy_headers=False, http="httptools"
        )
    )
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0)
        if serving.done():
            await serving
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@pytest.fixture
def serving() -> Callable[[ASGIApp], AbstractAsyncContextManager[str]]:
    """`listening`, for tests that serve an application of their own."""
    return listening


@dataclass
class Seen:
    """One request as the upstream got it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for header, value in self.headers if header == name]


@dataclass
class Upstream:
    """An upstream that records, and answers what it is told to; `/readyz` is fine."""

    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(
        default_factory=lambda: [(b"content-type", b"application/json")]
    )
    body: bytes = b"[]"
    answer: Callable[[Scope, Receive, Send], Awaitable[None]] | None = None
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        target = scope["raw_path"].decode()
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode()
        headers = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]]
        if target == "/readyz":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        self.seen.append(Seen(scope["method"], target, headers, bytes(body)))
        if self.answer is not None:
            await self.answer(scope, receive, send)
            return
        headers_sent = [*self.headers, (b"content-length", str(len(self.body)).encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": headers_sent})
        await send({"type": "http.response.body", "body": self.body})


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    async with listening(made) as url:
        made.url = url
        yield made


@pytest.fixture
async def another_upstream() -> AsyncIterator[Upstream]:
    """A second service."""
    made = Upstream()
    async with listening(made) as url:
        made.url = url
        yield made


@pytest.fixture
def issuer() -> Issuer:
    return Issuer("http://issuer.test")


def settings(**changes: Any) -> GatewaySettings:
    values: dict[str, Any] = {
        "better_auth_url": "http://issuer.test",
        "identity_secret": SECRET,
        "cors_origins": ORIGIN,
        **changes,
    }
    return GatewaySettings(_env_file=None, **values)  # type: ignore[call-arg]  # pydantic-settings takes it


@asynccontextmanager
async def gateway_to(
    url: str,
    issuer: Issuer,
    registry: CollectorRegistry | None = None,
    traces: Tracing | None = None,
    **changes: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    configured = settings(tasks_url=url, **changes)
    app = create_app(configured, verifier=Verifier(issuer.trusted()), registry=registry, traces=traces)
    async with listening(app) as address, httpx.AsyncClient(base_url=address) as http:
        yield http


@asynccontextmanager
async def redis_listening(directory: Path, port: int) -> AsyncIterator[str]:
    command = [
        "redis-server",
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
        "--save",
        "",
        "--dir",
        str(directory),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while True:
            assert process.poll() is None
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                break
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def redis_on() -> Callable[[Path, int], Any]:
    """A real Redis for as long as it is entered: `async with redis_on(directory, port) as url`."""
    return redis_listening


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found: int = listener.getsockname()[1]
    return found


@pytest.fixture
def make_settings() -> Callable[..., GatewaySettings]:
    """`settings`, for tests of what they refuse."""
    return settings


@asynccontextmanager
async def gateway_with(**changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        listening(create_app(settings(**changes))) as address,
        httpx.AsyncClient(base_url=address) as http,
    ):
        yield http


@pytest.fixture
def make_server() -> Callable[..., Any]:
    """A gateway with the verifier of its own settings."""
    return gateway_with


@pytest.fixture
def make_gateway() -> Callable[..., Any]:
    """`gateway_to`, for tests that need other settings."""
    return gateway_to


@pytest.fixture
async def http(upstream: Upstream, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway."""
    async with gateway_to(upstream.url, issuer) as client:
        yield client


@pytest.fixture
def ann(issuer: Issuer) -> dict[str, str]:
    """Ann's credentials."""
    return {"Authorization": f"Bearer {issuer.token('ann')}"}


@pytest.fixture
def door() -> IdentityVerifier:
    """What a service checks the gateway's word with."""
    return IdentityVerifier([SECRET])
