"""One reading of every path, and nothing too large."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send
from todo_gateway.edge import Edge, Limits, Target, canonical, is_ambiguous
from todo_service.problems import Problem

SPELLINGS = [
    ("/api/tasks", "/api/tasks", None),
    ("/api/tasks/", "/api/tasks", None),
    ("/api/todos", "/api/tasks", None),
    ("/api/v1/tasks", "/api/tasks", None),
    ("/api/v1/todos/", "/api/tasks", None),
    ("/api/tasks/0190f1", "/api/tasks/0190f1", None),
    ("/api/tasks/0190f1/complete/", "/api/tasks/0190f1/complete", None),
    ("/api/ann/tasks", "/api/tasks", "ann"),
    ("/api/ann/todos/7/toggle", "/api/tasks/7/toggle", "ann"),
    ("/api/v1/ann/tasks/7", "/api/tasks/7", "ann"),
    ("/api/ann/categories", "/api/categories", "ann"),
    ("/api/ann/stats", "/api/stats", "ann"),
    ("/api/stats", "/api/stats", None),
    ("/api/categories/7", "/api/categories/7", None),
    ("/api/tasks/tasks", "/api/tasks/tasks", None),
    ("/api/tasks/v1", "/api/tasks/v1", None),
    ("/api/a%40b.c/tasks", "/api/tasks", "a@b.c"),
    ("/api/tasks/a%20b", "/api/tasks/a%20b", None),
    ("/api/%74asks", "/api/tasks", None),
]


@pytest.mark.parametrize(("sent", "path", "user_id"), SPELLINGS)
def test_every_spelling_is_read_as_the_canonical_one(sent: str, path: str, user_id: str | None) -> None:
    assert not is_ambiguous(sent.encode())
    assert canonical(sent.encode()) == Target(path, user_id)


@pytest.mark.parametrize(
    "sent",
    [
        "/",
        "/api",
        "/api/",
        "/api/v1",
        "/api/ann",
        "/api/v1/v1/tasks",
        "/api/ann/bob/tasks",
        "/apis/tasks",
        "/api/ann/v1",
    ],
)
def test_other_paths_lead_nowhere(sent: str) -> None:
    assert canonical(sent.encode()) is None


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "api/tasks",
        "*",
        "//api/tasks",
        "/api//tasks",
        "/api/tasks//",
        "/api/./tasks",
        "/api/../healthz",
        "/api/tasks/..",
        "/api/tasks/.",
        "/api/%2e%2e/healthz",
        "/api/%2E/tasks",
        "/api/tasks/.%2e",
        "/api/tasks%2f7",
        "/api/ann%2Ftasks",
        "/api/tasks/a%5cb",
        "/api/tasks/a\\b",
        "/api/tasks/%00",
        "/api/tasks/%0d%0aX-User-Id:%20bob",
        "/api/tasks/%7f",
        "/api/tasks/%ff",
        "/api/tasks/%c0%af",
        "/api/tasks/%",
        "/api/tasks/%2",
        "/api/tasks/%zz",
        "/api/tasks/%252e%252e",
        "/api/tasks;x=1",
    ],
)
def test_a_path_with_two_readings_is_refused(sent: str) -> None:
    assert is_ambiguous(sent.encode())


@given(st.text(st.characters(codec="ascii"), max_size=40).map(lambda text: f"/api/{text}".encode()))
def test_what_passes_is_forwarded_as_one_plain_path(raw_path: bytes) -> None:
    if is_ambiguous(raw_path):
        return
    target = canonical(raw_path)
    if target is not None:
        forwarded = target.path.encode()
        assert not is_ambiguous(forwarded)
        assert canonical(forwarded) == Target(target.path, None)


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
