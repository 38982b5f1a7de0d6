"""What Prometheus is told, from one process and from several."""

import asyncio
import multiprocessing
import os
import socket
import urllib.request
from collections.abc import Callable

import httpx
import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Gauge, generate_latest
from starlette.types import Receive, Scope, Send
from todo_service import metrics
from todo_service.metrics import HttpMetrics, Totals, serving, watch
from todo_service.requests import Requests
from todo_service.settings import SettingsError

COUNT = "http_server_request_duration_seconds_count"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def read(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def series(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    """The samples of a name, by the values of their labels."""
    return {
        tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == name
    }


def application(status: int, path: str | None) -> Callable[[Scope, Receive, Send], object]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if path is not None:
            scope["route"] = type("Route", (), {"path": path})()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app


async def test_requests_are_counted_by_template_known_method_and_status_class() -> None:
    registry = CollectorRegistry()
    observer = HttpMetrics(registry)
    for status, path, asked in [
        (200, "/api/tasks/{id}", [("GET", "/api/tasks/1"), ("GET", "/api/tasks/2")]),
        (404, None, [("GET", "/wp-login.php"), ("BREW", "/pot"), ("X" * 30, "/pot")]),
        (503, None, [("GET", "/readyz")]),
    ]:
        app = Requests(application(status, path), observer=observer)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://a.test") as http:
            for method, target in asked:
                await http.request(method, target)
    assert series(registry, COUNT) == {
        ("GET", "/api/tasks/{id}", "2xx"): 2,
        ("GET", "other", "4xx"): 1,
        ("other", "other", "4xx"): 2,
        ("GET", "/readyz", "5xx"): 1,
    }


async def test_a_request_without_an_answer_is_counted_too_and_none_stays_under_way() -> None:
    registry = CollectorRegistry()
    observer = HttpMetrics(registry)
    seen: list[float] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        observer.refresh()
        seen.append(series(registry, "http_server_active_requests")[()])
        raise ConnectionResetError

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(Requests(app, observer=observer)), base_url="http://a.test"
    ) as http:
        with pytest.raises(ConnectionResetError):
            await http.get("/")
    observer.refresh()
    assert seen == [1]
    assert series(registry, "http_server_active_requests") == {(): 0}
    assert series(registry, COUNT) == {("GET", "other", "none"): 1}


def test_unknown_methods_do_not_fill_the_memory() -> None:
    observer = HttpMetrics(CollectorRegistry())
    for number in range(100):
        observer.begun()
        observer.ended(f"M{number}", "other", 405, 0.001)
    assert len(observer._cells) == 0


def test_sums_of_others_are_shown_as_counters() -> None:
    registry = CollectorRegistry()
    totals = Totals(registry, fetches_total="Fetches.")
    for total in (0, 3, 3, 5):
        totals.show({"fetches_total": total})
    assert series(registry, "fetches_total") == {(): 5}


async def test_the_event_loop_is_watched_and_the_rest_refreshed() -> None:
    registry = CollectorRegistry()
    looks = 0
    enough = asyncio.Event()

    def look() -> None:
        nonlocal looks
        looks += 1

    async def late(seconds: float) -> None:
        if looks == 3:
            enough.set()
            await asyncio.Event().wait()

    watching = asyncio.ensure_future(watch(registry, look, every_s=-0.5, sleep=late))
    await enough.wait()
    watching.cancel()
    assert series(registry, "event_loop_lag_seconds")[()] >= 0.5
    assert series(registry, "worker_cpu_seconds")[()] > 0


def test_one_process_is_asked_where_it_counts() -> None:
    port = free_port()
    gauge = Gauge("a_gauge_of_this_test", "text")
    try:
        with serving(port, host="127.0.0.1", port_setting="TASKS_METRICS_PORT"):
            gauge.set(7)
            assert "a_gauge_of_this_test 7.0" in read(port)
    finally:
        REGISTRY.unregister(gauge)
    with pytest.raises(OSError):
        read(port)


def test_without_a_port_nothing_listens() -> None:
    with serving(None, host="127.0.0.1", port_setting="TASKS_METRICS_PORT"):
        pass


def test_a_taken_port_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"TASKS_METRICS_PORT: cannot listen on port {port}"):
            with serving(port, host="127.0.0.1", port_setting="TASKS_METRICS_PORT"):
                pass


def work(
    requests: int, ready: "multiprocessing.synchronize.Barrier", stop: "multiprocessing.synchronize.Event"
) -> None:
    """A worker of the next test."""
    observer = HttpMetrics(CollectorRegistry())
    for _ in range(requests):
        observer.begun()
        observer.ended("GET", "/api/tasks", 200, 0.004)
    observer.begun()
    observer.refresh()
    ready.wait(30)
    stop.wait(30)


def test_several_processes_are_merged_and_the_gauges_of_ended_ones_left_out() -> None:
    port = free_port()
    context = multiprocessing.get_context("spawn")
    with serving(port, host="127.0.0.1", port_setting="X", workers=2):
        ready = context.Barrier(3)
        stops = [context.Event(), context.Event()]
        workers = [
            context.Process(target=work, args=(count, ready, stop))
            for count, stop in zip((3, 4), stops, strict=True)
        ]
        for worker in workers:
            worker.start()
        ready.wait(30)
        text = read(port)
        assert f'{COUNT}{{method="GET",route="/api/tasks",status="2xx"}} 7.0' in text
        assert "http_server_active_requests 2.0" in text
        stops[0].set()
        workers[0].join(30)
        text = read(port)
        assert f'{COUNT}{{method="GET",route="/api/tasks",status="2xx"}} 7.0' in text
        assert "http_server_active_requests 1.0" in text
        stops[1].set()
        workers[1].join(30)
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ


def test_the_text_is_what_prometheus_reads() -> None:
    registry = CollectorRegistry()
    metrics.HttpMetrics(registry).ended("GET", '/a"b\n', 200, 0.1)
    lines = generate_latest(registry).decode().splitlines()
    assert any('route="/a\\"b\\n"' in line for line in lines)
