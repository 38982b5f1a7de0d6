"""The span of a request that is served, as the collector gets it."""

import logging
from collections.abc import Awaitable, Callable

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.trace import INVALID_SPAN, get_current_span
from starlette.types import Receive, Scope, Send
from todo_service.access import logged
from todo_service.problems import Problem, Problems
from todo_service.requests import Requests
from todo_service.tracing.server import Traces
from todo_service.tracing.spans import Tracing
from todo_service.tracing.testing import Collector, attributes

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    scope["route"] = type("Route", (), {"path": "/api/tasks/{id}"})()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"private"})


async def lost(scope: Scope, receive: Receive, send: Send) -> None:
    raise Problem(404, "private")


async def away(scope: Scope, receive: Receive, send: Send) -> None:
    raise Problem(503, "private")


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ValueError("private")


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    pass


def client(app: Application, tracing: Tracing) -> httpx.AsyncClient:
    stack = Requests(Traces(Problems(app), tracing), access=logged)
    return httpx.AsyncClient(transport=httpx.ASGITransport(stack), base_url="http://evil.test:1234")


async def test_a_span_has_what_the_conventions_ask_for_and_nothing_that_a_client_wrote_but_the_path(
    tracing: Tracing, collector: Collector
) -> None:
    headers = {"Authorization": "Bearer private", "User-Agent": "private", "X-Request-Id": "private"}
    async with client(fine, tracing) as http:
        await http.post("/api/tasks/a%20b?search=private", headers=headers, content=b"private")
    await tracing.aclose()
    (span,) = collector.spans
    assert (span.name, span.kind) == ("POST /api/tasks/{id}", Span.SPAN_KIND_SERVER)
    assert attributes(span) == {
        "http.request.method": "POST",
        "http.route": "/api/tasks/{id}",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/api/tasks/a%20b",
        "network.protocol.version": "1.1",
        "server.address": "evil.test",  # this transport's; a server says where it listens
        "server.port": 1234,
    }
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert span.end_time_unix_nano > span.start_time_unix_nano
    assert b"private" not in collector.received[0]


@pytest.mark.parametrize(
    ("app", "status", "kind"),
    [(fine, 200, None), (lost, 404, None), (away, 503, "503"), (broken, 200, "ValueError")],
)
async def test_only_what_is_our_fault_is_an_error_and_its_text_stays_here(
    app: Application, status: int, kind: str | None, tracing: Tracing, collector: Collector
) -> None:
    async with client(app, tracing) as http:
        try:
            await http.get("/")
        except ValueError:
            assert app is broken
    await tracing.aclose()
    (span,) = collector.spans
    assert attributes(span)["http.response.status_code"] == status
    assert attributes(span).get("error.type") == kind
    assert span.status.code == (Status.STATUS_CODE_ERROR if kind else Status.STATUS_CODE_UNSET)
    assert (span.status.message, len(span.events)) == ("", 0)
    assert b"private" not in collector.received[0]


async def test_a_request_without_a_route_is_named_by_its_method_alone(
    tracing: Tracing, collector: Collector
) -> None:
    async with client(lost, tracing) as http:
        await http.get("/wp-login.php")
        await http.request("BREW", "/pot")
    await tracing.aclose()
    known, unknown = collector.spans
    assert known.name == "GET" and "http.route" not in attributes(known)
    assert unknown.name == "HTTP"
    assert attributes(unknown)["http.request.method"] == "_OTHER"
    assert attributes(unknown)["http.request.method_original"] == "BREW"


async def test_a_request_without_an_answer_has_no_status_and_is_nobodys_error(
    tracing: Tracing, collector: Collector
) -> None:
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "raw_path": b"/",
        "headers": [],
        "state": {},
    }
    await Traces(silent, tracing)(scope, None, None)  # type: ignore[arg-type]  # it uses neither
    assert get_current_span() is INVALID_SPAN, "it has ended"
    await tracing.aclose()
    (span,) = collector.spans
    assert {"http.response.status_code", "error.type"}.isdisjoint(attributes(span))


async def test_what_is_not_text_in_a_path_costs_no_spans(tracing: Tracing, collector: Collector) -> None:
    for path, raw_path in [("/\ud800", b"/%ED%A0%80"), ("/\ud800", None), ("/\xff", b"/\xff")]:
        scope: Scope = {"type": "http", "method": "GET", "path": path, "raw_path": raw_path, "headers": []}
        await Traces(silent, tracing)(scope, None, None)  # type: ignore[arg-type]  # it uses neither
    await tracing.aclose()
    assert [attributes(span)["url.path"] for span in collector.spans] == ["/%ED%A0%80", "/?", "/\xff"]


async def test_health_is_no_trace(tracing: Tracing, collector: Collector) -> None:
    async with client(fine, tracing) as http:
        await http.get("/healthz")
        await http.get("/readyz", headers={"traceparent": TRACEPARENT})
    await tracing.aclose()
    assert collector.spans == []


async def test_a_sound_traceparent_is_continued_with_its_state(
    tracing: Tracing, collector: Collector
) -> None:
    headers = [("traceparent", TRACEPARENT), ("tracestate", "a=1"), ("tracestate", "b=2")]
    async with client(fine, tracing) as http:
        await http.get("/", headers=headers)
    await tracing.aclose()
    (span,) = collector.spans
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert span.trace_state == "a=1,b=2"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("traceparent", "")],
        [("traceparent", "nonsense")],
        [("traceparent", TRACEPARENT.upper())],
        [("traceparent", TRACEPARENT + "-00")],
        [("traceparent", f"ff-{TRACE}-{PARENT}-01")],
        [("traceparent", f"00-{'0' * 32}-{PARENT}-01")],
        [("traceparent", f"00-{TRACE}-{'0' * 16}-01")],
        [("traceparent", f"00-{TRACE[:-1]}é-{PARENT}-01".encode("latin-1"))],
        [("traceparent", "00" + "-" * 8000)],
        [("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)],
        [("tracestate", "a=1")],
    ],
)
async def test_an_unsound_traceparent_is_ignored(
    headers: list[tuple[str, str]], tracing: Tracing, collector: Collector
) -> None:
    async with client(fine, tracing) as http:
        await http.get("/", headers=headers)
    await tracing.aclose()
    (span,) = collector.spans
    assert span.parent_span_id == b""
    assert span.trace_id.hex() != TRACE
    assert span.trace_state == ""


async def test_the_access_line_has_the_traces_id(tracing: Tracing, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "todo.access")
    async with client(fine, tracing) as http:
        await http.get("/", headers={"traceparent": TRACEPARENT})
    (record,) = [record for record in caplog.records if record.name == "todo.access"]
    assert record.getMessage().endswith(f"ms trace {TRACE}")
