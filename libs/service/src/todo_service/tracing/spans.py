"""Spans by OpenTelemetry: of a request that is served, of one that is sent, of a statement.

Names and attributes follow the semantic conventions of HTTP and databases
(https://opentelemetry.io/docs/specs/semconv/). No span holds a query, a header, a value of a statement or the
text of an error: whoever reads traces is not to learn what users wrote.

Task: T-046 · Spec: plan.md#tracing
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanKind,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

if TYPE_CHECKING:
    from todo_service.tracing.export import Export

Headers = Iterable[tuple[bytes, bytes]]
SpanAttributes = dict[str, AttributeValue]

_CONTEXT_HEADERS = frozenset({b"traceparent", b"tracestate"})

_w3c = TraceContextTextMapPropagator()


class Tracing:
    """What the spans of one process are made with. `export`: where they go."""

    def __init__(self, export: "Export") -> None:
        self._export = export
        self._tracer = export.tracer

    def serve(self, name: str, parent: Context, attributes: SpanAttributes) -> Span:
        """Begins the span of a request that has come. `parent`: of `sent_context`."""
        return self._tracer.start_span(name, parent, SpanKind.SERVER, attributes)

    @contextmanager
    def request(self, method: str, url: str, address: str, port: int) -> Iterator["Sent"]:
        """The span of a request that is sent, until its answer begins. `url`: without its query.

        There is none outside of a request that is served: probes are nobody's trace. An exception is noted by
        its class alone.
        """
        attributes: SpanAttributes = {
            "http.request.method": method,
            "url.full": url,
            "server.address": address,
            "server.port": port,
        }
        with self._within(method, attributes) as span:
            yield Sent(span)

    @contextmanager
    def statement(self, summary: str) -> Iterator[None]:
        """The span of a statement on PostgreSQL; as above, none outside of a request that is served.

        `summary`: operations and tables (`INSERT task`), which also name the span; never a value. An error is
        noted by its class, and its SQLSTATE where it has one, or its cause.
        """
        attributes: SpanAttributes = {
            "db.system.name": "postgresql",
            "db.operation.name": summary.partition(" ")[0],
            "db.query.summary": summary,
        }
        with self._within(summary, attributes) as span:
            try:
                yield
            except Exception as error:
                if sqlstate := _sqlstate(error) or _sqlstate(error.__cause__):
                    span.set_attribute("db.response.status_code", sqlstate)
                raise

    async def aclose(self) -> None:
        """Sends the last spans, for a few seconds at most (`Export.aclose`)."""
        await self._export.aclose()

    @contextmanager
    def _within(self, name: str, attributes: SpanAttributes) -> Iterator[Span]:
        """A client's span within the current one."""
        current = get_current_span()
        context = current.get_span_context()
        # A timer, such as a probe's, keeps the context in which it was set, and so a span that has ended.
        has_ended = context.trace_flags.sampled and not current.is_recording()
        if not context.is_valid or has_ended:
            yield INVALID_SPAN
            return
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
        try:
            yield span
        except BaseException as error:
            fail(span, type(error).__qualname__)
            raise
        finally:
            span.end()


class Sent:
    """A request under way to another service."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def carry(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """The headers with this span as `traceparent`, in the place of what stood there. Without a span, as
        they are.
        """
        carrier: dict[str, str] = {}
        _w3c.inject(carrier, set_span_in_context(self._span, Context()))
        if not carrier:
            return list(headers)
        kept = [header for header in headers if header[0] not in _CONTEXT_HEADERS]
        return kept + [(name.encode("ascii"), value.encode("latin-1")) for name, value in carrier.items()]

    def answered(self, status: int) -> None:
        """Notes the answer; 400 and above is an error to whoever asked."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= 400:
            fail(self._span, str(status))


def sent_context(headers: Headers) -> Context:
    """The trace that a request names (https://www.w3.org/TR/trace-context/); empty where it names none, or
    several, or not soundly.
    """
    carrier: dict[str, list[str]] = {}
    for name, value in headers:
        if name in _CONTEXT_HEADERS:
            carrier.setdefault(name.decode("ascii"), []).append(value.decode("latin-1"))
    if len(carrier.get("traceparent", ())) != 1:
        return Context()
    return _w3c.extract(carrier, Context())


def fail(span: Span, kind: str) -> None:
    """Notes an error: by a status, a class or a code, not by its text."""
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


def _sqlstate(error: BaseException | None) -> str | None:
    """What asyncpg and psycopg2 each have a name of their own for."""
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return code if isinstance(code, str) else None
