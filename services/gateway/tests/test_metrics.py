"""What the gateway counts."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from todo_auth import KeySet
from todo_auth.testing import Issuer
from todo_gateway.metrics import GatewayMetrics
from todo_gateway.overload import Overload
from todo_gateway.upstream import Balance, Pool


def series(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    """The samples of a name, by the values of their labels."""
    return {
        tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == name
    }


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


async def test_requests_upstreams_and_refusals_are_counted_under_bounded_labels(
    make_gateway: Callable[..., Any],
    upstream: Any,
    issuer: Issuer,
    ann: dict[str, str],
    registry: CollectorRegistry,
) -> None:
    async with make_gateway(upstream.url, issuer, registry, rate_limit="2/year") as http:
        for path in ("/api/tasks/1", "/api/ann/todos/2", "/api/tasks/3"):
            await http.get(path, headers=ann)
        await http.get("/nothing/here")
        await http.request("PROPFIND", "/api/tasks")
    assert series(registry, "http_server_request_duration_seconds_count") == {
        ("GET", "/api/tasks/{id}", "2xx"): 2,
        ("GET", "/api/tasks/{id}", "4xx"): 1,
        ("GET", "other", "4xx"): 1,
        ("other", "/api/tasks", "4xx"): 1,
    }
    assert series(registry, "gateway_upstream_request_duration_seconds_count") == {("2xx", upstream.url): 2}
    assert series(registry, "gateway_rate_limited_total") == {("user",): 1}


async def test_an_upstream_that_is_away_is_counted_by_what_happened(
    make_gateway: Callable[..., Any], issuer: Issuer, ann: dict[str, str], registry: CollectorRegistry
) -> None:
    async with make_gateway("http://127.0.0.1:1", issuer, registry) as http:
        assert (await http.get("/api/tasks", headers=ann)).status_code == 503
    counted = series(registry, "gateway_upstream_request_duration_seconds_count")
    assert counted == {("ConnectFailed", "http://127.0.0.1:1"): 1}


async def test_nobody_is_measured_without_a_registry(http: httpx.AsyncClient, ann: dict[str, str]) -> None:
    assert (await http.get("/api/tasks", headers=ann)).status_code == 200


async def test_what_others_keep_account_of_is_shown(registry: CollectorRegistry, issuer: Issuer) -> None:
    async def app(*_: object) -> None:
        pass

    keys = issuer.trusted().keys
    assert isinstance(keys, KeySet)
    balance = Balance([Pool("http://127.0.0.1:1")], threshold=1)
    overload = Overload(app)
    overload.shed = 4
    measured = GatewayMetrics(registry)
    try:
        await keys.refresh()
        with pytest.raises(Exception, match="no connection"):
            await balance.request(b"GET", b"/")
        measured.show([keys], [balance], overload, None)
        measured.show([keys], [balance], overload, None)
    finally:
        await balance.aclose()
        await keys.aclose()
    assert series(registry, "gateway_keys") == {(): 1}
    assert series(registry, "gateway_keys_fetches_total") == {(): 1}
    assert series(registry, "gateway_shed_total") == {(): 4}
    assert series(registry, "gateway_upstream_breaker") == {("http://127.0.0.1:1",): 2}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("workers", [1, 2])
async def test_production_measures_on_its_own_port_and_logs_a_json_line(
    workers: int, upstream: Any, issuer: Issuer, ann: dict[str, str]
) -> None:
    port, metrics_port = free_port(), free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "ENV": "production",
        "BETTER_AUTH_URL": "http://127.0.0.1:1",
        "BETTER_AUTH_ISSUER": "http://issuer.test",
        "BETTER_AUTH_AUDIENCE": "http://issuer.test",
        "IDENTITY_SECRET": "a secret that is long enough to be one",
        "TASKS_URL": upstream.url,
        "GATEWAY_PORT": str(port),
        "GATEWAY_METRICS_PORT": str(metrics_port),
        "GATEWAY_WORKERS": str(workers),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "todo_gateway", "serve"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        async with httpx.AsyncClient(timeout=60) as http:
            while True:
                try:
                    answer = await http.get(f"http://127.0.0.1:{port}/api/tasks?q=private", headers=ann)
                    break
                except httpx.ConnectError:
                    assert process.poll() is None
                    await asyncio.sleep(0.02)
            text = (await http.get(f"http://127.0.0.1:{metrics_port}/metrics")).text
            assert (await http.get(f"http://127.0.0.1:{port}/metrics")).status_code == 404
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    assert answer.status_code == 503, "the issuer is away"
    assert "server-timing" not in answer.headers
    assert 'route="/api/tasks",status="5xx"} 1.0' in text
    assert "gateway_keys_failures_total" in text
    lines = [json.loads(line) for line in log.splitlines()]
    (access,) = [line for line in lines if line["logger"] == "todo.access" and line["route"] == "/api/tasks"]
    assert (access["status"], access["client"]) == (503, "127.0.0.1")
    assert "private" not in log and ann["Authorization"].split()[1] not in log
