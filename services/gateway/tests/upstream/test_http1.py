"""Answers on one connection, over real sockets: what is delivered, and every way it ends."""

import asyncio
import socket
from typing import Any

import pytest
from todo_gateway.upstream import Disconnected, ProtocolError, Response

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


async def test_a_short_answer_comes_whole(serve: Any, connect: Any) -> None:
    response = await connect(await serve(hello)).request(b"GET", b"/", [])
    assert (response.status, response.headers, response.body) == (200, [(b"content-length", b"5")], b"hello")
    await response.aclose()
    assert await whole(response) == b"hello", "a body that came whole can be streamed too"


@pytest.mark.parametrize("size", [1, 7, 30])
async def test_a_short_answer_comes_whole_however_it_was_split(size: int, serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        peer.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(HELLO), size):
            await peer.send(HELLO[at : at + size])
            await asyncio.sleep(0)
        await peer.rest()

    response = await connect(await serve(script)).request(b"GET", b"/", [])
    assert response.body == b"hello"


async def test_a_long_answer_is_streamed_and_its_connection_used_again(serve: Any, connect: Any) -> None:
    body = bytes(range(256)) * 1024
    read_on = asyncio.Event()

    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(OK + b"content-length: %d\r\n\r\n" % len(body))
        await read_on.wait()
        await peer.send(body)
        await hello(peer)

    upstream = await serve(script)
    pool = connect(upstream)
    response = await pool.request(b"GET", b"/", [])
    assert response.body is None
    read_on.set()
    assert await whole(response) == body
    assert (await pool.request(b"GET", b"/", [])).body == b"hello"
    assert upstream.connections == 1


async def test_each_chunk_is_given_on_as_it_comes(serve: Any, connect: Any) -> None:
    heard = asyncio.Semaphore(0)

    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(CHUNKED)
        for event in (b"one", b"two", b"three"):
            await peer.send(b"%x\r\n%b\r\n" % (len(event), event))
            await heard.acquire()
        await peer.send(b"0\r\nx-trailer: t\r\n\r\n")
        await peer.rest()

    response = await connect(await serve(script)).request(b"GET", b"/", [])
    events = []
    async for piece in response.stream():
        events.append(piece)
        heard.release()
    assert events == [b"one", b"two", b"three"]


async def test_an_answer_without_a_length_ends_with_its_connection(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.0 200 OK\r\n\r\n", b"hel", b"lo")

    upstream = await serve(script, hello)
    pool = connect(upstream)
    assert await whole(await pool.request(b"GET", b"/", [])) == b"hello"
    assert (await pool.request(b"GET", b"/", [])).body == b"hello"
    assert upstream.connections == 2


async def test_connection_close_is_honoured(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(OK + b"connection: close\r\ncontent-length: 5\r\n\r\nhello")
        assert await peer.rest() == b"", "no other request comes, and the client closes"

    upstream = await serve(script)
    pool = connect(upstream)
    for _ in range(2):
        assert (await pool.request(b"GET", b"/", [])).body == b"hello"
    assert upstream.connections == 2


async def test_head_204_and_304_leave_the_connection_in_step(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(OK + b"content-length: 5\r\n\r\n")
        await peer.head()
        await peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        await peer.head()
        await peer.send(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n")
        await hello(peer)

    upstream = await serve(script)
    pool = connect(upstream)
    answers = [await pool.request(method, b"/", []) for method in (b"HEAD", b"GET", b"GET", b"GET")]
    assert [(answer.status, answer.body) for answer in answers] == [
        (200, b""),
        (204, b""),
        (304, b""),
        (200, b"hello"),
    ]
    assert upstream.connections == 1


async def test_informational_answers_are_passed_over(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(
            b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", HELLO
        )
        await peer.rest()

    response = await connect(await serve(script)).request(b"GET", b"/", [])
    assert (response.status, response.headers, response.body) == (200, [(b"content-length", b"5")], b"hello")


@pytest.mark.parametrize("cut", [b"", b"HTTP/1.1 2", OK, OK + b"content-length: 5\r\n\r\nhell"])
@pytest.mark.parametrize("reset", [False, True])
async def test_an_answer_that_ends_early_is_reported(
    cut: bytes, reset: bool, serve: Any, connect: Any
) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(cut)
        if reset:
            peer.reset()

    with pytest.raises(Disconnected) as error:
        await connect(await serve(script)).request(b"GET", b"/", [])
    assert error.value.sent


@pytest.mark.parametrize("head", [CHUNKED + b"3\r\nhel\r\n", OK + b"content-length: 1000000\r\n\r\nhel"])
async def test_a_streamed_body_that_ends_early_is_reported_after_what_came(
    head: bytes, serve: Any, connect: Any
) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(head)

    response = await connect(await serve(script)).request(b"GET", b"/", [])
    received = []
    with pytest.raises(Disconnected):
        async for piece in response.stream():
            received.append(piece)
    assert received == [b"hel"]
    await response.aclose()


async def test_a_body_without_a_length_that_ends_in_a_reset_is_reported(serve: Any, connect: Any) -> None:
    started = asyncio.Event()

    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(OK + b"\r\nhel")
        await started.wait()
        peer.reset()

    response = await connect(await serve(script)).request(b"GET", b"/", [])
    started.set()
    with pytest.raises(Disconnected):
        await whole(response)


@pytest.mark.parametrize(
    "answer",
    [
        b"\x16\x03\x01\x02\x00",
        b"HTTP/1.1 200 OK\ncontent-length: 5\n\nhello",
        OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        OK + b"x-large: " + b"a" * 70_000 + b"\r\n\r\n",
    ],
)
async def test_an_answer_that_is_not_sound_http_is_refused_and_its_connection_closed(
    answer: bytes, serve: Any, connect: Any
) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(answer)
        await peer.rest()

    upstream = await serve(script)
    with pytest.raises(ProtocolError) as error:
        await connect(upstream).request(b"GET", b"/", [])
    assert error.value.sent
    await upstream.all_closed()


async def test_damage_in_a_streamed_body_is_reported_after_what_came_before(serve: Any, connect: Any) -> None:
    damage = asyncio.Event()

    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(CHUNKED + b"3\r\nhel\r\n")
        await damage.wait()
        await peer.send(b"zz\r\n")
        await peer.rest()

    response = await connect(await serve(script)).request(b"GET", b"/", [])
    received = []
    with pytest.raises(ProtocolError):
        async for piece in response.stream():
            received.append(piece)
            damage.set()
    assert received == [b"hel"]


async def test_twenty_megabytes_reach_a_slow_reader_in_bounded_memory(serve: Any, connect: Any) -> None:
    block = bytes(range(256)) * 256

    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(OK + b"content-length: %d\r\n\r\n" % (320 * len(block)), *[block] * 320)
        await peer.rest()

    response = await connect(await serve(script)).request(b"GET", b"/", [])
    received, largest = bytearray(), 0
    async for piece in response.stream():
        received += piece
        largest = max(largest, len(piece))
        for _ in range(30):
            await asyncio.sleep(0)  # the upstream has its turns, this reader does not read
    assert received == block * 320
    assert largest <= 64 * 1024 + 256 * 1024, "what is read ahead: the buffer and one read of the event loop"
