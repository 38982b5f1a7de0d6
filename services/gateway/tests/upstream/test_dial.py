"""Connections to names that have several addresses."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from todo_gateway.upstream import ConnectFailed, ConnectTimeout, Pool
from todo_gateway.upstream.dial import dial

Found = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """`names(address, …)`: every name has these addresses; gives the names that were looked up."""

    def give(*addresses: str) -> list[str]:
        asked: list[str] = []

        async def getaddrinfo(host: str, port: int, **_: Any) -> list[Found]:
            asked.append(host)
            families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
            return [
                (family, socket.SOCK_STREAM, 6, "", (address, port))
                for family, address in zip(families, addresses, strict=True)
            ]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        return asked

    return give


@pytest.fixture
def port() -> int:
    """A port that is free on every address of this machine."""
    with socket.create_server(("0.0.0.0", 0)) as taken:
        number: int = taken.getsockname()[1]
        return number


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello")
    writer.close()


async def test_the_next_address_is_taken_where_one_refuses(names: Any, port: int) -> None:
    server = await asyncio.start_server(hello, "127.0.0.2", port)
    names("127.0.0.3", "127.0.0.2")
    pool = Pool(f"http://upstream.test:{port}")
    async with server:
        assert (await pool.request(b"GET", b"/")).body == b"hello"
    await pool.aclose()


async def test_a_name_is_looked_up_for_every_new_connection(names: Any, port: int) -> None:
    server = await asyncio.start_server(hello, "127.0.0.2", port)
    asked = names("127.0.0.2")
    pool = Pool(f"http://upstream.test:{port}")
    async with server:
        for _ in range(3):
            await pool.request(b"GET", b"/")
    assert asked == ["upstream.test"] * 3
    await pool.aclose()


async def test_an_address_that_swallows_packets_leaves_time_for_the_others(names: Any, port: int) -> None:
    full = socket.create_server(("127.0.0.3", port), backlog=0)
    waiting = []
    for _ in range(4):  # a listener whose backlog is full drops what comes
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.3", port))
        waiting.append(client)
    server = await asyncio.start_server(hello, "127.0.0.2", port)
    names("127.0.0.3", "127.0.0.2")
    pool = Pool(f"http://upstream.test:{port}", connect_timeout_s=1)
    async with server:
        assert (await pool.request(b"GET", b"/")).body == b"hello"
    await pool.aclose()
    for client in (*waiting, full):
        client.close()


async def test_families_take_turns(names: Any, port: int) -> None:
    server = await asyncio.start_server(hello, "127.0.0.2", port)
    refusing = [f"127.0.1.{n}" for n in range(10)]
    names("::1", *[f"fd00::{n}" for n in range(10)], "127.0.0.2", *refusing)
    pool = Pool(f"http://upstream.test:{port}")
    async with server:
        assert (await pool.request(b"GET", b"/")).body == b"hello"
    await pool.aclose()


async def test_all_refusing_is_a_failed_connection(names: Any, port: int) -> None:
    names("127.0.0.2", "127.0.0.3")
    with pytest.raises(ConnectFailed):
        await dial(asyncio.Protocol, "upstream.test", port, tls=None, timeout_s=5)


async def test_a_name_without_addresses_is_a_failed_connection(names: Any) -> None:
    names()
    with pytest.raises(ConnectFailed):
        await dial(asyncio.Protocol, "upstream.test", 80, tls=None, timeout_s=5)


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a..b", "x" * 64 + ".test"])
async def test_a_name_that_does_not_exist_is_a_failed_connection(host: str) -> None:
    with pytest.raises(ConnectFailed):
        await dial(asyncio.Protocol, host, 80, tls=None, timeout_s=5)


async def test_a_resolver_that_hangs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any, **__: Any) -> list[Found]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    with pytest.raises(ConnectTimeout):
        await dial(asyncio.Protocol, "upstream.test", 80, tls=None, timeout_s=0.05)
