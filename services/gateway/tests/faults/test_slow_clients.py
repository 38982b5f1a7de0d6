"""Clients that are slow on purpose, many at once, against the gateway as a process: others are served.

`SLOW_SECONDS`: for how long each attack goes on.
"""

import asyncio
import csv
import os
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from todo_auth.development import serving as serving_issuer
from todo_auth.testing import Issuer

pytestmark = pytest.mark.timeout(300)

SECONDS = float(os.environ.get("SLOW_SECONDS", "3"))
CONNECTIONS = 300

LARGE = "/docs/static/swagger-ui-bundle.js"  # a megabyte, for everybody


@pytest.fixture
async def port(issuer: Issuer, upstream: Any, tmp_path: Path) -> AsyncIterator[int]:
    """The gateway as a process, on this port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with serving_issuer(issuer) as issuer_url, (tmp_path / "log").open("wb") as log:
        environment = {
            "PATH": os.environ["PATH"],
            "BETTER_AUTH_URL": issuer_url,
            "IDENTITY_SECRET": "the identity secret of these tests and long enough",
            "TASKS_URL": upstream.url,
            "GATEWAY_PORT": str(port),
            "RATE_LIMIT": "off",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "todo_gateway", "serve"),
            env=environment,
            cwd=tmp_path,
            stdout=log,
            stderr=log,
        )
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
                while True:
                    assert process.returncode is None, (tmp_path / "log").read_text()
                    with suppress(httpx.TransportError):
                        if (await http.get("/readyz")).status_code == 200:
                            break
                    await asyncio.sleep(0.02)
            yield port
        finally:
            process.kill()
            await process.wait()


@asynccontextmanager
async def a_user(port: int, token: str) -> AsyncIterator[None]:
    """Somebody who works meanwhile, on a connection that is kept and on new ones, and is always served."""
    took_s: list[float] = []
    outcomes: list[object] = []
    is_over = asyncio.Event()

    async def work() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False
        ) as kept:
            while not is_over.is_set():
                began_at = time.monotonic()
                try:
                    with_goodbye = {"Connection": "close"} if len(took_s) % 4 == 0 else {}
                    answer = await kept.get("/api/tasks", headers={**headers, **with_goodbye})
                    outcomes.append(answer.status_code)
                except httpx.TransportError as error:
                    outcomes.append(repr(error))
                took_s.append(time.monotonic() - began_at)
                await asyncio.sleep(0.005)

    working = asyncio.create_task(work())
    try:
        yield
    finally:
        is_over.set()
        await working
    took_s.sort()
    middle, worst = took_s[len(took_s) // 2], took_s[-1]
    print(f"{len(outcomes)} requests of the user, median {middle * 1e3:.0f} ms, longest {worst * 1e3:.0f} ms")
    assert set(outcomes) == {200}
    assert len(outcomes) >= 10


Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]


async def slow_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
    """A head that does not end."""
    writer.write(b"GET /api/tasks HTTP/1.1\r\nhost: g\r\n")
    while True:
        await asyncio.sleep(0.5)
        writer.write(b"x-more: 1\r\n")
        await writer.drain()


async def slow_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
    """A body byte by byte, of somebody who may send one."""
    writer.write(
        b"POST /api/tasks HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n"
        b"content-length: 100000\r\nauthorization: Bearer %b\r\n\r\n{" % token.encode()
    )
    while True:
        await asyncio.sleep(0.5)
        writer.write(b" ")
        await writer.drain()


async def slow_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
    """A long answer byte by byte, by somebody who may have it."""
    writer.write(
        b"GET /api/tasks/long HTTP/1.1\r\nhost: g\r\nauthorization: Bearer %b\r\n\r\n" % token.encode()
    )
    while await reader.read(1):
        await asyncio.sleep(0.5)


@pytest.mark.parametrize("speak", [slow_head, slow_body, slow_read])
async def test_others_are_served_while_a_user_is_slow_on_hundreds_of_connections(
    speak: Speak, port: int, issuer: Issuer, upstream: Any
) -> None:
    long, short = b"x" * 5_000_000, b"[]"

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        body = long if scope["path"].endswith("/long") else short
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    upstream.answer = answer
    slow = 0

    async def attack() -> None:
        nonlocal slow
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        slow += 1
        try:
            await speak(reader, writer, issuer.token("mallory"))
        except ConnectionError:
            slow -= 1
        finally:
            writer.transport.abort()

    attacks = [asyncio.create_task(attack()) for _ in range(CONNECTIONS)]
    while slow < CONNECTIONS:
        await asyncio.sleep(0.01)
    async with a_user(port, issuer.token("ann")):
        await asyncio.sleep(SECONDS)
    print(f"{slow} slow connections at the end")
    for each in attacks:
        each.cancel()
    await asyncio.wait(attacks)


@pytest.mark.skipif(shutil.which("slowhttptest") is None, reason="slowhttptest is not installed")
@pytest.mark.parametrize(
    ("mode", "path"),
    [
        (("-H", "-i", "1"), "/api/tasks"),
        (("-B", "-i", "1", "-s", "8192", "-f", "application/json"), "/api/tasks"),
        (("-X", "-w", "1", "-y", "64", "-n", "1", "-z", "8"), LARGE),
    ],
    ids=["slow headers", "slow body", "slow read"],
)
async def test_others_are_served_under_slowhttptest(
    mode: tuple[str, ...], path: str, port: int, issuer: Issuer, tmp_path: Path
) -> None:
    command = [
        *("slowhttptest", *mode, "-c", str(CONNECTIONS), "-r", str(CONNECTIONS), "-v", "0"),
        *("-l", str(round(SECONDS)), "-g", "-o", str(tmp_path / "slow")),
        *("-u", f"http://127.0.0.1:{port}{path}"),
    ]
    async with a_user(port, issuer.token("ann")):
        attack = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        assert await attack.wait() == 0
    with (tmp_path / "slow.csv").open() as file:
        rows = [
            {key.strip(): value.strip() for key, value in row.items() if key} for row in csv.DictReader(file)
        ]
    print(rows)
