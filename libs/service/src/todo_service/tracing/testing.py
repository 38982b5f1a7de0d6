"""A collector of traces for tests: OTLP over HTTP on a real socket, read back.

Task: T-046 · Spec: plan.md#tracing
"""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span


class Collector:
    """What came to `url`: `received`, the bodies, unpacked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[bytes] = []

    @property
    def spans(self) -> list[Span]:
        """Every span, in the order in which they ended in their process."""
        return [span for batch in self._batches() for scope in batch.scope_spans for span in scope.spans]

    @property
    def served(self) -> list[Span]:
        """The spans of requests that were served."""
        return [span for span in self.spans if span.kind == Span.SPAN_KIND_SERVER]

    @property
    def sent(self) -> list[Span]:
        """The spans of what was asked of others: requests and statements."""
        return [span for span in self.spans if span.kind == Span.SPAN_KIND_CLIENT]

    @property
    def resources(self) -> list[dict[str, object]]:
        """What each batch says of the process that sent it."""
        return [_values(batch.resource.attributes) for batch in self._batches()]

    def _batches(self) -> Iterator[ResourceSpans]:
        for body in self.received:
            yield from ExportTraceServiceRequest.FromString(body).resource_spans


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free loopback port, as long as it is entered. `OTEL_EXPORTER_OTLP_ENDPOINT` is to name
    its `url`.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_packed = self.headers.get("Content-Encoding") == "gzip"
            is_otlp = (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
            if is_otlp:
                collector.received.append(gzip.decompress(body) if is_packed else body)
            self.send_response(200 if is_otlp else 400)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield collector
        finally:
            server.shutdown()
            serving.join()


def attributes(span: Span) -> dict[str, object]:
    """A span's attributes by name."""
    return _values(span.attributes)


def _values(items: "list[KeyValue]") -> dict[str, object]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value") or "string_value") for item in items}
