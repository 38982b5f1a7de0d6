"""Every error has one shape, and says what to do without saying what is inside."""

import json
import logging
from collections.abc import Mapping

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.middleware import Middleware
from starlette.types import Message, Receive, Scope, Send
from todo_service import problems
from todo_service.problems import FieldError, Problem, Problems
from todo_service.requests import Requests


class Item(BaseModel):
    name: str


class Foreign(Exception):
    """An exception of another package that has what an answer needs."""

    status = 401
    code = "token_expired"
    detail = "The access token has expired."
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(middleware=[Middleware(Requests), Middleware(Problems)])
    problems.install(app)

    @app.get("/conflict")
    async def conflict() -> None:
        raise Problem(409, "It was changed meanwhile.")

    @app.get("/fields")
    async def fields() -> None:
        raise Problem(
            422,
            "Not valid.",
            errors=[FieldError("too long", pointer="/title"), FieldError("odd", parameter="q")],
        )

    @app.get("/foreign")
    async def foreign() -> None:
        raise Foreign("the reason is for the log")

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError("SELECT secret FROM host.internal")

    @app.post("/items")
    async def items(item: Item, q: int = 0) -> str:
        return item.name

    return app


def client(app: object) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # its scope type is narrower
    return httpx.AsyncClient(transport=transport, base_url="http://app.test")


async def test_a_problem_has_the_members_of_rfc_9457_and_those_that_front_ends_read(app: FastAPI) -> None:
    async with client(app) as http:
        answer = await http.get("/conflict", headers={"X-Request-Id": "abc"})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "abc"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "It was changed meanwhile.",
        "instance": "abc",
        "message": "It was changed meanwhile.",
        "error": {"code": "conflict", "message": "It was changed meanwhile."},
    }


async def test_fields_are_named_by_pointer_or_parameter(app: FastAPI) -> None:
    async with client(app) as http:
        answer = (await http.get("/fields")).json()
    assert answer["errors"] == [
        {"pointer": "/title", "detail": "too long"},
        {"parameter": "q", "detail": "odd"},
    ]


async def test_another_packages_error_is_answered_with_its_status_and_headers(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with client(app) as http:
        answer = await http.get("/foreign")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["error"]["code"] == "token_expired"
    assert "the reason" not in answer.text
    assert "the reason is for the log" in caplog.text


async def test_what_nobody_foresaw_is_a_bare_500_and_a_trace_in_the_log(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    async with client(app) as http:
        answer = await http.get("/crash")
    assert answer.status_code == 500
    assert "SELECT" not in answer.text
    assert "host.internal" in caplog.text
    assert answer.json()["instance"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/items", 405)])
async def test_the_frameworks_own_errors_look_the_same(
    method: str, path: str, status: int, app: FastAPI
) -> None:
    async with client(app) as http:
        answer = await http.request(method, path)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    if status == 405:
        assert answer.headers["allow"] == "POST"


async def test_validation_names_each_field_and_repeats_no_input(app: FastAPI) -> None:
    async with client(app) as http:
        answer = await http.post("/items?q=secretvalue", json={"name": 7, "a/b": 1})
    assert answer.status_code == 422
    named = [error.get("pointer") or error.get("parameter") for error in answer.json()["errors"]]
    assert sorted(named) == ["/name", "q"]
    assert "secretvalue" not in answer.text


async def test_an_error_after_the_answer_began_is_passed_on_to_the_server() -> None:
    async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("halfway")

    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(RuntimeError, match="halfway"):
        await Problems(breaks)({"type": "http", "headers": []}, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]


def test_a_lone_surrogate_in_a_detail_does_not_break_the_answer() -> None:
    body = problems.answer(Problem(422, "\ud800 is not text"), "id").body
    assert json.loads(bytes(body))["detail"] == "\ud800 is not text"
