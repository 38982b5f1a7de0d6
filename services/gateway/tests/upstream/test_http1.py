"""One exchange on one connection, over real sockets: both bodies, every way it ends, every time limit."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from todo_gateway.upstream import (
    ConnectFailed,
    ConnectTimeout,
    Disconnected,
    LocalProtocolError,
    Pool,
    ProtocolError,
    ReadTimeout,
    Response,
    WriteTimeout,
)

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


# Answers


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


# Requests


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


# Time limits


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


# Cancellation


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
