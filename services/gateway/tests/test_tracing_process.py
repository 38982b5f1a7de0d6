"""The gateway's processes, and a collector of traces."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest
from todo_service.tracing.testing import collecting

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "ENV": "production",
    "BETTER_AUTH_URL": "http://127.0.0.1:1",
    "IDENTITY_SECRET": "a secret that is long enough to be one",
    "TASKS_URL": "http://127.0.0.1:1",
}
REQUESTS = 20


@pytest.mark.parametrize("workers", [1, 2])
async def test_every_worker_sends_its_spans_before_it_ends_and_logs_their_traces(workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with collecting() as collector:
        environment = {
            **ENVIRONMENT,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "600000",
            "GATEWAY_PORT": str(port),
            "GATEWAY_WORKERS": str(workers),
        }
        command = [sys.executable, "-m", "todo_gateway", "serve"]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        try:
            asked = 0
            while asked < REQUESTS:
                async with httpx.AsyncClient(timeout=60) as http:
                    try:
                        assert (await http.get(f"http://127.0.0.1:{port}/api/tasks")).status_code == 401
                        asked += 1
                    except httpx.ConnectError:
                        assert process.poll() is None
                        await asyncio.sleep(0.02)
        finally:
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=60)
        assert process.returncode == 0
        lines = [json.loads(line) for line in log.splitlines()]
        sent = {span.trace_id.hex() for span in collector.spans}
        assert {resource["service.name"] for resource in collector.resources} == {"todo-gateway"}
        assert len(sent) == REQUESTS
        assert {line["trace_id"] for line in lines if line["logger"] == "todo.access"} == sent


def test_a_wrong_endpoint_is_told_before_anything_is_served() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "todo_gateway", "check"],
        env={**ENVIRONMENT, "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr == "error: OTEL_EXPORTER_OTLP_ENDPOINT: must be an http:// or https:// URL.\n"
