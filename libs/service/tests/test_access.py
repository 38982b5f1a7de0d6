"""The access line, made by hand where machines read it."""

import io
import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from todo_service import logs
from todo_service.access import JsonLines, logged
from todo_service.requests import Requests, add_header

MOMENT = 1_800_000_000.25


@pytest.fixture(autouse=True)
def info() -> Iterator[None]:
    log = logging.getLogger("todo.access")
    level = log.level
    log.setLevel(logging.INFO)
    yield
    log.setLevel(level)


def line_of(path: str = "/", route: str = "other", **state: object) -> dict[str, Any]:
    """The one line that a request makes, read back."""
    lines: list[str] = []
    scope = {"type": "http", "method": "GET", "path": path, "state": {"request_id": "abc", **state}}
    JsonLines(lines.append, now=lambda: MOMENT)(scope, route, 200, 0.01234)
    (line,) = lines
    assert line.isascii() and line.isprintable()
    document: dict[str, Any] = json.loads(line)
    return document


def test_a_line_has_everything_that_is_known() -> None:
    assert line_of(
        "/api/tasks/7",
        "/api/tasks/{id}",
        identity=SimpleNamespace(user_id="ann"),
        client="203.0.113.1",
        upstream="http://tasks:8001",
        upstream_s=0.008,
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    ) == {
        "time": "2027-01-15T08:00:00.250Z",
        "level": "info",
        "logger": "todo.access",
        "message": "request",
        "request_id": "abc",
        "method": "GET",
        "path": "/api/tasks/7",
        "route": "/api/tasks/{id}",
        "status": 200,
        "ms": 12.34,
        "user": "ann",
        "client": "203.0.113.1",
        "upstream": "http://tasks:8001",
        "upstream_ms": 8.0,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }


def test_what_is_not_known_is_not_there() -> None:
    assert {"user", "client", "upstream", "upstream_ms", "trace_id"}.isdisjoint(line_of())


@pytest.mark.parametrize(
    "path", ['/"},{"level":"error', "/a\r\nb", "/\x00\x1b[2J", "/é\u2028\u2029", "/\ud800", "/\\", "/😀"]
)
def test_no_path_can_forge_a_line(path: str) -> None:
    document = line_of(path)
    assert (document["path"], document["level"]) == (path, "info")


def test_the_clock_moves_with_the_seconds() -> None:
    lines: list[str] = []
    moments = iter([MOMENT, MOMENT + 0.5, MOMENT + 1.7499, 0.9999])
    write = JsonLines(lines.append, now=lambda: next(moments))
    for _ in range(4):
        write({"method": "GET", "path": "/", "state": {"request_id": "a"}}, "other", 200, 0)
    assert [json.loads(line)["time"] for line in lines] == [
        "2027-01-15T08:00:00.250Z",
        "2027-01-15T08:00:00.750Z",
        "2027-01-15T08:00:01.999Z",
        "1970-01-01T00:00:00.999Z",
    ]


def test_no_line_is_made_above_the_level() -> None:
    logging.getLogger("todo.access").setLevel(logging.WARNING)
    lines: list[str] = []
    JsonLines(lines.append)({"method": "GET", "path": "/", "state": {"request_id": "a"}}, "other", 200, 0)
    assert lines == []


async def test_lines_stand_among_those_of_the_log_and_never_hold_a_query_or_a_token() -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    lines = logs.configure("INFO", as_json=True, stream=stream)
    app = Requests(answer, access=JsonLines(lines.write))
    try:
        async with client(app) as http:
            await http.get("/a%0Ab?token=private", headers={"Authorization": "Bearer private"})
        logging.getLogger("x").warning("after")
    finally:
        root.handlers[:], root.level = handlers, level
    first, second = stream.getvalue().splitlines()
    assert json.loads(first)["path"] == "/a\nb"
    assert json.loads(second)["message"] == "after"
    assert "private" not in first


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers as the upstream did, who took 8 ms."""
    scope["state"]["upstream_s"] = 0.008
    add_header(scope, b"ratelimit", b"ours")
    headers = [(b"ratelimit", b"theirs"), (b"etag", b'"1"')]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def client(app: Requests) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test")


async def test_a_person_reads_the_times_in_the_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "todo.access")
    async with client(Requests(answer, access=logged)) as http:
        await http.get("/api/tasks?search=private")
    (record,) = [record for record in caplog.records if record.name == "todo.access"]
    assert record.getMessage().startswith("GET /api/tasks 200 ")
    assert "(upstream 8.0ms)" in record.getMessage()
    assert "private" not in str(vars(record))


async def test_a_header_that_a_part_adds_replaces_the_answers_own() -> None:
    async with client(Requests(answer)) as http:
        got = await http.get("/")
    assert got.headers.get_list("ratelimit") == ["ours"]
    assert got.headers["etag"] == '"1"'


async def test_server_timing_is_told_only_where_it_is_wanted() -> None:
    async with client(Requests(answer, timing=True)) as http:
        told = (await http.get("/")).headers["server-timing"]
    assert told.startswith("total;dur=") and told.endswith(", upstream;dur=8.0")
    async with client(Requests(answer)) as http:
        assert "server-timing" not in (await http.get("/")).headers
