"""Requests on one connection, over real sockets: their bytes, and answers that come before their end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from todo_gateway.upstream import LocalProtocolError, Response

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


async def whole(response: Response) -> bytes:
    try:
        return b"".join([piece async for piece in response.stream()])
    finally:
        await response.aclose()


async def hello(peer: Any) -> None:
    """Answers every request without a body."""
    while await peer.head():
        await peer.send(HELLO)


async def pieces(*items: bytes) -> AsyncIterator[bytes]:
    for item in items:
        yield item


@pytest.mark.parametrize(
    "header", [(b"a", b"b\r\nx: y"), (b"a\r\nx", b"y"), (b"a", b"\0"), (b"host", b"other")]
)
async def test_a_request_that_cannot_be_sent_reaches_nobody(
    header: tuple[bytes, bytes], serve: Any, connect: Any
) -> None:
    upstream = await serve(hello)
    with pytest.raises(LocalProtocolError) as error:
        await connect(upstream).request(b"GET", b"/", [header])
    assert not error.value.sent
    assert upstream.connections == 0


async def test_the_upstream_gets_exactly_the_bytes_of_the_request(serve: Any, connect: Any) -> None:
    requests = []

    async def script(peer: Any) -> None:
        for end in (b"\r\n\r\nabc", b"\r\n\r\n", b"0\r\n\r\n", b"abcde", b"\r\n\r\n"):
            requests.append(await peer.reader.readuntil(end))
            await peer.send(HELLO)
        await peer.rest()

    upstream = await serve(script)
    pool = connect(upstream)
    host = upstream.origin.removeprefix("http://").encode()
    await pool.request(b"POST", b"/a", [(b"x-a", b"1")], b"abc")
    await pool.request(b"POST", b"/b", [])
    await pool.request(b"POST", b"/c", [], pieces(b"abc", b"", b"d" * 17))
    await pool.request(b"PUT", b"/d", [], pieces(b"abc", b"", b"de"), length=5)
    await pool.request(b"PUT", b"/e", [], pieces(), length=0)
    assert requests == [
        b"POST /a HTTP/1.1\r\nhost: " + host + b"\r\nx-a: 1\r\ncontent-length: 3\r\n\r\nabc",
        b"POST /b HTTP/1.1\r\nhost: " + host + b"\r\ncontent-length: 0\r\n\r\n",
        b"POST /c HTTP/1.1\r\nhost: " + host + b"\r\ntransfer-encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n11\r\n" + b"d" * 17 + b"\r\n0\r\n\r\n",
        b"PUT /d HTTP/1.1\r\nhost: " + host + b"\r\ncontent-length: 5\r\n\r\nabcde",
        b"PUT /e HTTP/1.1\r\nhost: " + host + b"\r\ncontent-length: 0\r\n\r\n",
    ]
    assert upstream.connections == 1


async def test_a_large_body_arrives_whole_and_the_connection_is_used_again(serve: Any, connect: Any) -> None:
    body = bytes(range(256)) * 4096

    async def script(peer: Any) -> None:
        await peer.head()
        assert await peer.reader.readexactly(len(body)) == body
        await peer.send(HELLO)
        await hello(peer)

    upstream = await serve(script)
    pool = connect(upstream)
    assert (await pool.request(b"POST", b"/", [], body)).body == b"hello"
    assert (await pool.request(b"GET", b"/", [])).body == b"hello"
    assert upstream.connections == 1


@pytest.mark.parametrize("items", [(b"abc", b"def"), (b"abcdef",), (b"abc",), ()])
async def test_a_body_of_another_length_than_was_said_is_never_completed(
    items: tuple[bytes, ...], serve: Any, connect: Any
) -> None:
    sent = []

    async def script(peer: Any) -> None:
        await peer.head()
        sent.append(await peer.rest())

    upstream = await serve(script)
    with pytest.raises(LocalProtocolError) as error:
        await connect(upstream).request(b"POST", b"/", [], pieces(*items), length=5)
    assert error.value.sent
    await upstream.all_closed()
    assert all(len(body) < 5 for body in sent)


async def test_an_error_of_the_bodys_own_is_raised_as_it_is_and_ends_the_connection(
    serve: Any, connect: Any
) -> None:
    class ClientLeft(Exception):
        pass

    async def body() -> AsyncIterator[bytes]:
        yield b"abc"
        raise ClientLeft

    async def script(peer: Any) -> None:
        await peer.head()
        assert not (await peer.rest()).endswith(b"0\r\n\r\n"), "half a body must not look whole"

    upstream = await serve(script)
    with pytest.raises(ClientLeft):
        await connect(upstream).request(b"POST", b"/", [], body())
    await upstream.all_closed()


class Unending:
    """A body that gives one piece and then nothing, and knows when it was left."""

    def __init__(self) -> None:
        self.was_left = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            yield b"abc"
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)  # leaving takes a while
            self.was_left = True


@pytest.mark.parametrize("status", [b"413 Content Too Large", b"200 OK"])
async def test_a_complete_answer_to_an_unfinished_upload_is_delivered_and_ends_it(
    status: bytes, serve: Any, connect: Any
) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 " + status + b"\r\ncontent-length: 5\r\n\r\nhello")
        assert not (await peer.rest()).endswith(b"0\r\n\r\n"), "half a body must not look whole"

    upstream = await serve(script)
    body = Unending()
    response = await connect(upstream).request(b"POST", b"/", [], body)
    assert (response.status, response.body) == (int(status[:3]), b"hello")
    assert body.was_left, "its owner has the body back"
    await upstream.all_closed()


async def test_a_refusal_ends_the_upload_while_its_body_is_still_coming(serve: Any, connect: Any) -> None:
    refused = asyncio.Event()

    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Content Too Large\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n")
        await refused.wait()
        await peer.send(b"2\r\nlo\r\n0\r\n\r\n")
        await peer.rest()

    upstream = await serve(script)
    body = Unending()
    response = await connect(upstream).request(b"POST", b"/", [], body)
    assert (response.status, response.body) == (413, None)
    assert body.was_left
    refused.set()
    assert await whole(response) == b"hello"
    await upstream.all_closed()


async def test_an_answer_to_a_large_body_that_was_not_read_ends_the_connection(
    serve: Any, connect: Any
) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 5\r\n\r\nhello")
        await peer.rest()

    upstream = await serve(script)
    response = await connect(upstream).request(b"POST", b"/", [], b"x" * 20_000_000)
    assert (response.status, response.body) == (401, b"hello")
    await upstream.all_closed()


async def test_an_answer_before_the_last_bytes_have_left_ends_the_connection(
    serve: Any, connect: Any
) -> None:
    finished = asyncio.Event()

    async def script(peer: Any) -> None:
        peer.reader._transport.pause_reading()
        await finished.wait()
        await peer.send(HELLO)
        peer.reader._transport.resume_reading()
        await peer.rest()

    async def body() -> AsyncIterator[bytes]:
        transport = next(iter(pool._open))._transport
        while not transport.get_write_buffer_size():  # until the system takes no more
            yield bytes(16384)
        finished.set()

    upstream = await serve(script, hello)
    pool = connect(upstream)
    assert (await pool.request(b"POST", b"/", [], body())).body == b"hello"
    assert (await pool.request(b"GET", b"/", [])).body == b"hello"
    assert upstream.connections == 2


async def test_an_answer_may_flow_beside_the_upload(serve: Any, connect: Any) -> None:
    turn = asyncio.Semaphore(0)

    async def body() -> AsyncIterator[bytes]:
        for item in (b"one", b"two", b"three"):
            yield item
            await turn.acquire()

    async def echo(peer: Any) -> None:
        await peer.head()
        await peer.send(CHUNKED)
        while (size := int(await peer.reader.readuntil(b"\r\n"), 16)) > 0:
            piece = await peer.reader.readexactly(size + 2)
            await peer.send(b"%x\r\n" % size + piece)
        await peer.reader.readexactly(2)
        await peer.send(b"0\r\n\r\n")
        await hello(peer)

    upstream = await serve(echo)
    pool = connect(upstream)
    response = await pool.request(b"POST", b"/", [], body())
    echoed = []
    async for piece in response.stream():
        echoed.append(piece)
        turn.release()
    assert echoed == [b"one", b"two", b"three"]
    assert (await pool.request(b"GET", b"/", [])).body == b"hello"
    assert upstream.connections == 1


async def test_leaving_an_answer_beside_the_upload_ends_both(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(CHUNKED + b"3\r\nhel\r\n")
        await peer.rest()

    upstream = await serve(script)
    body = Unending()
    response = await connect(upstream).request(b"POST", b"/", [], body)
    assert response.body is None
    await response.aclose()
    assert body.was_left
    await upstream.all_closed()
