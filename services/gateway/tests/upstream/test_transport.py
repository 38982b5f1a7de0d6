"""The pool under httpx: the same requests and answers, and httpx's own errors."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from todo_gateway.upstream import ProtocolError
from todo_gateway.upstream.transport import PoolTransport

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\nx-a: 1\r\nx-a: 2\r\n\r\nhello"


async def hello(peer: Any) -> None:
    while await peer.head():
        await peer.send(HELLO)


async def test_httpx_gets_answers_over_the_pools_connection(serve: Any, connect: Any) -> None:
    upstream = await serve(hello)
    async with httpx.AsyncClient(
        transport=PoolTransport(connect(upstream)), base_url=upstream.origin
    ) as client:
        for _ in range(3):
            response = await client.get("/a?b=c", headers={"x-b": "1"})
            assert (response.status_code, response.text) == (200, "hello")
            assert response.headers.get_list("x-a") == ["1", "2"]
            assert response.http_version == "HTTP/1.1"
    assert upstream.connections == 1


async def test_httpx_sends_every_kind_of_body_with_one_framing(serve: Any, connect: Any) -> None:
    requests = []

    async def script(peer: Any) -> None:
        for end in (b'{"a":1}', b"\r\n\r\n", b"0\r\n\r\n", b"abcde"):
            requests.append(await peer.reader.readuntil(end))
            await peer.send(HELLO)
        await peer.rest()

    async def body() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"de"

    upstream = await serve(script)
    async with httpx.AsyncClient(
        transport=PoolTransport(connect(upstream)), base_url=upstream.origin
    ) as client:
        await client.post("/", json={"a": 1})
        await client.post("/")
        await client.post("/", content=body())
        await client.post("/", content=body(), headers={"content-length": "5"})
    framings = [
        [
            line
            for line in request.lower().split(b"\r\n")
            if line.startswith((b"content-length", b"transfer-encoding"))
        ]
        for request in requests
    ]
    assert framings == [
        [b"content-length: 7"],
        [b"content-length: 0"],
        [b"transfer-encoding: chunked"],
        [b"content-length: 5"],
    ]
    assert requests[2].endswith(b"\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert all(request.lower().count(b"\r\nhost: ") == 1 for request in requests)


async def test_httpx_streams_and_may_leave_early(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(OK + b"transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n")
        await peer.rest()

    upstream = await serve(script)
    async with httpx.AsyncClient(
        transport=PoolTransport(connect(upstream)), base_url=upstream.origin
    ) as client:
        async with client.stream("GET", "/") as response:
            assert await anext(response.aiter_bytes()) == b"hel"
        await upstream.all_closed()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"garbage\r\n", httpx.RemoteProtocolError),
        (b"", httpx.RemoteProtocolError),
        (OK + b"transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n", httpx.RemoteProtocolError),
    ],
)
async def test_errors_are_those_of_httpx(
    answer: bytes, error: type[Exception], serve: Any, connect: Any
) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(answer)

    upstream = await serve(script)
    async with httpx.AsyncClient(
        transport=PoolTransport(connect(upstream)), base_url=upstream.origin
    ) as client:
        with pytest.raises(error):
            await client.get("/")


async def test_the_cause_of_an_error_is_kept(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(b"garbage\r\n")

    upstream = await serve(script)
    async with httpx.AsyncClient(
        transport=PoolTransport(connect(upstream)), base_url=upstream.origin
    ) as client:
        with pytest.raises(httpx.RemoteProtocolError) as error:
            await client.get("/")
    assert isinstance(error.value.__cause__, ProtocolError)


async def test_a_silent_upstream_is_a_read_timeout_of_httpx(serve: Any, connect: Any) -> None:
    async def silent(peer: Any) -> None:
        await peer.rest()

    upstream = await serve(silent)
    pool = connect(upstream, head_timeout_s=0.03)
    async with httpx.AsyncClient(transport=PoolTransport(pool), base_url=upstream.origin) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/")


async def test_another_origin_is_refused(serve: Any, connect: Any) -> None:
    upstream = await serve(hello)
    async with httpx.AsyncClient(transport=PoolTransport(connect(upstream))) as client:
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get("http://other.test/")
    assert upstream.connections == 0
