import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from todo_auth.identity import IdentityMinter
from todo_tasks.migrations import HEAD

Execute = Callable[..., list[tuple[object, ...]]]

SECRET = "a-secret-of-the-tests-long-enough-for-HS256"


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "todo_tasks", *arguments],
        env=clean() | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def clean() -> dict[str, str]:
    ours = re.compile(r"(DATABASE|TASKS|IDENTITY|ENV$|LOG|TRUST|MAX_BODY)")
    return {name: value for name, value in os.environ.items() if not ours.match(name)}


def test_migrate_makes_the_schema_and_check_finds_it(empty_url: str) -> None:
    before = command("check", DATABASE_URL=empty_url)
    assert (before.returncode, before.stdout) == (1, "")
    assert before.stderr == (
        "error: The database has no tables of this service yet: run `todo-tasks migrate`.\n"
    )
    for expected in (f"schema brought from revision none to {HEAD}", "nothing to do"):
        migrated = command("migrate", DATABASE_URL=empty_url)
        assert migrated.returncode == 0, migrated.stderr
        assert expected in migrated.stderr
        assert 'There is no table "user"' in migrated.stderr
    after = command("check", DATABASE_URL=empty_url)
    assert after.returncode == 0
    assert f"schema is at revision {HEAD}" in after.stderr


def test_migrate_takes_the_direct_url(empty_url: str) -> None:
    nowhere = "postgresql://ada:hunter2@127.0.0.1:1/todo"
    assert command("migrate", DATABASE_URL=nowhere, DATABASE_DIRECT_URL=empty_url).returncode == 0
    failed = command("migrate", DATABASE_URL=empty_url, DATABASE_DIRECT_URL=nowhere)
    assert (failed.returncode, failed.stderr) == (1, "error: DATABASE_DIRECT_URL: nothing answers there.\n")


@pytest.mark.parametrize("name", ["migrate", "check"])
def test_a_wrong_password_is_one_sentence_without_it(empty_url: str, name: str) -> None:
    wrong = re.sub(r"//([^:@]*)(:[^@]*)?@", r"//\1:hunter2@", empty_url)
    failed = command(name, DATABASE_URL=wrong)
    assert failed.returncode == 1
    assert failed.stderr == "error: DATABASE_URL: the server refused its user name or password.\n"


def test_every_setting_that_is_wrong_is_told_at_once(empty_url: str) -> None:
    failed = command("serve", DATABASE_URL="hunter2", IDENTITY_SECRET="hunter2", TASKS_PORT="x")
    assert failed.returncode == 2
    assert [line.split(":")[1].strip() for line in failed.stderr.splitlines()] == [
        "DATABASE_URL",
        "IDENTITY_SECRET",
        "TASKS_PORT",
    ]
    assert "hunter2" not in failed.stderr


def test_serve_refuses_a_schema_that_does_not_fit(empty_url: str, execute: Execute) -> None:
    refused = command("serve", DATABASE_URL=empty_url, IDENTITY_SECRET=SECRET)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: The database has no tables of this service yet")
    command("migrate", DATABASE_URL=empty_url)
    execute(empty_url, "UPDATE todo_tasks_version SET version_num = 'later'")
    refused = command("serve", DATABASE_URL=empty_url, IDENTITY_SECRET=SECRET)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"is at revision later and this version needs {HEAD}" in refused.stderr


def test_a_port_that_is_taken_is_one_sentence(url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        failed = command("serve", DATABASE_URL=url, IDENTITY_SECRET=SECRET, TASKS_PORT=str(port))
    assert failed.returncode == 2
    assert failed.stderr.splitlines()[-1] == (
        f"error: TASKS_PORT: cannot listen on port {port} of 127.0.0.1: address already in use."
    )


@contextmanager
def serving(url: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"DATABASE_URL": url, "IDENTITY_SECRET": SECRET, "TASKS_PORT": str(port), **environment}
    process = subprocess.Popen(
        [sys.executable, "-m", "todo_tasks", "serve"],
        env=clean() | settings,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(address: str, process: subprocess.Popen[str], path: str = "/readyz") -> httpx.Response:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return httpx.get(address + path)
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the service did not start")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_service_serves_over_a_socket_and_ends_when_it_is_told(url: str, workers: str) -> None:
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


def test_the_service_starts_without_its_database_and_says_so() -> None:
    with serving("postgresql://ada:hunter2@127.0.0.1:1/todo") as (process, address):
        assert wait_for(address, process).status_code == 503
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    assert "nothing answers there; starting without" in log
    assert "hunter2" not in log
