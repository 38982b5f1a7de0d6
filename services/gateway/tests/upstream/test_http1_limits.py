"""One exchange over real sockets: every time limit, and cancellation at every point."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from todo_gateway.upstream import ConnectFailed, ConnectTimeout, Pool, ReadTimeout, Response, WriteTimeout

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
SOON = 0.03  # seconds; a limit that a test waits out


async def whole(response: Response) -> bytes:
    try:
        return b"".join([piece async for piece in response.stream()])
    finally:
        await response.aclose()


async def hello(peer: Any) -> None:
    """Answers every request without a body."""
    while await peer.head():
        await peer.send(HELLO)


async def silent(peer: Any) -> None:
    await peer.rest()


async def pieces(*items: bytes) -> AsyncIterator[bytes]:
    for item in items:
        yield item


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


async def test_an_answer_that_does_not_begin_is_a_read_timeout(serve: Any, connect: Any) -> None:
    upstream = await serve(silent)
    with pytest.raises(ReadTimeout) as error:
        await connect(upstream, head_timeout_s=SOON).request(b"GET", b"/", [])
    assert error.value.sent
    await upstream.all_closed()


async def test_the_wait_for_the_answer_begins_when_the_upload_ends(serve: Any, connect: Any) -> None:
    with pytest.raises(ReadTimeout, match="begin"):
        await connect(await serve(silent), head_timeout_s=SOON).request(b"POST", b"/", [], pieces(b"abc"))


async def test_informational_answers_do_not_lengthen_the_wait(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        while True:
            await peer.send(b"HTTP/1.1 102 Processing\r\n\r\n")
            await asyncio.sleep(0)

    with pytest.raises(ReadTimeout):
        await connect(await serve(script), head_timeout_s=SOON, max_head_bytes=10**9).request(
            b"GET", b"/", []
        )


@pytest.mark.parametrize("part", [OK + b"content-length: 5\r\n\r\nhell", OK + b"content-length: 5\r\n\r\n"])
async def test_a_short_answer_that_falls_silent_is_a_read_timeout(
    part: bytes, serve: Any, connect: Any
) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(part)
        await peer.rest()

    with pytest.raises(ReadTimeout, match="silent"):
        await connect(await serve(script), read_timeout_s=SOON).request(b"GET", b"/", [])


async def test_a_streamed_answer_that_falls_silent_is_a_read_timeout(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(CHUNKED + b"3\r\nhel\r\n")
        await peer.rest()

    upstream = await serve(script)
    response = await connect(upstream, read_timeout_s=SOON).request(b"GET", b"/", [])
    received = []
    with pytest.raises(ReadTimeout):
        async for piece in response.stream():
            received.append(piece)
    assert received == [b"hel"]
    await upstream.all_closed()


async def wait_out(pool: Pool) -> None:
    """Let the pool's time limit pass, by what it does to a request that nobody answers."""
    with pytest.raises(ReadTimeout):
        await pool.request(b"GET", b"/never", [])


async def test_the_time_a_slow_reader_takes_is_not_counted(serve: Any, connect: Any) -> None:
    read_on = asyncio.Event()

    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(CHUNKED + b"3\r\nhel\r\n")
        await read_on.wait()
        await peer.send(b"2\r\nlo\r\n0\r\n\r\n")
        await peer.rest()

    pool = connect(await serve(script, silent), head_timeout_s=SOON, read_timeout_s=SOON)
    response = await pool.request(b"GET", b"/", [])
    await wait_out(pool)
    read_on.set()
    assert await whole(response) == b"hello"


