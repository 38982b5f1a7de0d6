"""The issuer's troubles, on a real socket: those who hold tokens with known keys notice none of them.

Task: T-038 · Spec: plan.md#proof-of-the-verifier
"""

import asyncio
import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from todo_auth import Identity, KeySet, KeysUnavailable, TrustedIssuer, Verifier
from todo_auth.key_document import MAX_KEY_SET_BYTES
from todo_auth.testing import Clock, Issuer

CROWD = 100
FETCH_S = 60
"""How long a fetch may take, in the event loop's time."""

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def pass_time(seconds: float) -> None:
    """Moves the event loop's time, which else stands still: nothing is late because a machine is slow."""
    loop = asyncio.get_running_loop()
    moment = loop.time() + seconds
    loop.time = lambda: moment  # type: ignore[method-assign]  # asyncio offers no other way


@pytest.fixture(autouse=True)
async def time_stands_still() -> None:
    pass_time(0)


def response(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    lines = [
        f"HTTP/1.1 {status}",
        "content-type: application/json",
        f"content-length: {length}",
        "connection: close",
    ]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def say(data: bytes) -> Answer:
    """Answers with these bytes and closes the connection."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return answer


async def hang(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def hang_too_long(writer: asyncio.StreamWriter) -> None:
    pass_time(FETCH_S)
    await hang(writer)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte at a time, so that no single read is late, but the whole of it is."""
    for byte in response(b'{"keys":[]}' + b" " * 100_000)[:50]:
        writer.write(bytes([byte]))
        await writer.drain()
        pass_time(FETCH_S / 50)
        await asyncio.sleep(0)
    await hang(writer)


async def flood(writer: asyncio.StreamWriter) -> None:
    """50 MB, in chunks, until nobody takes them."""
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(50):
        writer.write(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
        await writer.drain()


async def announced_flood(writer: asyncio.StreamWriter) -> None:
    """50 MB that their length announces."""
    writer.write(response(b"", length=50 * 0x100000))
    for _ in range(50):
        writer.write(b" " * 0x100000)
        await writer.drain()


BOMB = response(gzip.compress(b'{"keys":[]}' + b" " * 50 * 0x100000), "content-encoding: gzip")

FAULTS: dict[str, Answer] = {
    "hangs": hang_too_long,
    "hangs up": hang_up,
    "500": say(response(b"", status="500 Internal Server Error")),
    "429": say(response(b"{}", "retry-after: 1", status="429 Too Many Requests")),
    "HTML": say(response(b"<!doctype html><title>Sign in</title>")),
    "no key set": say(response(b'{"message":"Not found"}')),
    "204": say(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "not HTTP": say(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "drip": drip,
    "50 MB": flood,
    "50 MB, announced": announced_flood,
    "truncated": say(response(b'{"keys":[', length=1000)),
    "shorter than it says": say(response(b'{"keys":[]}', length=12)),
    "longer than it says": say(response(b'{"keys":[]}', length=5)),
    "two lengths": say(response(b'{"keys":[]}', "content-length: 3")),
    "compressed garbage": say(response(b"garbage", "content-encoding: gzip")),
    "a header without end": say(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 0x200000),
}


class Socket:
    """A port at which an issuer answers as it is told. `asked`: requests that came; `under_way`: those that
    have no whole answer; `arrived`: is set by each.
    """

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()
        self.port = 0
        self.fault: Answer | None = None
        self.asked: list[str] = []
        self.under_way = 0
        self.arrived = asyncio.Event()
        self.client = httpx.AsyncClient(timeout=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/auth/jwks"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.ensure_future(self._handle(reader, writer))
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head.split(b" ")[1].decode())
            self.under_way += 1
            self.arrived.set()
            jwks = response(json.dumps(self._issuer.jwks()).encode())
            await (self.fault or say(jwks))(writer)
            self.under_way -= 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # Nobody waits for what is left.
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def listening(issuer: Issuer) -> AsyncIterator[Socket]:
    socket = Socket(issuer)
    await socket.open()
    try:
        yield socket
    finally:
        await socket.client.aclose()
        await socket.close()


@pytest.fixture
async def socket(issuer: Issuer) -> AsyncIterator[Socket]:
    async with listening(issuer) as made:
        yield made


def verifying(issuer: Issuer, socket: Socket, clock: Clock, timeout_s: float = FETCH_S) -> Verifier:
    keys = KeySet(socket.url, client=socket.client, timeout_s=timeout_s, now=clock, sleep=clock.sleep)
    return Verifier(TrustedIssuer(issuer.base_url, frozenset({issuer.base_url}), keys), now=clock)


def crowd(verifier: Verifier, issuer: Issuer, name: str) -> "asyncio.Future[list[Identity]]":
    """A hundred verifications at once, each of a token never seen before."""
    tokens = [issuer.token(f"{name}-{number}") for number in range(CROWD)]
    return asyncio.gather(*(verifier.verify(token) for token in tokens))


async def test_a_hundred_verifications_of_a_known_key_wait_for_nobody_while_the_issuer_hangs(
    issuer: Issuer, socket: Socket, clock: Clock
) -> None:
    async with verifying(issuer, socket, clock, timeout_s=3600) as verifier:
        socket.fault = hang
        socket.arrived.clear()
        clock.moment += 300
        await verifier.verify(issuer.token("first"))
        await socket.arrived.wait()
        assert socket.under_way == 1, "the refresh is at the issuer, which does not answer"
        identities = await crowd(verifier, issuer, "ann")
        assert [identity.user_id for identity in identities] == [f"ann-{number}" for number in range(CROWD)]
        assert (len(socket.asked), socket.under_way) == (2, 1), "it still hangs, and nobody else asked"


async def test_while_a_token_waits_for_a_new_key_at_an_issuer_that_hangs_known_keys_go_on(
    issuer: Issuer, socket: Socket, clock: Clock
) -> None:
    known = issuer.keys[0]
    async with verifying(issuer, socket, clock, timeout_s=3600) as verifier:
        socket.fault = hang
        socket.arrived.clear()
        clock.moment += 2
        new = issuer.rotate()
        waiting = asyncio.ensure_future(verifier.verify(issuer.token("bob", key=new)))
        await socket.arrived.wait()
        tokens = [issuer.token(f"ann-{number}", key=known) for number in range(CROWD)]
        assert len(await asyncio.gather(*map(verifier.verify, tokens))) == CROWD
        assert not waiting.done()
        assert socket.under_way == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_the_issuer_answers_known_keys_serve_and_its_recovery_is_noticed(
    fault: str, issuer: Issuer, socket: Socket, clock: Clock
) -> None:
    known = issuer.keys[0]
    async with verifying(issuer, socket, clock) as verifier:
        socket.fault = FAULTS[fault]
        clock.moment += 300
        assert len(await crowd(verifier, issuer, "during")) == CROWD
        new = issuer.rotate("ES256")
        with pytest.raises(KeysUnavailable):
            await verifier.verify(issuer.token("bob", key=new))
        tokens = [issuer.token(f"after-{number}", key=known) for number in range(CROWD)]
        assert len(await asyncio.gather(*map(verifier.verify, tokens))) == CROWD
        socket.fault = None
        clock.moment += 1
        assert (await verifier.verify(issuer.token("bob", key=new))).user_id == "bob"


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_crowd_at_a_cold_start_is_told_503_after_one_fetch_for_all(
    fault: str, issuer: Issuer, socket: Socket, clock: Clock
) -> None:
    socket.fault = FAULTS[fault]
    verifier = verifying(issuer, socket, clock)
    tokens = [issuer.token(f"ann-{number}") for number in range(CROWD)]
    outcomes = await asyncio.gather(*map(verifier.verify, tokens), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {KeysUnavailable}
    assert len(socket.asked) == 1
    socket.fault = None
    clock.moment += 1
    assert len(await crowd(verifier, issuer, "bob")) == CROWD
    assert len(socket.asked) == 2
    await verifier.aclose()


async def test_an_issuer_that_refuses_connections_is_outlived(
    issuer: Issuer, socket: Socket, clock: Clock
) -> None:
    async with verifying(issuer, socket, clock) as verifier:
        await socket.close()
        clock.moment += 300
        assert len(await crowd(verifier, issuer, "ann")) == CROWD
        new = issuer.rotate()
        with pytest.raises(KeysUnavailable):
            await verifier.verify(issuer.token("bob", key=new))
        await socket.open()
        clock.moment += 1
        assert (await verifier.verify(issuer.token("bob", key=new))).user_id == "bob"


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
async def test_a_redirect_is_not_followed_even_to_a_key_set(
    status: str, issuer: Issuer, socket: Socket, clock: Clock
) -> None:
    async with listening(issuer) as elsewhere:
        socket.fault = say(response(b"", f"location: {elsewhere.url}", status=status))
        async with verifying(issuer, socket, clock) as verifier:
            with pytest.raises(KeysUnavailable):
                await verifier.verify(issuer.token())
        assert elsewhere.asked == []
        assert socket.asked


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(flood, id="sent"),
        pytest.param(announced_flood, id="announced"),
        pytest.param(say(BOMB), id="compressed"),
    ],
)
async def test_fifty_megabytes_are_refused_in_bounded_memory(
    answer: Answer, issuer: Issuer, socket: Socket, clock: Clock
) -> None:
    socket.fault = answer
    verifier = verifying(issuer, socket, clock, timeout_s=60)
    tracemalloc.start()
    try:
        with pytest.raises(KeysUnavailable):
            await verifier.verify(issuer.token())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    await verifier.aclose()
    # The server's own mebibytes, of which a few are in its buffers, are in the same process.
    assert peak < 12 * 0x100000


async def test_a_key_set_of_the_greatest_size_is_read(issuer: Issuer, socket: Socket, clock: Clock) -> None:
    document = json.dumps(issuer.jwks()).encode()
    socket.fault = say(response(document.ljust(MAX_KEY_SET_BYTES)))
    async with verifying(issuer, socket, clock) as verifier:
        assert (await verifier.verify(issuer.token())).user_id == "ann"
    socket.fault = say(response(document.ljust(MAX_KEY_SET_BYTES + 1)))
    async with verifying(issuer, socket, clock) as verifier:
        with pytest.raises(KeysUnavailable):
            await verifier.verify(issuer.token())
