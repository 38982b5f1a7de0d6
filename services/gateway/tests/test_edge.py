"""Nothing too large, too slow, or said for somebody else."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send
from todo_gateway.edge import Edge, Limits
from todo_service.problems import Problem

POST: Scope = {
    "type": "http",
    "method": "POST",
    "path": "/api/tasks",
    "raw_path": b"/api/tasks",
    "query_string": b"",
}


async def pass_through(
    limits: Limits, headers: list[tuple[bytes, bytes]], pieces: AsyncIterator[bytes]
) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The headers and the body that the application behind the edge gets."""
    got: list[tuple[list[tuple[bytes, bytes]], bytes]] = []

    async def receive() -> Message:
        piece = await anext(pieces, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        got.append((scope["headers"], bytes(body)))

    async def send(message: Message) -> None:
        raise AssertionError("nothing is answered here")

    await Edge(application, limits)({**POST, "headers": headers}, receive, send)
    return got[0]


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


async def dripping() -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0.01)  # never silent for as long as the limit
        yield b"a"


async def silent() -> AsyncIterator[bytes]:
    yield b"a"
    await asyncio.Event().wait()


async def test_names_that_could_be_taken_for_others_go_no_further() -> None:
    sent = [
        (b"x-user-id", b"bob"),
        (b"x_user_id", b"bob"),
        (b"txn_token", b"bob"),
        (b"x_forwarded-for", b"bob"),
        (b"content_length", b"7"),
        (b"accept", b"*/*"),
    ]
    assert await pass_through(Limits(), sent, pieces(b"{}")) == ([(b"accept", b"*/*")], b"{}")


async def test_a_body_that_grows_past_its_limit_is_refused_while_it_grows() -> None:
    with pytest.raises(Problem) as refused:
        await pass_through(Limits(body_bytes=4), [], pieces(b"aa", b"aa", b"a", b"never read"))
    assert refused.value.status == 413


@pytest.mark.parametrize("declared", [b"5", b"99999999999999999999999999", b"-1", b"x"])
async def test_a_declared_length_past_the_limit_is_refused_before_the_body(declared: bytes) -> None:
    with pytest.raises(Problem) as refused:
        await pass_through(Limits(body_bytes=4), [(b"content-length", declared)], pieces())
    assert refused.value.status == 413


@pytest.mark.parametrize(
    ("limits", "source"),
    [
        (Limits(body_silence_s=0.05), silent),
        (Limits(body_silence_s=0.05, min_body_rate=10_000), dripping),
    ],
    ids=["silence", "too slow"],
)
async def test_a_body_that_stops_or_drips_is_not_waited_for(
    limits: Limits, source: Callable[[], AsyncIterator[bytes]]
) -> None:
    with pytest.raises(Problem) as refused:
        await pass_through(limits, [], source())
    assert (refused.value.status, refused.value.headers) == (408, {"Connection": "close"})
