"""Which traces are kept, and what happens while their collector is away."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest
from opentelemetry.trace import Span
from todo_service.tracing.export import Export, Seldom
from todo_service.tracing.spans import Tracing, sent_context
from todo_service.tracing.testing import Collector

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
# The id that a sampler by id keeps before all others.
LEAST = "4bf92f3577b34da60000000000000000"


def serve(tracing: Tracing, trace_id: str, flags: str) -> Span:
    """The span of a request that names a trace."""
    traceparent = f"00-{trace_id}-00f067aa0ba902b7-{flags}".encode()
    parent = sent_context([(b"traceparent", traceparent), (b"tracestate", b"theirs=1")])
    span = tracing.serve("GET", parent, {})
    assert f"{span.get_span_context().trace_id:032x}" == trace_id
    assert span.get_span_context().trace_state == {"theirs": "1"}
    return span


@pytest.mark.parametrize(
    ("is_edge", "sampler", "flags", "kept"),
    [
        (True, "parentbased_always_on", "00", True),
        (True, "parentbased_always_on", "01", True),
        (True, "parentbased_always_off", "00", False),
        (True, "parentbased_always_off", "01", False),
        (True, "always_off", "01", False),
        (False, "parentbased_always_on", "00", False),
        (False, "parentbased_always_off", "01", True),
    ],
)
async def test_a_stranger_names_the_trace_and_does_not_say_whether_it_is_kept(
    is_edge: bool, sampler: str, flags: str, kept: bool, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    tracing = Tracing(Export("todo-gateway", is_edge=is_edge))
    span = serve(tracing, TRACE, flags)
    span.end()
    await tracing.aclose()
    assert span.get_span_context().trace_flags.sampled == kept
    assert [span.trace_id.hex() for span in collector.spans] == ([TRACE] if kept else [])


async def test_a_chosen_id_is_kept_no_oftener_than_others(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    tracing = Tracing(Export("todo-gateway", is_edge=True))
    decisions = {serve(tracing, LEAST, "01").get_span_context().trace_flags.sampled for _ in range(200)}
    await tracing.aclose()
    assert decisions == {True, False}


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "todo-tasks"),
        ({"OTEL_SERVICE_NAME": "mine"}, "mine"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=ours,deployment.environment.name=test"}, "ours"),
    ],
)
async def test_the_environment_names_the_service_before_the_default_does(
    variables: dict[str, str], name: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    export = Export("todo-tasks")
    export.tracer.start_span("one").end()
    await export.aclose()
    (resource,) = collector.resources
    assert resource["service.name"] == name


async def test_without_a_collector_that_is_said_once_and_the_end_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "2")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
    monkeypatch.setattr(logging.getLogger("opentelemetry"), "handlers", [])
    caplog.set_level(logging.INFO)
    export = Export("todo-tasks")
    for _ in range(1000):
        export.tracer.start_span("one").end()
    while not any("Connection refused" in record.getMessage() for record in caplog.records):
        await asyncio.sleep(0)
    await export.aclose(timeout_s=0)
    said = [record.name for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == len(set(said))
    assert "todo_service.tracing.export" in said


HANGING = """
import asyncio
from todo_service.tracing.export import Export

async def main():
    export = Export("todo-tasks")
    export.tracer.start_span("one").end()
    await export.aclose(timeout_s=0.1)
    print("closed", flush=True)

asyncio.run(main())
"""


def test_a_process_ends_though_its_collector_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        environment = {
            "PATH": os.environ["PATH"],
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{hanging.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "600",
        }
        command = [sys.executable, "-W", "error", "-c", HANGING]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (0, "closed\n")
    assert done.stderr == "the collector of traces did not take the last spans in time\n"


def test_a_logger_is_heard_again_after_its_silence_and_another_at_once() -> None:
    heard: list[str] = []
    clock = 0.0
    log = logging.Logger("heard")
    log.addHandler(Recording(heard.append))
    seldom = Seldom(log, every_s=60, now=lambda: clock)
    for clock, name, text in [(0, "a", "1"), (59, "a", "2"), (59, "b", "3"), (60, "a", "4"), (61, "a", "5")]:
        seldom.emit(logging.LogRecord(name, logging.WARNING, "", 0, text, None, None))
    assert heard == ["1", "3", "4"]


class Recording(logging.Handler):
    def __init__(self, hear: Callable[[str], None]) -> None:
        super().__init__()
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        self._hear(record.getMessage())


async def test_what_clients_send_fills_no_log(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("opentelemetry"), "handlers", [])
    tracing = Tracing(Export("todo-gateway", is_edge=True))
    traceparent = (b"traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode())
    for number in range(100):
        for value in (b"a=1,a=1", b"=%d" % number, b"a=" + b"x" * 600):
            tracing.serve("GET", sent_context([traceparent, (b"tracestate", value)]), {}).end()
        sent_context([(b"traceparent", b"0" * 600)])
    await tracing.aclose()
    assert 1 <= len(caplog.records) <= 2
