import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

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
    ours = re.compile(r"(DATABASE|TASKS|IDENTITY|ENV$|LOG|TRUST|MAX_BODY|WIRE|TRASH|IDEMPOTENCY)")
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


def test_what_is_exported_can_be_imported(empty_url: str, execute: Execute, tmp_path: Path) -> None:
    assert command("migrate", DATABASE_URL=empty_url).returncode == 0
    columns = "id, title, status, priority, tags, position, version, created_at, updated_at"
    execute(
        empty_url,
        f"INSERT INTO task (user_id, {columns}) SELECT 'ada', '01980000-0000-7000-8000-000000000000', 'ü', "
        "'pending', 'low', '{}', 0, 1, '2030-01-01Z', '2030-01-01Z'",
    )
    for name in ("jsonl", "csv"):
        exported = command(
            "export", "--format", name, "ada", DATABASE_URL=empty_url, PYTHONIOENCODING="utf-8"
        )
        assert exported.returncode == 0, exported.stderr
        assert "wrote 1 records" in exported.stderr
        assert "\r" not in exported.stderr
        file = tmp_path / f"ada.{name}"
        file.write_text(exported.stdout, encoding="utf-8", newline="")
        execute(empty_url, "DELETE FROM task")
        imported = command("import", "ada", str(file), DATABASE_URL=empty_url)
        assert imported.returncode == 0, imported.stderr
        assert "imported 1 tasks and 0 categories; 0 were there already" in imported.stderr
        assert execute(empty_url, "SELECT user_id, title FROM task") == [("ada", "ü")]


def test_a_file_that_cannot_be_imported_is_told_line_by_line(url: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("{\n[]\n")
    failed = command("import", "ada", str(file), DATABASE_URL=url)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.splitlines() == [
        "error: Line 1: it is not JSON.",
        'error: Line 2: is not an object with the type "category" or "task".',
        "error: Nothing was imported.",
    ]
    missing = command("import", "ada", str(tmp_path / "none"), DATABASE_URL=url)
    assert (missing.returncode, missing.stderr) == (
        1,
        f"error: {tmp_path}/none: No such file or directory.\n",
    )


@pytest.mark.parametrize(
    "arguments", [["purge"], ["purge", "--user", "ada"], ["export", "ada"], ["import", "ada", "/dev/null"]]
)
def test_a_command_needs_a_database_with_the_schema(empty_url: str, arguments: list[str]) -> None:
    nowhere = "postgresql://ada:hunter2@127.0.0.1:1/todo"
    failed = command(*arguments, DATABASE_URL=nowhere)
    assert (failed.returncode, failed.stderr) == (1, "error: DATABASE_URL: nothing answers there.\n")
    failed = command(*arguments, DATABASE_URL=empty_url)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: The database has no tables of this service yet")


@pytest.mark.parametrize(
    "arguments", [[], ["export"], ["export", "a b"], ["import", "ada"], ["purge", "--user", ""], ["nonsense"]]
)
def test_arguments_that_make_no_command_are_refused(url: str, arguments: list[str]) -> None:
    failed = command(*arguments, DATABASE_URL=url)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("usage: todo-tasks")


def test_purge_deletes_what_is_old_or_all_of_one_user(empty_url: str, execute: Execute) -> None:
    command("migrate", DATABASE_URL=empty_url)
    columns = (
        "user_id, id, title, status, priority, tags, position, version, created_at, updated_at, deleted_at"
    )
    for user_id, deleted_at in (("ada", "2001-01-01Z"), ("ada", None), ("eve", None)):
        execute(
            empty_url,
            f"INSERT INTO task ({columns}) SELECT %s, gen_random_uuid(), 'x', 'pending', 'low', '{{}}', 0, "
            "1, '2001-01-01Z', '2001-01-01Z', %s",
            *(user_id, deleted_at),
        )
    purged = command("purge", DATABASE_URL=empty_url, TRASH_DAYS="36500")
    assert purged.returncode == 0
    assert "purged 0 tasks in the trash and 0 kept answers" in purged.stderr
    purged = command("purge", DATABASE_URL=empty_url)
    assert "purged 1 tasks in the trash and 0 kept answers" in purged.stderr
    purged = command("purge", "--user", "ada", DATABASE_URL=empty_url)
    assert purged.returncode == 0
    assert "deleted 1 tasks, 0 categories and 0 kept answers" in purged.stderr
    assert execute(empty_url, "SELECT user_id FROM task") == [("eve",)]
    execute(empty_url, 'CREATE TABLE "user" (id text PRIMARY KEY)')
    execute(empty_url, """INSERT INTO "user" VALUES ('eve')""")
    refused = command("purge", "--user", "eve", DATABASE_URL=empty_url)
    assert (refused.returncode, refused.stderr) == (
        1,
        "error: The issuer has this user; delete it there first.\n",
    )
    file = "/dev/null"
    refused = command("import", "ada", file, DATABASE_URL=empty_url)
    assert refused.stderr == "error: There is no such user.\nerror: Nothing was imported.\n"
    assert command("import", "eve", file, DATABASE_URL=empty_url).returncode == 0


def test_an_export_whose_reader_goes_away_says_so(url: str) -> None:
    with open("/dev/full", "wb") as full:
        failed = subprocess.run(
            [sys.executable, "-m", "todo_tasks", "export", "--format", "csv", "ada"],
            env=clean() | {"DATABASE_URL": url},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert (failed.returncode, failed.stderr) == (
        1,
        "error: Not all was written: No space left on device.\n",
    )
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        failed = subprocess.run(
            [sys.executable, "-m", "todo_tasks", "export", "--format", "csv", "ada"],
            env=clean() | {"DATABASE_URL": url},
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert (failed.returncode, failed.stderr) == (1, "error: Not all was written: the reader went away.\n")


def test_a_wire_profile_with_everything_wrong_is_told_at_start(url: str, tmp_path: Path) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text('cas = "camel"\nempty_text = 1\n')
    failed = command("serve", DATABASE_URL=url, IDENTITY_SECRET=SECRET, WIRE_PROFILE=str(profile))
    assert (failed.returncode, failed.stderr) == (
        2,
        "error: WIRE_PROFILE: 'cas' is not known (did you mean 'case'?); "
        "empty_text must be 'null' or 'empty'.\n",
    )
