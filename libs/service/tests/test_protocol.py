"""The server's protocol, over real sockets: what is written, in how many pieces, and what is not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from todo_service.protocol import OneWriteProtocol

Headers = list[tuple[bytes, bytes]]
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Recording:
    """A transport that keeps what was written, piece by piece."""

    def __init__(self, transport: asyncio.Transport, pieces: list[bytes]) -> None:
        self._transport = transport
        self._pieces = pieces

    def write(self, data: bytes) -> None:
        self._pieces.append(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Client:
    """One connection to the server, and what the server has written on all of them."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pieces: list[bytes]
    ) -> None:
        self.reader, self.writer, self.pieces = reader, writer, pieces

    async def ask(self, request: bytes = GET) -> bytes:
        """The head of the answer, and its body where the head has its length."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            if line.startswith(b"content-length: ") and not request.startswith(b"HEAD"):
                return head + await self.reader.readexactly(int(line.split()[1]))
        return head


Connected = Callable[..., Any]


@pytest.fixture
def connected() -> Connected:
    @asynccontextmanager
    async def serve(app: ASGIApp, **config: Any) -> AsyncIterator[Client]:
        pieces: list[bytes] = []

        class Protocol(OneWriteProtocol):
            def connection_made(self, transport: Any) -> None:
                super().connection_made(Recording(transport, pieces))  # type: ignore[arg-type]

        settings = uvicorn.Config(
            app, port=0, http=Protocol, lifespan="off", log_config=None, server_header=False, **config
        )
        server = uvicorn.Server(settings)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0)
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield Client(reader, writer, pieces)
        writer.close()
        server.should_exit = True
        await serving

    return serve


def answering(
    *body: bytes,
    status: int = 200,
    headers: Headers = [],
    between: Callable[[], Awaitable[object]] | None = None,
) -> ASGIApp:
    """An application that answers in these pieces."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for number, piece in enumerate(body, 1):
            if between is not None:
                await between()
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(body)})

    return app


async def test_an_answer_with_a_length_leaves_in_one_piece(connected: Connected) -> None:
    async with connected(answering(b"hello", headers=[(b"content-length", b"5")])) as client:
        answer = await client.ask()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n\r\nhello")
        assert client.pieces == [answer]
        assert await client.ask() == answer  # the connection is kept


async def test_the_head_of_a_stream_leaves_before_its_body(connected: Connected) -> None:
    told = asyncio.Event()
    async with connected(answering(b"a", b"b", between=told.wait)) as client:
        head = await client.ask()
        assert b"transfer-encoding: chunked\r\n" in head
        told.set()
        assert await client.reader.readexactly(17) == b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"


async def test_a_body_in_pieces_is_whole(connected: Connected) -> None:
    large = b"x" * 300_000
    async with connected(answering(large, large, headers=[(b"content-length", b"600000")])) as client:
        answer = await client.ask()
        assert answer.partition(b"\r\n\r\n")[2] == large * 2


async def test_head_has_the_headers_alone(connected: Connected) -> None:
    async with connected(answering(b"hello", headers=[(b"content-length", b"5")])) as client:
        answer = await client.ask(GET.replace(b"GET", b"HEAD"))
        assert b"content-length: 5\r\n" in answer
        assert await client.ask() == answer + b"hello"


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_is_not_chunked(connected: Connected, status: int) -> None:
    async with connected(answering(b"", status=status)) as client:
        assert b"chunked" not in await client.ask()
        assert (await client.ask()).startswith(b"HTTP/1.1 %d" % status)


@pytest.mark.parametrize("length", [b"3", b"9"])
async def test_a_body_of_another_length_ends_the_connection(connected: Connected, length: bytes) -> None:
    async with connected(answering(b"hello", headers=[(b"content-length", length)])) as client:
        client.writer.write(GET)
        assert len((await client.reader.read()).partition(b"\r\n\r\n")[2]) < 9
        assert client.reader.at_eof()


@pytest.mark.parametrize(
    "header",
    [(b"x-a", b"a\r\nset-cookie: b"), (b"x-a", b"a\0"), (b"x a", b"b"), (b"x-a:", b"b"), (b"a\n", b"b")],
)
async def test_a_header_that_could_end_its_line_is_500_and_not_sent(
    connected: Connected, header: tuple[bytes, bytes]
) -> None:
    async with connected(answering(b"", headers=[header])) as client:
        answer = await client.ask()
        assert answer.startswith(b"HTTP/1.1 500 ") and b"set-cookie" not in answer and b"x-a" not in answer


async def test_requests_on_one_connection_are_answered_in_their_order(connected: Connected) -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/1":
            await asyncio.sleep(0.02)  # the second would overtake it
        body = b"%s?%s" % (scope["path"].encode(), scope["query_string"])
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})

    async with connected(echo) as client:
        client.writer.write(GET.replace(b" /", b" /1?a=%20") + GET.replace(b" /", b" /%C3%A9"))
        answers = b""
        while answers.count(b"?") < 2 or not answers.endswith("/é?".encode()):
            answers += await client.reader.read(65536)
        assert answers.index(b"/1?a=%20") < answers.index("/é?".encode())


async def test_a_connection_that_nobody_uses_is_closed(connected: Connected) -> None:
    app = answering(b"hello", headers=[(b"content-length", b"5")])
    async with connected(app, timeout_keep_alive=0.2) as client:
        for _ in range(3):
            assert (await client.ask()).endswith(b"hello")
        assert await client.reader.read() == b""


async def test_a_slow_answer_is_no_pause(connected: Connected) -> None:
    loop = asyncio.get_running_loop()

    async def a_while() -> None:
        until = loop.time() + 0.3
        while loop.time() < until:
            await asyncio.sleep(0.01)

    app = answering(b"hello", headers=[(b"content-length", b"5")], between=a_while)
    async with connected(app, timeout_keep_alive=0.1) as client:
        for _ in range(2):
            assert (await client.ask()).endswith(b"hello")


async def test_whoever_asks_for_the_end_of_the_connection_gets_it(connected: Connected) -> None:
    app = answering(b"hello", headers=[(b"content-length", b"5")])
    async with connected(app) as client:
        answer = await client.ask(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert b"connection: close\r\n" in answer
        assert await client.reader.read() == b""


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "http.response.body", "body": b""}],
        [{"type": "http.response.start", "status": 200}] * 2,
        [{"type": "http.response.start", "status": 200}, *[{"type": "http.response.body"}] * 2],
    ],
)
async def test_messages_out_of_turn_are_an_error_of_the_application(
    connected: Connected, messages: list[dict[str, Any]]
) -> None:
    errors: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            for message in messages:
                await send(message)
        except RuntimeError as error:
            errors.append(error)
            raise

    async with connected(app) as client:
        client.writer.write(GET)
        await client.reader.read(1)
        assert [str(error) for error in errors] == [
            f"The ASGI message {messages[-1]['type']} is out of turn."
        ]
