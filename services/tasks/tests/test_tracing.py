"""The trace of a request, from the gateway's span to the statement."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from todo_service import tracing
from todo_service.tracing.testing import Collector, attributes, collecting
from todo_service.tracing.spans import Tracing
from todo_tasks.app import create_app
from todo_tasks.settings import TasksSettings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
KEPT, NOT_KEPT = (f"00-{TRACE}-{PARENT}-{flags}" for flags in ("01", "00"))

Connect = Callable[..., AsyncClient]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
        yield made


@pytest.fixture
def traces(collector: Collector) -> Tracing:
    made = tracing.from_environment("todo-tasks")
    assert made is not None
    return made


@pytest.fixture
async def traced(traces: Tracing, settings: TasksSettings) -> AsyncIterator[FastAPI]:
    """A service whose spans the collector has once it is closed."""
    app = create_app(settings, traces=traces)
    async with app.router.lifespan_context(app):
        yield app


async def test_a_request_continues_the_gateways_trace_down_to_its_statement(
    traced: FastAPI, connect: Connect, collector: Collector, traces: Tracing
) -> None:
    http = connect(traced)
    body = {"title": "private", "category": "private"}
    made = await http.post("/api/tasks", json=body, headers={"traceparent": KEPT})
    assert made.status_code == 201
    await traces.aclose()
    (served,), (statement,) = collector.served, collector.sent
    assert (served.trace_id.hex(), served.parent_span_id.hex()) == (TRACE, PARENT)
    assert (statement.trace_id, statement.parent_span_id) == (served.trace_id, served.span_id)
    assert served.name == "POST /api/tasks"
    assert attributes(statement) == {
        "db.system.name": "postgresql",
        "db.operation.name": "INSERT",
        "db.query.summary": statement.name,
    }
    assert set(statement.name.split(" ")) == {"INSERT", "task", "category"}
    told = b"".join(collector.received)
    assert b"private" not in told and http.headers["x-user-id"].encode() not in told


async def test_a_sessions_statements_have_spans_too(
    traced: FastAPI, connect: Connect, collector: Collector, traces: Tracing
) -> None:
    http = connect(traced)
    category = (await http.post("/api/categories", json={"name": "private"})).json()["id"]
    changed = await http.patch(f"/api/categories/{category}", json={"name": "private too"})
    assert changed.status_code == 200
    await traces.aclose()
    (patched,) = [span for span in collector.served if span.name == "PATCH /api/categories/{id}"]
    names = [span.name for span in collector.sent if span.parent_span_id == patched.span_id]
    assert "UPDATE category" in names
    assert b"private" not in b"".join(collector.received)


async def test_what_the_gateway_does_not_keep_is_not_kept_here(
    traced: FastAPI, connect: Connect, collector: Collector, traces: Tracing
) -> None:
    assert (await connect(traced).get("/api/tasks", headers={"traceparent": NOT_KEPT})).status_code == 200
    await traces.aclose()
    assert collector.spans == []


async def test_neither_health_nor_work_in_the_background_is_a_trace(
    traced: FastAPI, connect: Connect, collector: Collector, traces: Tracing
) -> None:
    assert (await connect(traced).get("/readyz")).status_code == 200
    await traces.aclose()
    assert collector.spans == []
