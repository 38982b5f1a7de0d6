"""What happens behind the gateway when its client leaves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.types import Message
from todo_auth.testing import Issuer
from todo_gateway.disconnect import ClientLeft, WhileConnected

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def gone() -> Message:
    return {"type": "http.disconnect"}


async def test_work_ends_when_the_client_has_left() -> None:
    with pytest.raises(ClientLeft):
        with WhileConnected(gone, grace_s=0) as client:
            client.watch()
            await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0


async def test_a_body_that_nobody_asked_for_is_not_the_client_leaving() -> None:
    messages: list[Message] = [{"type": "http.request"}, {"type": "http.request"}, await gone()]

    async def receive() -> Message:
        return messages.pop(0)

    with pytest.raises(ClientLeft):
        with WhileConnected(receive, grace_s=0) as client:
            client.watch()
            await asyncio.Event().wait()
    assert messages == []


async def test_the_cancellation_of_somebody_else_stays_one() -> None:
    async def work() -> None:
        with WhileConnected(never, grace_s=0) as client:
            client.watch()
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    for _ in range(5):
        await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait([working])
    assert working.cancelled()


async def test_an_error_of_the_work_stays_one_and_nothing_keeps_watching() -> None:
    with pytest.raises(ZeroDivisionError):
        with WhileConnected(never, grace_s=0) as client:
            client.watch()
            for _ in range(5):
                await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == 2
            raise ZeroDivisionError
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_quick_work_makes_no_task() -> None:
    with WhileConnected(gone, grace_s=60) as client:
        client.watch()
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Service:
    """An upstream that does on its first connection what a script says, and then notes that it was left."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.was_reached = asyncio.Event()
        self.was_left = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if self.was_reached.is_set():
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n[]")
        else:
            self.was_reached.set()
            try:
                await self._script(reader, writer)
            except ConnectionError:
                pass
            self.was_left.set()
        writer.close()


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


async def begins(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"9\r\ndata: 1\n\n\r\n")
    await silent(reader, writer)


async def floods(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)
    while True:
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await writer.drain()


UNFINISHED = b"POST /api/tasks HTTP/1.1\r\nhost: g\r\ncontent-length: 100000\r\n%b\r\nabc"
WHOLE = b"POST /api/tasks HTTP/1.1\r\nhost: g\r\ncontent-length: 3\r\n%b\r\nabc"
BODYLESS = b"GET /api/tasks HTTP/1.1\r\nhost: g\r\n%b\r\n"


@pytest.mark.parametrize(
    ("request_", "script", "answered"),
    [
        (BODYLESS, silent, b""),
        (WHOLE, silent, b""),
        (UNFINISHED, silent, b""),
        (BODYLESS, begins, b"data: 1"),
        (WHOLE, begins, b"data: 1"),
        (UNFINISHED, begins, b"data: 1"),
        (BODYLESS, floods, b"xxxx"),
    ],
)
async def test_the_request_behind_ends_with_its_client_and_its_place_is_free(
    request_: bytes,
    script: Script,
    answered: bytes,
    make_gateway: Callable[..., Any],
    issuer: Issuer,
    ann: dict[str, str],
) -> None:
    service = Service(script)
    server = await asyncio.start_server(service, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, make_gateway(f"http://127.0.0.1:{port}", issuer, max_upstream_connections=1) as http:
        at = urlsplit(str(http.base_url))
        reader, writer = await asyncio.open_connection(at.hostname, at.port)
        writer.write(request_ % f"authorization: {ann['Authorization']}\r\n".encode())
        async with asyncio.timeout(10):
            await service.was_reached.wait()
            if answered:
                await reader.readuntil(answered)
            writer.transport.abort()
            await service.was_left.wait()
            assert (await http.get("/api/tasks", headers=ann)).json() == [], "its place is free"