async def test_the_time_a_slow_uploader_takes_is_not_counted(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.reader.readuntil(b"\r\n0\r\n\r\n")
        await peer.send(HELLO)
        await peer.rest()

    async def body() -> AsyncIterator[bytes]:
        yield b"abc"
        await wait_out(pool)
        yield b"def"

    pool = connect(await serve(script, silent), head_timeout_s=SOON, write_timeout_s=SOON)
    assert (await pool.request(b"POST", b"/", [], body())).body == b"hello"


async def test_the_time_it_takes_after_the_upstream_was_slow_is_not_counted_either(
    serve: Any, connect: Any
) -> None:
    async def script(peer: Any) -> None:
        tail = b""
        while not tail.endswith(b"\r\n0\r\n\r\n") and (data := await peer.reader.read(65536)):
            tail = tail[-7:] + data
        await peer.send(HELLO)
        await peer.rest()

    async def body() -> AsyncIterator[bytes]:
        for _ in range(128):
            yield bytes(65536)  # more than the system buffers at once: the transport pauses
        await wait_out(pool)
        yield b"abc"

    pool = connect(await serve(script, silent), head_timeout_s=0.3, write_timeout_s=0.3)
    assert (await pool.request(b"POST", b"/", [], body())).body == b"hello"


async def test_an_upload_that_ends_beside_the_answer_sets_no_limit_to_it(serve: Any, connect: Any) -> None:
    begun, read_on = asyncio.Event(), asyncio.Event()

    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(CHUNKED + b"3\r\nhel\r\n")
        await peer.reader.readuntil(b"\r\n0\r\n\r\n")
        await read_on.wait()
        await peer.send(b"2\r\nlo\r\n0\r\n\r\n")
        await peer.rest()

    async def body() -> AsyncIterator[bytes]:
        yield b"abc"
        await begun.wait()

    pool = connect(await serve(script, silent), head_timeout_s=SOON)
    response = await pool.request(b"POST", b"/", [], body())
    begun.set()
    await wait_out(pool)
    read_on.set()
    assert await whole(response) == b"hello"


async def test_an_upstream_that_takes_no_more_is_a_write_timeout_and_holds_the_body_back(
    serve: Any, connect: Any
) -> None:
    done = asyncio.Event()
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 65536
            yield bytes(65536)

    async def script(peer: Any) -> None:
        peer.reader._transport.pause_reading()
        await done.wait()

    pool = connect(await serve(script), write_timeout_s=SOON)
    with pytest.raises(WriteTimeout) as error:
        await pool.request(b"POST", b"/", [], body())
    done.set()
    assert error.value.sent
    assert taken < 20_000_000, "the body waits once the system's buffers are full"


async def test_a_connection_that_is_not_made_in_time_is_a_connect_timeout(serve: Any) -> None:
    upstream = await serve(silent)
    pool = Pool(upstream.origin.replace("http:", "https:"), connect_timeout_s=SOON)  # nobody there speaks TLS
    with pytest.raises(ConnectTimeout) as error:
        await pool.request(b"GET", b"/", [])
    assert not error.value.sent
    await pool.aclose()


async def test_a_refused_connection_is_reported_and_leaves_its_slot_free() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, so that nobody else takes the port, and not listening
        pool = Pool("http://127.0.0.1:%d" % unused.getsockname()[1], max_connections=1)
        for _ in range(3):
            with pytest.raises(ConnectFailed) as error:
                await pool.request(b"GET", b"/", [])
            assert not error.value.sent
        await pool.aclose()


async def test_cancelling_a_request_closes_its_connection_and_frees_its_slot(
    serve: Any, connect: Any
) -> None:
    asked = asyncio.Event()

    async def script(peer: Any) -> None:
        await peer.head()
        asked.set()
        await peer.rest()

    upstream = await serve(script, hello)
    pool = connect(upstream, max_connections=1)
    request = asyncio.create_task(pool.request(b"GET", b"/", []))
    await asked.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert (await pool.request(b"GET", b"/", [])).body == b"hello"


async def test_cancelling_an_upload_leaves_its_body_before_it_returns(serve: Any, connect: Any) -> None:
    asked = asyncio.Event()

    async def script(peer: Any) -> None:
        await peer.head()
        asked.set()
        await peer.rest()

    upstream = await serve(script, hello)
    pool = connect(upstream, max_connections=1)
    body = Unending()
    request = asyncio.create_task(pool.request(b"POST", b"/", [], body))
    await asked.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert body.was_left
    assert (await pool.request(b"GET", b"/", [])).body == b"hello"


async def test_cancelling_the_reader_of_a_stream_frees_its_slot(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(CHUNKED + b"3\r\nhel\r\n")
        await peer.rest()

    pool = connect(await serve(script, hello), max_connections=1)
    response = await pool.request(b"GET", b"/", [])
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in response.stream():
            begun.set()

    reading = asyncio.create_task(read())
    await begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (await pool.request(b"GET", b"/", [])).body == b"hello"


async def test_cancelling_at_the_moment_the_answer_comes_frees_the_slot(serve: Any, connect: Any) -> None:
    upstream = await serve(hello)
    pool = connect(upstream, max_connections=1)
    for turns in range(12):
        request = asyncio.create_task(pool.request(b"GET", b"/", []))
        for _ in range(turns):
            await asyncio.sleep(0)
        request.cancel()
        await asyncio.wait([request])
        assert (await pool.request(b"GET", b"/", [])).body == b"hello"
        assert upstream.open_connections <= 2  # the one in use, and one whose end has not been noticed there


async def test_an_answer_that_is_left_closes_its_connection(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(CHUNKED + b"3\r\nhel\r\n")
        await peer.rest()

    upstream = await serve(script)
    response = await connect(upstream).request(b"GET", b"/", [])
    await response.aclose()
    await response.aclose()
    await upstream.all_closed()
