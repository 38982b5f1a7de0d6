"""A collector of traces, and a service's tracing that sends to it."""

from collections.abc import AsyncIterator, Iterator

import pytest
from todo_service.tracing.export import Export
from todo_service.tracing.spans import Tracing
from todo_service.tracing.testing import Collector, collecting


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the environment names; nothing is sent before a `Tracing` is closed."""
    with collecting() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
        yield made


@pytest.fixture
async def tracing(collector: Collector) -> AsyncIterator[Tracing]:
    """What the tasks service would have; closed by the test, or at its end."""
    made = Tracing(Export("todo-tasks"))
    yield made
    await made.aclose()
