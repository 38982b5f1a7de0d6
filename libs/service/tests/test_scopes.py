"""The layers, with what is no plain request: an application's start and end, an answer of its own."""

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from todo_service.problems import Problems
from todo_service.requests import Requests


async def receive() -> Message:
    raise AssertionError("nobody asks")


async def send(_: Message) -> None:
    raise AssertionError("nobody answers")


@pytest.mark.parametrize("layer", [Problems, Requests])
async def test_what_is_no_request_passes_a_layer_as_it_came(layer: type[Problems | Requests]) -> None:
    seen: list[tuple[Scope, Receive, Send]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))

    layered: ASGIApp = layer(app)
    await layered({"type": "lifespan"}, receive, send)
    assert seen == [({"type": "lifespan"}, receive, send)]


async def test_an_error_at_the_start_is_no_answer_but_ends_the_process() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise OSError("the database is not there")

    with pytest.raises(OSError, match="the database is not there"):
        await Problems(app)({"type": "lifespan"}, receive, send)


async def test_where_nothing_was_asked_of_others_the_timing_is_the_total_alone() -> None:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def note(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/healthz", "headers": []}
    await Requests(app, timing=True)(scope, receive, note)
    timing = dict(sent[0]["headers"])[b"server-timing"]
    assert timing.startswith(b"total;dur=")
    assert b"," not in timing
