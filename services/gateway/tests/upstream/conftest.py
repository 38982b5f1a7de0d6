"""An upstream that does on every connection what a test's script says, byte by byte, over real sockets."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
import uvloop
from todo_gateway.upstream import Pool


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Both event loops that the client may run on."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Peer:
    """The upstream's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> bytes:
        """The next request's head, its empty line included."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def send(self, *pieces: bytes) -> None:
        """Send each piece once the one before it has left for the network."""
        for piece in pieces:
            if self.writer.is_closing():
                raise ConnectionResetError  # uvloop makes it a RuntimeError
            self.writer.write(piece)
            await self.writer.drain()

    async def rest(self) -> bytes:
        """Everything up to the end of the connection, in good order or not."""
        received = bytearray()
        with suppress(ConnectionError):
            while data := await self.reader.read(65536):
                received += data
        return bytes(received)

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        linger_none = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_none)
        self.writer.transport.abort()


def open_sockets() -> int:
    """How many sockets this process has open; 0 where the system does not say."""
    count = 0
    with suppress(FileNotFoundError):
        for name in os.listdir("/proc/self/fd"):
            with suppress(FileNotFoundError):
                count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return count


Script = Callable[[Peer], Awaitable[None]]


class Upstream:
    """A server on a free port. Its n-th connection runs the n-th script, further ones the last."""

    def __init__(self, scripts: tuple[Script, ...]) -> None:
        self._scripts = scripts
        self._running: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self.connections = 0

    async def __aenter__(self) -> "Upstream":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.origin = "http://127.0.0.1:%d" % self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        try:
            await self.all_closed()
        finally:
            for task in self._running:
                task.cancel()
            await self._server.wait_closed()
        for failure in self._failures:
            raise failure

    @property
    def open_connections(self) -> int:
        return len(self._running)

    async def all_closed(self) -> None:
        """Wait until every script has run to its end; a script that waits for the client ends with it."""
        async with asyncio.timeout(10):  # a connection that stays open is a failure, not a hang
            while self._running:
                await asyncio.wait(self._running)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        try:
            await script(Peer(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left, which is for the test to judge
        except Exception as failure:
            self._failures.append(failure)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self._running.discard(task)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Upstream]]]:
    """`await serve(script, …)` starts an upstream; at the end every script must have ended."""
    async with AsyncExitStack() as stack:

        async def start(*scripts: Script) -> Upstream:
            return await stack.enter_async_context(Upstream(scripts))

        yield start


@pytest.fixture
async def connect(serve: object) -> AsyncIterator[Callable[..., Pool]]:
    """`connect(upstream, **limits)` makes a pool; at the end it is closed, and neither a socket nor an error
    that nobody saw is left.
    """
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    before = open_sockets()
    async with AsyncExitStack() as stack:
        upstreams: list[Upstream] = []

        def make(upstream: Upstream, **limits: Any) -> Pool:
            upstreams.append(upstream)
            limits.setdefault("keepalive_s", 3600)  # so that a connection is never closed by the time alone
            pool = Pool(upstream.origin, **limits)
            stack.push_async_callback(pool.aclose)
            return pool

        yield make
    for upstream in upstreams:
        await upstream.all_closed()
    listening = len({upstream.origin for upstream in upstreams})
    assert open_sockets() <= before + listening, "a socket leaked"
    assert unseen == []
