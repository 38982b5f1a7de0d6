"""One trace from a browser's span through the gateway to the service behind, on real sockets."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from todo_auth.testing import Issuer
from todo_service import tracing
from todo_service.tracing.spans import Tracing
from todo_service.tracing.testing import Collector, attributes, collecting

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
BROWSER = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "browser=1"}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
        yield made


@pytest.fixture
async def traces(collector: Collector) -> AsyncIterator[Tracing]:
    """What the gateway's spans are made with; the collector has them once it is closed."""
    made = tracing.from_environment("todo-gateway", is_edge=True)
    assert made is not None
    yield made
    await made.aclose()


@pytest.fixture
async def gateway(
    traces: Tracing, make_gateway: Callable[..., Any], issuer: Issuer
) -> AsyncIterator[Callable[..., Any]]:
    """Serves a gateway before the addresses given; gives a client of it."""
    async with AsyncExitStack() as stack:

        async def start(*addresses: str) -> httpx.AsyncClient:
            made = make_gateway(",".join(addresses), issuer, traces=traces)
            client: httpx.AsyncClient = await stack.enter_async_context(made)
            return client

        yield start


async def test_a_browsers_trace_goes_through_the_gateway_to_the_service(
    gateway: Callable[..., Any], upstream: Any, collector: Collector, traces: Tracing, ann: dict[str, str]
) -> None:
    http = await gateway(upstream.url)
    assert (await http.get("/api/tasks?search=private", headers={**ann, **BROWSER})).status_code == 200
    await traces.aclose()
    (served,), (sent,) = collector.served, collector.sent
    assert (served.trace_id.hex(), served.parent_span_id.hex()) == (TRACE, PARENT)
    assert (sent.trace_id, sent.parent_span_id) == (served.trace_id, served.span_id)
    (seen,) = upstream.seen
    assert seen.all("traceparent") == [f"00-{TRACE}-{sent.span_id.hex()}-01"]
    assert seen.all("tracestate") == ["browser=1"]
    port = int(upstream.url.rpartition(":")[2])
    assert (served.name, sent.name) == ("GET /api/tasks", "GET")
    assert attributes(sent) == {
        "http.request.method": "GET",
        "url.full": f"{upstream.url}/api/tasks",
        "server.address": "127.0.0.1",
        "server.port": port,
        "http.response.status_code": 200,
    }
    told = b"".join(collector.received)
    assert b"private" not in told and ann["Authorization"].split()[1].encode() not in told


async def test_a_request_without_a_trace_begins_one(
    gateway: Callable[..., Any], upstream: Any, collector: Collector, traces: Tracing, ann: dict[str, str]
) -> None:
    http = await gateway(upstream.url)
    await http.get("/api/tasks", headers={**ann, "traceparent": "00-nonsense"})
    await traces.aclose()
    (served,), (sent,) = collector.served, collector.sent
    assert served.parent_span_id == b""
    assert upstream.seen[0].all("traceparent")[0][:52] == f"00-{served.trace_id.hex()}-{sent.span_id.hex()}"
    assert upstream.seen[0].all("tracestate") == []


async def test_each_try_has_a_span_of_its_own_within_the_request(
    gateway: Callable[..., Any], upstream: Any, collector: Collector, traces: Tracing, ann: dict[str, str]
) -> None:
    http = await gateway("http://127.0.0.1:1", upstream.url)
    for _ in range(2):  # they begin with another address in turn
        assert (await http.get("/api/tasks", headers=ann)).status_code == 200
    await traces.aclose()
    refused, *answered = sorted(collector.sent, key=lambda span: span.status.code, reverse=True)
    assert (refused.status.code, attributes(refused)["error.type"]) == (
        Status.STATUS_CODE_ERROR,
        "ConnectFailed",
    )
    assert refused.status.message == "" and len(refused.events) == 0
    assert attributes(refused)["server.port"] == 1
    (retried,) = [span for span in answered if span.trace_id == refused.trace_id]
    assert retried.parent_span_id == refused.parent_span_id
    assert [span.status.code for span in answered] == [Status.STATUS_CODE_UNSET] * 2


async def test_the_services_own_error_is_one_in_the_trace(
    gateway: Callable[..., Any], upstream: Any, collector: Collector, traces: Tracing, ann: dict[str, str]
) -> None:
    upstream.status = 500
    http = await gateway(upstream.url)
    await http.get("/api/tasks", headers=ann)
    upstream.status = 401
    assert (await http.get("/api/tasks", headers=ann)).status_code == 502
    await traces.aclose()
    assert [attributes(span)["error.type"] for span in collector.sent] == ["500", "401"]
    assert [attributes(span)["error.type"] for span in collector.served] == ["500", "502"]


async def test_who_is_refused_at_the_door_has_a_trace_and_the_service_none(
    gateway: Callable[..., Any], upstream: Any, collector: Collector, traces: Tracing
) -> None:
    http = await gateway(upstream.url)
    assert (await http.get("/api/tasks", headers=BROWSER)).status_code == 401
    await traces.aclose()
    (served,) = collector.served
    assert attributes(served)["http.response.status_code"] == 401
    assert served.status.code == Status.STATUS_CODE_UNSET
    assert collector.sent == [] and upstream.seen == []


async def test_without_traces_the_clients_context_passes_as_it_is(
    http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    await http.get("/api/tasks", headers={**ann, **BROWSER})
    (seen,) = upstream.seen
    assert seen.all("traceparent") == [BROWSER["traceparent"]]
    assert seen.all("tracestate") == [BROWSER["tracestate"]]
