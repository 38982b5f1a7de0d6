"""What a kept connection must never do: pass on what nobody asked for, or send twice what is not safe to."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from todo_gateway.upstream import ConnectFailed, Disconnected, Pool

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"


async def hello(peer: Any) -> None:
    """Answers every request without a body."""
    while await peer.head():
        await peer.send(HELLO)


async def get(pool: Pool) -> bytes | None:
    return (await pool.request(b"GET", b"/", [])).body


@pytest.mark.parametrize("extra", [OK + b"content-length: 6\r\n\r\nforged", b"x", b"\r\n"])
async def test_an_answer_that_nobody_asked_for_is_never_taken_for_the_next_one(
    extra: bytes, serve: Any, connect: Any
) -> None:
    say_it = asyncio.Event()

    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(HELLO)
        await say_it.wait()
        await peer.send(extra)
        assert await peer.rest() == b"", "no other request comes"

    upstream = await serve(script, hello)
    pool = connect(upstream)
    assert await get(pool) == b"hello"
    say_it.set()
    await upstream.all_closed()
    assert await get(pool) == b"hello"
    assert upstream.connections == 2


async def test_a_second_answer_right_behind_the_first_is_never_taken_for_the_next_one(
    serve: Any, connect: Any
) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(HELLO + OK + b"x-forged: 1\r\ncontent-length: 6\r\n\r\nforged")
        assert await peer.rest() == b"", "no other request comes"

    upstream = await serve(script, hello)
    pool = connect(upstream)
    first = await pool.request(b"GET", b"/", [])
    assert (first.headers, first.body) == ([(b"content-length", b"5")], b"hello")
    assert await get(pool) == b"hello"
    assert upstream.connections == 2


async def test_it_is_noticed_even_where_the_event_loop_has_not_read_it_yet(serve: Any, connect: Any) -> None:
    peers = []

    async def script(peer: Any) -> None:
        peers.append(peer)
        await hello(peer)

    upstream = await serve(script)
    pool = connect(upstream)
    assert await get(pool) == b"hello"
    os.write(peers[0].writer.get_extra_info("socket").fileno(), OK + b"content-length: 6\r\n\r\nforged")
    assert await get(pool) == b"hello"  # begins in the same turn of the event loop
    assert upstream.connections == 2


async def stale(peer: Any) -> None:
    """Answers once, and closes the connection at the next request as if it had been on its way out."""
    await peer.head()
    await peer.send(HELLO)
    await peer.head()


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"])
async def test_an_idempotent_request_on_a_stale_connection_is_sent_once_more(
    method: bytes, serve: Any, connect: Any
) -> None:
    again = []

    async def script(peer: Any) -> None:
        again.append(await peer.reader.readuntil(b"\r\n\r\nabc"))
        await peer.send(HELLO if method != b"HEAD" else OK + b"content-length: 5\r\n\r\n")
        await peer.rest()

    upstream = await serve(stale, script)
    pool = connect(upstream, max_connections=1)
    await get(pool)
    response = await pool.request(method, b"/again", [(b"x-a", b"1")], b"abc")
    assert response.status == 200
    assert again[0].startswith(method + b" /again ") and b"\r\nx-a: 1\r\n" in again[0]
    assert upstream.connections == 2


@pytest.mark.parametrize("method", [b"POST", b"PATCH"])
async def test_another_request_on_a_stale_connection_is_not(method: bytes, serve: Any, connect: Any) -> None:
    upstream = await serve(stale, hello)
    pool = connect(upstream, max_connections=1)
    await get(pool)
    with pytest.raises(Disconnected) as error:
        await pool.request(method, b"/", [], b"abc")
    assert error.value.sent, "it may have been done"
    assert upstream.connections == 1


async def test_a_request_whose_body_cannot_be_given_again_is_not(serve: Any, connect: Any) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"abc"

    upstream = await serve(stale, hello)
    pool = connect(upstream, max_connections=1)
    await get(pool)
    with pytest.raises(Disconnected):
        await pool.request(b"PUT", b"/", [], body())
    assert upstream.connections == 1


async def test_a_request_whose_answer_had_begun_is_not(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await stale(peer)
        await peer.send(b"H")

    upstream = await serve(script, hello)
    pool = connect(upstream, max_connections=1)
    await get(pool)
    with pytest.raises(Disconnected):
        await get(pool)
    assert upstream.connections == 1


async def test_a_request_on_a_fresh_connection_is_not(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()

    upstream = await serve(script, hello)
    with pytest.raises(Disconnected):
        await get(connect(upstream))
    assert upstream.connections == 1


async def test_nothing_is_sent_a_third_time(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()

    upstream = await serve(stale, script, hello)
    pool = connect(upstream, max_connections=1)
    await get(pool)
    with pytest.raises(Disconnected):
        await get(pool)
    assert upstream.connections == 2
    assert await get(pool) == b"hello", "and its slot is free again"


async def test_a_second_attempt_that_cannot_connect_says_that_the_first_may_have_arrived() -> None:
    served = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HELLO)
        await reader.readuntil(b"\r\n\r\n")
        server.close()
        writer.close()
        served.set()

    server = await asyncio.start_server(script, "127.0.0.1", 0)
    pool = Pool("http://127.0.0.1:%d" % server.sockets[0].getsockname()[1])
    await get(pool)
    with pytest.raises(ConnectFailed) as error:
        await get(pool)
    assert error.value.sent
    await served.wait()
    await server.wait_closed()
    await pool.aclose()
