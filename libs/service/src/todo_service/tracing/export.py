"""Where spans go: which are kept, how they get to the collector, and what is said when it is away.

Task: T-046 · Spec: plan.md#tracing
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

CLOSE_S = 3.0
"""Seconds that the last spans may take, so that a process whose collector hangs ends all the same."""

_SILENCE_S = 60.0

_log = logging.getLogger(__name__)


class Export:
    """The way of one process's spans to a collector: OTLP over HTTP, in batches, from a thread of its own.
    Which collector, how often, what share of the traces: the SDK reads it from the `OTEL_*` variables. It is
    nobody's global provider: FastAPI would add spans of its own there, with query values and errors' texts.

    No request waits for it: while the collector is away, spans past `OTEL_BSP_MAX_QUEUE_SIZE` are dropped,
    and that is logged seldom.

    `service_name`: where the environment names none. `is_edge`: requests come from strangers. Their
    `traceparent` says which trace a span is of, so that a browser's spans and ours are one trace, but not
    whether it is kept: the sampler decides that as for a request without one. Otherwise anybody could have
    all of their requests recorded, which costs us, or none. Elsewhere the gateway's word is taken.
    """

    def __init__(self, service_name: str, *, is_edge: bool = False) -> None:
        _quieten()
        # What is given to `Resource.create` would win over the environment.
        is_named = bool(OTELResourceDetector().detect().attributes.get(SERVICE_NAME))
        resource = Resource.create({} if is_named else {SERVICE_NAME: service_name})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        if is_edge:
            configured = self._provider.sampler
            anew = DecidedAnew(configured)
            self._provider.sampler = ParentBased(
                configured, remote_parent_sampled=anew, remote_parent_not_sampled=anew
            )
        self._exporter = OTLPSpanExporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self.tracer = self._provider.get_tracer("todo_service")

    async def aclose(self, timeout_s: float = CLOSE_S) -> None:
        """Send what is left, and end. What has not gone after `timeout_s` is given up."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(ended.set)

        # A daemon, unlike an executor's threads: the end of the process does not wait for it.
        threading.Thread(target=shut_down, name="traces-shutdown", daemon=True).start()
        try:
            async with asyncio.timeout(timeout_s):
                await ended.wait()
        except TimeoutError:
            _log.warning("the collector of traces did not take the last spans in time")
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # it has no types; ends the retries


class DecidedAnew(Sampler):
    """Decides as `sampler` does for a request that names no trace; by a trace id of our own, too, since a
    sampler that goes by the id would follow whoever chose it.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._ids = RandomIdGenerator()

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """The sampler's decision. The sender's `tracestate` goes on with the trace."""
        own = self._sampler.should_sample(
            Context(), self._ids.generate_trace_id(), name, kind, attributes, links
        )
        sent = get_current_span(parent_context).get_span_context().trace_state
        return SamplingResult(own.decision, own.attributes, sent)

    def get_description(self) -> str:
        """The sampler's name, for people."""
        return f"DecidedAnew{{{self._sampler.get_description()}}}"


class Seldom(logging.Handler):
    """Passes a record on to `log` unless one of the same logger was passed on in the last `every_s` seconds:
    the exporter logs every try, and the reader of `tracestate` what it does not like about each.
    """

    def __init__(
        self,
        log: logging.Logger,
        every_s: float = _SILENCE_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._log = log
        self._every_s = every_s
        self._now = now
        self._silent_until: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a record (logging)."""
        now = self._now()
        if now >= self._silent_until.get(record.name, now):
            self._silent_until[record.name] = now + self._every_s
            self._log.handle(record)


def _quieten() -> None:
    log = logging.getLogger("opentelemetry")
    if not any(isinstance(handler, Seldom) for handler in log.handlers):
        log.addHandler(Seldom(_log))
        log.propagate = False
