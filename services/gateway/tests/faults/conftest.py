"""A TCP proxy that misbehaves on demand, and gateways before an upstream, an issuer or a Redis behind it.

Task: T-051 · Spec: plan.md#faults
"""

import asyncio
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp
from todo_auth import Verifier
from todo_auth.development import serving as serving_issuer
from todo_auth.testing import Issuer
from todo_gateway import app as composition
from todo_gateway.settings import GatewaySettings
from todo_gateway.shared import Sharing
from todo_gateway.upstream import Balance, Pool

Break = Literal["hang", "reset", "close", "garbage", "trickle"]


class FaultProxy:
    """Passes TCP connections on to `target`, and what it answers back, until told otherwise.

    `connections` counts all, `struck` those that met the fault.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._broken: set[asyncio.StreamWriter] = set()
        self._break: Break | None = None
        self._passes = 0
        self.connections = 0
        self.struck = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def breaks(self, how: Break | None, passes: int = 0) -> None:
        """From now on `passes` bytes come back on a connection, and then this. None: all is well again, and
        what was broken before is reset.

        `garbage`: what is no protocol; `trickle`: the rest byte by byte, one every 20 ms.
        """
        self._break, self._passes = how, passes
        for writer in self._broken:
            _reset(writer)

    async def start(self) -> None:
        """Listen: on the same port as before, if it did before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections, and reset those that are open."""
        self._server.close()
        for writer in self._open:
            _reset(writer)
        await until(lambda: not self._open)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        self.connections += 1
        inside_reader, inside_writer = await asyncio.open_connection(*self._target)
        ways = [
            asyncio.create_task(self._pass_on(reader, inside_writer)),
            asyncio.create_task(self._pass_back(inside_reader, writer)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
        for end in (writer, inside_writer):
            end.close()
            with suppress(ConnectionError):
                await end.wait_closed()
        self._open.discard(writer)
        self._broken.discard(writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def _pass_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                left = self._passes - passed
                if self._break is None or len(data) <= left:
                    passed += len(data) if self._break else 0
                    writer.write(data)
                    await writer.drain()
                    continue
                self._broken.add(writer)
                self.struck += 1
                writer.write(data[:left])
                await writer.drain()
                if self._break == "garbage":
                    writer.write(b"\x16\x03\x01 nothing that anybody speaks\r\n\r\n" * 100)
                    await writer.drain()
                elif self._break == "reset":
                    await asyncio.sleep(0.01)  # so that what passed has left for the network
                    _reset(writer)
                elif self._break == "trickle":
                    for byte in data[left:]:
                        writer.write(bytes([byte]))
                        await writer.drain()
                        await asyncio.sleep(0.02)
                elif self._break == "hang":
                    await asyncio.Event().wait()
                return


def _reset(writer: asyncio.StreamWriter) -> None:
    if writer.is_closing():
        return
    linger_none = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_none)
    writer.transport.abort()


def open_sockets() -> int:
    """How many sockets this process has open; 0 where the system does not say."""
    count = 0
    with suppress(FileNotFoundError):
        for name in os.listdir("/proc/self/fd"):
            with suppress(FileNotFoundError):
                count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return count


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it; 30 seconds are a failure."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
async def nothing_leaks() -> AsyncIterator[None]:
    """At the end there are as many sockets and tasks as before."""
    sockets, tasks = open_sockets(), len(asyncio.all_tasks())
    yield
    await until(lambda: open_sockets() <= sockets and len(asyncio.all_tasks()) <= tasks)


@pytest.fixture
async def proxy(nothing_leaks: None) -> AsyncIterator[Callable[[str], Awaitable[FaultProxy]]]:
    """`await proxy(address)` puts a fault proxy before it."""
    async with AsyncExitStack() as stack:

        async def start(target: str) -> FaultProxy:
            made = FaultProxy(target)
            await made.start()
            stack.push_async_callback(made.stop)
            return made

        yield start


@dataclass
class Gateway:
    """A gateway on a socket: a client of it with Ann's credentials, and the parts that meet the faults.

    `sharing` is None without Redis.
    """

    http: httpx.AsyncClient
    balance: Balance
    sharing: Sharing | None
    registry: CollectorRegistry

    async def recovered(self) -> None:
        """Wait until every address of the upstream is asked again."""
        await until(lambda: all(address.breaker == "closed" for address in self.balance.state()))


@pytest.fixture
async def gateway(
    serving: Callable[[ASGIApp], AbstractAsyncContextManager[str]],
    issuer: Issuer,
    monkeypatch: pytest.MonkeyPatch,
    nothing_leaks: None,
) -> AsyncIterator[Callable[..., Awaitable[Gateway]]]:
    """`await gateway(origin, …, verifier=…, sharing_timeout_s=…, options={…}, **settings)`: the gateway as it
    is composed, before these addresses, with short limits. `options`: of its `Balance`.

    At the end no request may still hold a connection.
    """
    async with AsyncExitStack() as stack:

        @asynccontextmanager
        async def entered(
            *origins: str,
            verifier: Verifier | None = None,
            sharing_timeout_s: float = 0.2,
            options: dict[str, Any] | None = None,
            **settings: Any,
        ) -> AsyncIterator[Gateway]:
            balances: list[Balance] = []
            sharings: list[Sharing] = []

            def balance(pools: Sequence[Pool], **configured: Any) -> Balance:
                short = {"open_s": 0.05, "max_open_s": 0.1}
                balances.append(Balance(pools, **{**configured, **short, **(options or {})}))
                return balances[-1]

            def sharing(*configured: Any) -> Sharing:
                # Its clock only spaces its warnings: where it stands still, a slow machine sees no second.
                sharings.append(Sharing(*configured, timeout_s=sharing_timeout_s, now=lambda: 0.0))
                return sharings[-1]

            # No setting shortens these, and nobody has the time to wait for them here.
            monkeypatch.setattr(composition, "Balance", balance)
            monkeypatch.setattr(composition, "Sharing", sharing)
            monkeypatch.setattr(composition, "Pool", partial(Pool, read_timeout_s=1, write_timeout_s=1))
            values: dict[str, Any] = {
                "better_auth_url": issuer.base_url,
                "identity_secret": "the identity secret of these tests: long enough",
                "tasks_url": ",".join(origins),
                "upstream_timeout": 1,
                **settings,
            }
            configured = GatewaySettings(_env_file=None, **values)  # type: ignore[call-arg]  # of pydantic
            registry = CollectorRegistry()
            app = composition.create_app(
                configured, verifier=verifier or Verifier(issuer.trusted()), registry=registry
            )
            async with serving(app) as address:
                credentials = {"Authorization": f"Bearer {issuer.token('ann')}"}
                async with httpx.AsyncClient(base_url=address, headers=credentials, timeout=30) as http:
                    yield Gateway(http, balances[0], sharings[0] if sharings else None, registry)
                await until(lambda: not any(each.outstanding for each in balances[0].state()))

        async def start(*origins: str, **options: Any) -> Gateway:
            return await stack.enter_async_context(entered(*origins, **options))

        yield start


@dataclass
class Process:
    """`todo-gateway serve`, ready."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
async def process(issuer: Issuer, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Process]]]:
    """`await process(**environment)`: the gateway as a process of its own, behind the issuer on a port."""
    async with AsyncExitStack() as stack:
        issuer_url = stack.enter_context(serving_issuer(issuer))
        log = stack.enter_context((tmp_path / "log").open("wb"))

        async def start(**environment: str) -> Process:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
            running = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "todo_gateway", "serve"),
                env={
                    **inherited,
                    "BETTER_AUTH_URL": issuer_url,
                    "IDENTITY_SECRET": "the identity secret of these tests: long enough",
                    "GATEWAY_PORT": str(port),
                    **environment,
                },
                cwd=tmp_path,  # where there is no `.env` that it would read
                stdout=log,
                stderr=log,
            )
            stack.push_async_callback(running.wait)
            stack.callback(running.kill)
            made = Process(running.pid, port)
            async with httpx.AsyncClient(base_url=made.url, trust_env=False) as http:
                while True:
                    assert running.returncode is None, (tmp_path / "log").read_text()
                    with suppress(httpx.TransportError):
                        if (await http.get("/healthz")).status_code == 200:
                            return made
                    await asyncio.sleep(0.02)

        yield start
