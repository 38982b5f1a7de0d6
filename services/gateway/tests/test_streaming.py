"""What passes through the gateway while it is still being made: uploads, downloads, events."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from todo_auth.testing import Issuer


async def connected(http: httpx.AsyncClient) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A bare connection to the server that a client is for."""
    at = urlsplit(str(http.base_url))
    return await asyncio.open_connection(at.hostname, at.port)


async def test_each_event_passes_at_once(http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]) -> None:
    was_read = asyncio.Event()

    async def events(scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")],
            }
        )
        for number in range(3):
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
            await was_read.wait()  # the next one is not made before this one has arrived
            was_read.clear()
        await send({"type": "http.response.body", "body": b""})

    upstream.answer = events
    seen = []
    async with asyncio.timeout(10), http.stream("GET", "/api/tasks", headers=ann) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        async for piece in answer.aiter_text():
            seen.append(piece)
            was_read.set()
    assert seen == ["data: 0\n\n", "data: 1\n\n", "data: 2\n\n"]


EXPECTING = (
    b"POST /api/tasks HTTP/1.1\r\nhost: g\r\nexpect: 100-continue\r\ncontent-length: 2\r\n"
    b"content-type: application/json\r\n%b\r\n"
)


async def test_a_client_that_asks_first_is_told_to_go_on_only_once_it_is_known(
    http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    async with asyncio.timeout(10):
        reader, writer = await connected(http)
        writer.write(EXPECTING % b"authorization: Bearer nonsense\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 401 "), "and no 100 before it"
        writer.close()

        reader, writer = await connected(http)
        writer.write(EXPECTING % f"authorization: {ann['Authorization']}\r\n".encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()
    (seen,) = upstream.seen
    assert (seen.body, seen.all("expect")) == (b"{}", [])


async def test_an_identity_in_a_trailer_is_thrown_away(
    http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    async with asyncio.timeout(10):
        reader, writer = await connected(http)
        writer.write(
            b"POST /api/tasks HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\ntrailer: x-user-id\r\n"
            b"authorization: %b\r\n\r\n2\r\n{}\r\n0\r\nx-user-id: bob\r\n\r\n" % ann["Authorization"].encode()
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 ")
        writer.close()
    (seen,) = upstream.seen
    assert (seen.body, seen.all("x-user-id"), seen.all("trailer")) == (b"{}", ["ann"], [])


async def test_an_answers_trailers_and_hop_by_hop_headers_stop_here(
    make_gateway: Callable[..., Any], issuer: Issuer, ann: dict[str, str]
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: close, X-Inside\r\nx-inside: secret\r\nkeep-alive: timeout=9\r\n"
            b'proxy-authenticate: Basic\r\ntrailer: x-late\r\ntransfer-encoding: chunked\r\netag: "1"\r\n\r\n'
            b"2\r\n[]\r\n0\r\nx-late: secret\r\n\r\n"
        )
        writer.close()

    server = await asyncio.start_server(script, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with make_gateway(f"http://127.0.0.1:{port}", issuer) as http:
            answer = await http.get("/api/tasks", headers=ann)
    assert (answer.status_code, answer.json(), answer.headers["etag"]) == (200, [], '"1"')
    assert "secret" not in str(answer.headers.raw)
    assert not {"keep-alive", "proxy-authenticate", "trailer", "x-inside"} & set(answer.headers)


@pytest.mark.parametrize(
    "header",
    [b"x-a: 1\rx-forged: 1", b"x-a: 1\n x", b"x-a: 1\x00", b"x a: 1", b"x-a : 1", b"x-a: 1\r\n x-forged: 1"],
)
async def test_a_header_of_an_answer_that_could_become_two_makes_it_unsound(
    header: bytes, make_gateway: Callable[..., Any], issuer: Issuer, ann: dict[str, str]
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n%b\r\ncontent-length: 2\r\n\r\n[]" % header)
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(script, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with make_gateway(f"http://127.0.0.1:{port}", issuer) as http:
            answer = await http.get("/api/tasks", headers=ann)
    assert answer.status_code == 502
    assert "forged" not in str(answer.headers.raw)


async def test_a_reader_that_stops_stops_the_service(
    http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    sent = 0
    is_over = False

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not is_over:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent += 65536

    upstream.answer = flood
    reader, writer = await connected(http)
    writer.write(
        b"GET /api/tasks HTTP/1.1\r\nhost: g\r\nauthorization: %b\r\n\r\n" % ann["Authorization"].encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    before = -1
    async with asyncio.timeout(20):
        while sent != before:  # until nothing more fits between the two
            before = sent
            await asyncio.sleep(0.3)
    assert sent < 32 * 1024 * 1024
    is_over = True
    writer.transport.abort()


UPLOAD_BYTES = 64 * 1024 * 1024
PIECE = b"x" * 65536

GATEWAY = """
import asyncio, json, sys
import uvicorn
from todo_auth import Verifier
from todo_auth.testing import Issuer
from todo_gateway.app import create_app
from todo_gateway.settings import GatewaySettings

issuer = Issuer("http://issuer.test")
app = create_app(
    GatewaySettings(
        _env_file=None,
        better_auth_url="http://issuer.test",
        identity_secret="the identity secret of these tests and long enough",
        tasks_url=sys.argv[1],
        max_body_bytes=1 << 30,
    ),
    verifier=Verifier(issuer.trusted()),
)
server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, http="httptools"))

async def serve():
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    print(json.dumps([port, issuer.token("ann")]), flush=True)
    await serving

asyncio.run(serve())
"""


def peak_bytes(pid: int) -> int:
    """The most memory that a process has held so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the system does not say")


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the system does not tell peak memory")
async def test_a_large_upload_passes_in_little_memory() -> None:
    received = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        while await reader.readuntil(b"\r\n\r\n"):
            left = UPLOAD_BYTES
            while left:
                piece = await reader.read(min(left, 1 << 20))
                left -= len(piece)
                received += len(piece)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]")

    async def body() -> AsyncIterator[bytes]:
        for _ in range(UPLOAD_BYTES // len(PIECE)):
            yield PIECE

    server = await asyncio.start_server(script, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        command = [sys.executable, "-c", GATEWAY, f"http://127.0.0.1:{port}"]
        gateway = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            assert gateway.stdout is not None
            line = await asyncio.to_thread(gateway.stdout.readline)
            gateway_port, token = httpx.Response(200, content=line).json()
            headers = {"Authorization": f"Bearer {token}", "Content-Length": str(UPLOAD_BYTES)}
            url = f"http://127.0.0.1:{gateway_port}/api/tasks"
            async with httpx.AsyncClient(timeout=60) as client:
                assert (await client.get(url.replace("/api/tasks", "/healthz"))).status_code == 200
                before = peak_bytes(gateway.pid)
                answer = await client.post(url, headers=headers, content=body())
                grown = peak_bytes(gateway.pid) - before
            assert (answer.status_code, received) == (200, UPLOAD_BYTES)
            assert grown < 20 * 1024 * 1024
        finally:
            gateway.terminate()
            await asyncio.to_thread(gateway.wait)
            if gateway.stdout is not None:
                gateway.stdout.close()
