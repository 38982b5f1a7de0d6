"""The gateway as a process, with its strict protocol: how it ends, and that its workers are as strict."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

PROGRAM = """
import sys
from functools import partial
from todo_gateway.framing import Limits, StrictProtocol
from todo_service.server import Drain, serve

if __name__ == "__main__":
    port, workers = map(int, sys.argv[1:])
    serve("todo_gateway.app:from_environment", host="127.0.0.1", port=port, port_setting="GATEWAY_PORT",
          workers=workers, drain=Drain(600, 600),
          http=partial(StrictProtocol, limits=Limits(head_timeout_s=60)))
"""
ENVIRONMENT = {
    "BETTER_AUTH_URL": "http://127.0.0.1:1",
    "TASKS_URL": "http://127.0.0.1:1",
    "IDENTITY_SECRET": "a secret that is long enough to be one",
    "PATH": os.environ["PATH"],
}


@pytest.fixture(params=[1, 2])
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A gateway of one process or of two, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "program.py", str(port), str(request.param)]
    process = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, start_new_session=True)
    try:
        while True:
            assert process.poll() is None
            try:
                ask(port)
                break
            except OSError:
                time.sleep(0.02)
        yield process, port
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ask(port: int, request: bytes = b"GET /healthz HTTP/1.1\r\nHost: a.test\r\n\r\n") -> bytes:
    """The first bytes of the answer on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(request)
        return client.recv(65536)


def test_workers_are_as_strict(gateway: tuple[subprocess.Popen[bytes], int]) -> None:
    _, port = gateway
    for _ in range(8):
        answer = ask(port, b"GET /healthz HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"\r\ncontent-type: application/problem+json\r\n" in answer


def test_while_it_drains_a_kept_connection_is_served_and_told_goodbye(
    gateway: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, port = gateway
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as kept:
        assert kept.get("/healthz").headers.get("connection") is None
        process.send_signal(signal.SIGTERM)
        while True:
            answer = kept.get("/healthz")
            assert answer.status_code == 200
            if answer.headers.get("connection") == "close":
                break
    refused = b""
    while b"400 Bad Request" not in refused:
        refused = ask(port, b"GET /healthz HTTP/1.1\r\n\r\n")
    assert refused.lower().count(b"connection: close") == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0


def test_a_request_behind_the_one_under_way_is_left_unread_when_the_server_ends(
    gateway: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, port = gateway
    head = b"GET /healthz HTTP/1.1\r\nHost: a.test\r\n\r\n"
    process.send_signal(signal.SIGTERM)
    while not all(b"connection: close" in ask(port, head) for _ in range(20)):
        pass  # a worker has not heard it yet
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(head * 3)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    assert answer.count(b"HTTP/1.1 ") == 1, "the rest can be sent again elsewhere"
