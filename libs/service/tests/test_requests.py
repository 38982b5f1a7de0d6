"""Request ids and the access line."""

import logging

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from todo_service.requests import Requests, request_id


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the id it was given, and with headers of its own."""
    headers = [(b"x-request-id", b"the application's own")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": request_id(scope).encode()})


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(Requests(echo)), base_url="http://app.test")


@pytest.mark.parametrize("sent", ["a", "0af7651916cd43dd8448eb211c80319c", "req/1:2+3=4@5._-", "x" * 128])
async def test_a_well_formed_id_is_kept_and_answered_once(sent: str) -> None:
    async with client() as http:
        answer = await http.get("/", headers={"X-Request-Id": sent})
    assert answer.text == sent
    assert answer.headers.get_list("x-request-id") == [sent]


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "a\tb", '"quoted"', "line\x0bfeed"])
async def test_an_id_that_could_forge_a_log_line_is_replaced(sent: str) -> None:
    async with client() as http:
        answer = await http.get("/", headers={"X-Request-Id": sent})
    assert answer.text != sent
    assert len(answer.text) == 32


async def test_two_ids_are_none() -> None:
    async with client() as http:
        answer = await http.get("/", headers=[("X-Request-Id", "a"), ("X-Request-Id", "b")])
    assert answer.text not in ("a", "b")


async def test_one_access_line_a_request_without_the_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "todo.access")
    async with client() as http:
        await http.get("/api/tasks?search=private", headers={"X-Request-Id": "abc"})
        await http.get("/healthz")
    (record,) = [record for record in caplog.records if record.name == "todo.access"]
    fields = vars(record)
    assert (fields["method"], fields["path"], fields["status"]) == ("GET", "/api/tasks", 200)
    assert fields["request_id"] == "abc"
    assert "private" not in str(fields)
