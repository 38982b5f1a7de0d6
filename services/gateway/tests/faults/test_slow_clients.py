"""Clients that are slow on purpose, many at once, against the gateway as a process: others are served.

`SLOW_SECONDS`: for how long each attack goes on.
"""

import asyncio
import csv
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from todo_auth.testing import Issuer

pytestmark = pytest.mark.timeout(300)

SECONDS = float(os.environ.get("SLOW_SECONDS", "2"))
CONNECTIONS = 300

MODES = (
    ("/api/tasks", "-H -i 1"),
    ("/api/tasks", "-B -i 1 -s 8192 -f application/json"),
    # A megabyte, for everybody.
    ("/docs/static/swagger-ui-bundle.js", "-X -w 1 -y 64 -n 1 -z 8"),
)
"""What slowhttptest asks for, and how: heads, bodies and reads."""


@pytest.fixture
async def port(process: Callable[..., Any], upstream: Any) -> int:
    """Of the gateway, which limits no rate: every request here comes from one address."""
    port: int = (await process(TASKS_URL=upstream.url, RATE_LIMIT="off")).port
    return port


@asynccontextmanager
async def a_user(port: int, token: str) -> AsyncIterator[None]:
    """Somebody who works meanwhile, on connections that are kept and on new ones, and is always served."""
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


async def test_others_are_served_while_a_user_is_slow_on_hundreds_of_connections(
    port: int, issuer: Issuer, upstream: Any
) -> None:
    long, short = b"x" * 5_000_000, b"[]"

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        body = long if scope["path"].endswith("/long") else short
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    upstream.answer = answer
    begun = 0

    async def attack(speak: Speak) -> None:
        nonlocal begun
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        begun += 1
        try:
            with suppress(ConnectionError):
                await speak(reader, writer, issuer.token("mallory"))
        finally:
            writer.transport.abort()

    ways = (slow_head, slow_body, slow_read)
    attacks = [asyncio.create_task(attack(way)) for way in ways for _ in range(CONNECTIONS // len(ways))]
    while begun < CONNECTIONS:
        await asyncio.sleep(0.01)
    async with a_user(port, issuer.token("ann")):
        await asyncio.sleep(SECONDS)
    print(f"{sum(not each.done() for each in attacks)} slow connections at the end")
    for each in attacks:
        each.cancel()
    await asyncio.wait(attacks)


async def test_past_the_bound_a_user_is_told_so_and_nobody_else_until_a_place_is_free(
    make_gateway: Callable[..., Any], issuer: Issuer, upstream: Any
) -> None:
    may_end = asyncio.Event()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("/held"):
            await may_end.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"[]"})

    upstream.answer = answer
    mallory = {"Authorization": f"Bearer {issuer.token('mallory')}"}
    ann = {"Authorization": f"Bearer {issuer.token('ann')}"}
    async with make_gateway(upstream.url, issuer, max_user_concurrency=32) as http:
        held = [asyncio.create_task(http.get("/api/tasks/held", headers=mallory)) for _ in range(32)]
        while len(upstream.seen) < 32:
            await asyncio.sleep(0.005)
        refused = await http.get("/api/tasks", headers=mallory)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_under_way")
        assert refused.headers["retry-after"] == "1"
        assert (await http.get("/api/tasks", headers=ann)).status_code == 200
        held.pop().cancel()  # a client that leaves gives its place back
        while (await http.get("/api/tasks", headers=mallory)).status_code != 200:
            await asyncio.sleep(0.005)
        may_end.set()
        assert {answer.status_code for answer in await asyncio.gather(*held)} == {200}
        assert (await http.get("/api/tasks", headers=mallory)).status_code == 200


@pytest.mark.skipif(shutil.which("slowhttptest") is None, reason="slowhttptest is not installed")
async def test_others_are_served_under_slowhttptest(port: int, issuer: Issuer, tmp_path: Path) -> None:
    for number, (path, mode) in enumerate(MODES):
        command = [
            *("slowhttptest", *mode.split(), "-c", str(CONNECTIONS), "-r", str(CONNECTIONS), "-v", "0"),
            *("-l", str(round(SECONDS)), "-g", "-o", str(tmp_path / f"slow-{number}")),
            *("-u", f"http://127.0.0.1:{port}{path}"),
        ]
        async with a_user(port, issuer.token("ann")):
            attack = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
            assert await attack.wait() == 0
        with (tmp_path / f"slow-{number}.csv").open() as file:
            seconds = [[int(count) for count in row[1:4]] for row in list(csv.reader(file))[1:]]
        print(f"{mode}: closed, pending, connected by second: {seconds}")
        assert max(sum(counts) for counts in seconds) >= CONNECTIONS / 2
