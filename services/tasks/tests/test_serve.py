import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from todo_auth.identity import IdentityMinter
from todo_stack.ports import free_port
from todo_tasks.migrations import HEAD

Command = Callable[..., subprocess.CompletedProcess[str]]
Served = tuple[subprocess.Popen[str], str]
Serving = Callable[..., AbstractContextManager[Served]]
Execute = Callable[..., list[tuple[object, ...]]]

SECRET = "a-secret-of-the-tests-long-enough-for-HS256"


def test_every_setting_that_is_wrong_is_told_at_once(command: Command, empty_url: str) -> None:
    failed = command("serve", DATABASE_URL="hunter2", IDENTITY_SECRET="hunter2", TASKS_PORT="x")
    assert failed.returncode == 2
    assert [line.split(":")[1].strip() for line in failed.stderr.splitlines()] == [
        "DATABASE_URL",
        "IDENTITY_SECRET",
        "TASKS_PORT",
    ]
    assert "hunter2" not in failed.stderr


def test_serve_refuses_a_schema_that_does_not_fit(command: Command, empty_url: str, execute: Execute) -> None:
    refused = command("serve", DATABASE_URL=empty_url, IDENTITY_SECRET=SECRET)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: The database has no tables of this service yet")
    command("migrate", DATABASE_URL=empty_url)
    execute(empty_url, "UPDATE todo_tasks_version SET version_num = 'later'")
    refused = command("serve", DATABASE_URL=empty_url, IDENTITY_SECRET=SECRET)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"is at revision later and this version needs {HEAD}" in refused.stderr


def test_a_port_that_is_taken_is_one_sentence(command: Command, url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        failed = command("serve", DATABASE_URL=url, IDENTITY_SECRET=SECRET, TASKS_PORT=str(port))
    assert failed.returncode == 2
    assert failed.stderr.splitlines()[-1] == (
        f"error: TASKS_PORT: cannot listen on port {port} of 127.0.0.1: address already in use."
    )


@pytest.fixture
def serving(environment: dict[str, str]) -> Serving:
    """The service as a process, and its address: `with serving(url, TASKS_WORKERS="2") as …`."""

    @contextmanager
    def run(url: str, **settings: str) -> Iterator[Served]:
        port = free_port()
        own = {"DATABASE_URL": url, "IDENTITY_SECRET": SECRET, "TASKS_PORT": str(port)}
        process = subprocess.Popen(
            [sys.executable, "-m", "todo_tasks", "serve"],
            env=environment | own | settings,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()

    return run


def wait_for(address: str, process: subprocess.Popen[str], path: str = "/readyz") -> httpx.Response:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return httpx.get(address + path)
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the service did not start")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_service_serves_over_a_socket_and_ends_when_it_is_told(
    serving: Serving, url: str, workers: str
) -> None:
    with serving(url, TASKS_WORKERS=workers) as (process, address):
        assert wait_for(address, process).status_code == 200
        token = IdentityMinter((SECRET,)).mint("over-a-socket")
        with httpx.Client(
            base_url=address, headers={"X-User-Id": "over-a-socket", "Txn-Token": token}
        ) as client:
            made = client.post("/api/tasks", json={"title": "über"})
            assert made.status_code == 201
            assert client.get(made.headers["location"]).json()["title"] == "über"
            assert client.delete(made.headers["location"]).status_code == 204
            assert "server" not in made.headers
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    assert process.returncode in (0, -signal.SIGTERM)
    assert "POST /api/tasks 201" in log
    assert "Traceback" not in log


def test_the_service_starts_without_its_database_and_says_so(serving: Serving) -> None:
    with serving("postgresql://ada:hunter2@127.0.0.1:1/todo") as (process, address):
        assert wait_for(address, process).status_code == 503
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    assert "nothing answers there; starting without" in log
    assert "hunter2" not in log


def test_a_wire_profile_with_everything_wrong_is_told_at_start(
    command: Command, url: str, tmp_path: Path
) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text('cas = "camel"\nempty_text = 1\n')
    failed = command("serve", DATABASE_URL=url, IDENTITY_SECRET=SECRET, WIRE_PROFILE=str(profile))
    assert (failed.returncode, failed.stderr) == (
        2,
        "error: WIRE_PROFILE: 'cas' is not known (did you mean 'case'?); "
        "empty_text must be 'null' or 'empty'.\n",
    )
