"""What happens within a request: requests to other services, and statements."""

from contextlib import contextmanager
from collections.abc import Iterator

import pytest
from opentelemetry.context import Context, attach, detach
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.trace import set_span_in_context
from todo_service.tracing.spans import Tracing, sent_context
from todo_service.tracing.testing import Collector, attributes

TRACEPARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-%b"


@contextmanager
def serving(tracing: Tracing, *headers: tuple[bytes, bytes]) -> Iterator[None]:
    """Within a request that has come with these headers."""
    span = tracing.serve("GET", sent_context(headers), {})
    token = attach(set_span_in_context(span, Context()))
    try:
        yield
    finally:
        detach(token)
        span.end()


async def test_a_request_on_its_way_is_a_child_that_the_next_service_is_told_of(
    tracing: Tracing, collector: Collector
) -> None:
    sent = [(b"traceparent", b"forged"), (b"tracestate", b"forged=1"), (b"accept", b"*/*")]
    with serving(tracing, (b"traceparent", TRACEPARENT % b"01"), (b"tracestate", b"a=1")):
        with tracing.request("GET", "http://tasks:8001/api/tasks", "tasks", 8001) as request:
            carried = request.carry(sent)
            request.answered(200)
    await tracing.aclose()
    child, parent = collector.spans
    assert (child.name, child.kind) == ("GET", Span.SPAN_KIND_CLIENT)
    assert (child.trace_id, child.parent_span_id) == (parent.trace_id, parent.span_id)
    assert attributes(child) == {
        "http.request.method": "GET",
        "url.full": "http://tasks:8001/api/tasks",
        "server.address": "tasks",
        "server.port": 8001,
        "http.response.status_code": 200,
    }
    context = f"00-{child.trace_id.hex()}-{child.span_id.hex()}-01".encode()
    assert carried == [(b"accept", b"*/*"), (b"traceparent", context), (b"tracestate", b"a=1")]


@pytest.mark.parametrize(("status", "kind"), [(200, None), (404, "404"), (503, "503")])
async def test_an_answer_of_400_and_above_is_an_error_to_the_asker(
    status: int, kind: str | None, tracing: Tracing, collector: Collector
) -> None:
    with serving(tracing), tracing.request("GET", "http://tasks/", "tasks", 80) as request:
        request.answered(status)
    await tracing.aclose()
    assert attributes(collector.spans[0]).get("error.type") == kind


async def test_a_trace_that_is_not_kept_is_not_kept_further_on(
    tracing: Tracing, collector: Collector
) -> None:
    with serving(tracing, (b"traceparent", TRACEPARENT % b"00")):
        with tracing.request("GET", "http://tasks/", "tasks", 80) as request:
            (name, value), *_ = request.carry([])
    await tracing.aclose()
    assert (name, value[:36], value[-3:]) == (b"traceparent", TRACEPARENT[:36], b"-00")
    assert collector.spans == []


async def test_outside_of_a_request_and_after_it_there_is_no_span_and_nothing_is_carried(
    tracing: Tracing, collector: Collector
) -> None:
    headers = [(b"accept", b"*/*")]

    def probe() -> None:
        with tracing.request("GET", "http://tasks/readyz", "tasks", 80) as request:
            assert request.carry(headers) == headers
            request.answered(503)
        with tracing.statement("SELECT task"):
            pass

    probe()
    ended = tracing.serve("GET", Context(), {})
    ended.end()
    token = attach(set_span_in_context(ended, Context()))
    probe()
    detach(token)
    await tracing.aclose()
    assert [span.kind for span in collector.spans] == [Span.SPAN_KIND_SERVER]


class UniqueViolationError(Exception):
    sqlstate = "23505"


class LockNotAvailable(Exception):
    pgcode = "55P03"


async def test_a_statement_is_a_child_without_text_or_values(tracing: Tracing, collector: Collector) -> None:
    with serving(tracing), tracing.statement("INSERT task"):
        pass
    await tracing.aclose()
    child, parent = collector.spans
    assert child.parent_span_id == parent.span_id
    assert (child.name, child.kind) == ("INSERT task", Span.SPAN_KIND_CLIENT)
    assert attributes(child) == {
        "db.system.name": "postgresql",
        "db.operation.name": "INSERT",
        "db.query.summary": "INSERT task",
    }


async def test_a_statement_that_fails_is_noted_by_its_sqlstate_also_where_an_answer_hides_it(
    tracing: Tracing, collector: Collector
) -> None:
    def refused() -> None:
        raise UniqueViolationError("Key (name)=(private) already exists.")

    def locked() -> None:
        raise LockNotAvailable("private")

    def hidden() -> None:
        try:
            refused()
        except UniqueViolationError as error:
            raise LookupError("private") from error

    def unreachable() -> None:
        raise ConnectionRefusedError("private")

    for fails in (refused, locked, hidden, unreachable):
        with serving(tracing), pytest.raises(Exception, match="private"):
            with tracing.statement("INSERT category"):
                fails()
    await tracing.aclose()
    spans = [span for span in collector.spans if span.kind == Span.SPAN_KIND_CLIENT]
    assert [span.status.code for span in spans] == [Status.STATUS_CODE_ERROR] * 4
    assert [attributes(span).get("db.response.status_code") for span in spans] == [
        "23505",
        "55P03",
        "23505",
        None,
    ]
    assert [attributes(span)["error.type"] for span in spans] == [
        "UniqueViolationError",
        "LockNotAvailable",
        "LookupError",
        "ConnectionRefusedError",
    ]
    assert b"private" not in b"".join(collector.received)
