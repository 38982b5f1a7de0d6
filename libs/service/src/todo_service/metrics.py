"""Prometheus metrics: of HTTP requests, of the process, and the port where they are read.

A service's processes each count by themselves. One process alone is asked where it counts; several write to
files that `serving` reads, which is what the library calls multiprocess mode.

Task: T-041 · Spec: plan.md#metrics
"""

import asyncio
import os
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from todo_service.settings import SettingsError

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"  # the library's own name


class HttpMetrics:
    """The golden signals of a server: requests and their seconds by method, route and status class, and how
    many are under way. An `Observer` of `todo_service.requests`.

    Labels are bounded: a method that is not known is `other`, and routes are templates.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "http_server_request_duration_seconds",
            "Seconds from a request's head to the end of its answer.",
            ("method", "route", "status"),
            registry=registry,
            buckets=BUCKETS_S,
        )
        self._active = Gauge(
            "http_server_active_requests",
            "Requests under way.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        # Looking labels up costs more than counting.
        self._cells: dict[tuple[str, str, int], Callable[[float], None]] = {}
        self._begun = 0

    def begun(self) -> None:
        """One request more is under way."""
        self._begun += 1

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request has ended; `status` 0: without an answer."""
        self._begun -= 1
        key = (method, route, status // 100)
        observe = self._cells.get(key)
        if observe is None:
            method = method if method in _METHODS else "other"
            observe = self._seconds.labels(method, route, f"{key[2]}xx" if status else "none").observe
            if method != "other":
                self._cells[key] = observe
        observe(seconds)

    def refresh(self) -> None:
        """Shows how many requests are under way."""
        self._active.set(self._begun)


class Totals:
    """Counters whose sums somebody else keeps: `show` raises each to the sum that it is given."""

    def __init__(self, registry: CollectorRegistry, **described: str) -> None:
        self._counters = {name: Counter(name, text, registry=registry) for name, text in described.items()}
        self._shown = dict.fromkeys(described, 0)

    def show(self, sums: Mapping[str, int]) -> None:
        """The sums as they are now, by the counters' names."""
        for name, total in sums.items():
            self._counters[name].inc(total - self._shown[name])
            self._shown[name] = total


async def watch(
    registry: CollectorRegistry,
    *refresh: Callable[[], None],
    every_s: float = 1.0,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Once in `every_s`, until it is cancelled: measures how late the event loop is, and lets each `refresh`
    show what it has.
    """
    lag = Gauge(
        "event_loop_lag_seconds",
        "How late the event loop was with a timer, the latest look.",
        registry=registry,
        multiprocess_mode="livemax",
    )
    cpu = Gauge(
        "worker_cpu_seconds",
        "CPU seconds of a process of the service so far.",
        registry=registry,
        multiprocess_mode="liveall",
    )
    loop = asyncio.get_running_loop()
    while True:
        cpu.set(time.process_time())
        for show in refresh:
            show()
        due_at = loop.time() + every_s
        await sleep(every_s)
        lag.set(max(0.0, loop.time() - due_at))


@contextmanager
def serving(port: int | None, *, host: str, port_setting: str, workers: int = 1) -> Iterator[None]:
    """Answers Prometheus on a port of its own for as long as it is entered, from a thread; None: nowhere.

    To be entered before the service's processes are started, which then know where to count. Raises
    SettingsError when the port cannot be had.
    """
    if port is None:
        yield
        return
    if workers == 1:
        with _answering(REGISTRY, port, host, port_setting):
            yield
        return
    with tempfile.TemporaryDirectory(prefix="metrics-") as directory:
        os.environ[_MULTIPROCESS] = directory
        registry = CollectorRegistry()
        registry.register(_Merged(registry, directory))
        try:
            with _answering(registry, port, host, port_setting):
                yield
        finally:
            del os.environ[_MULTIPROCESS]


class _Merged(MultiProcessCollector):
    """What the service's processes have counted, without the gauges of those that have ended."""

    def __init__(self, registry: CollectorRegistry, directory: str) -> None:
        super().__init__(None, path=directory)  # type: ignore[no-untyped-call]
        self._directory = directory

    def collect(self) -> Iterator[Metric]:
        for file in Path(self._directory).glob("gauge_live*.db"):
            pid = int(file.stem.rpartition("_")[2])
            if not _is_alive(pid):
                mark_process_dead(pid, self._directory)  # type: ignore[no-untyped-call]
        yield from super().collect()  # type: ignore[no-untyped-call]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@contextmanager
def _answering(registry: CollectorRegistry, port: int, host: str, port_setting: str) -> Iterator[None]:
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        why = (
            "not an address" if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0).lower()
        )
        raise SettingsError([f"{port_setting}: cannot listen on port {port} of {host}: {why}."]) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
