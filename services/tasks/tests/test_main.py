import re
import subprocess
from collections.abc import Callable

import pytest

from todo_tasks.migrations import HEAD

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_migrate_makes_the_schema_and_check_finds_it(command: Command, empty_url: str) -> None:
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


def test_migrate_takes_the_direct_url(command: Command, empty_url: str) -> None:
    nowhere = "postgresql://ada:hunter2@127.0.0.1:1/todo"
    assert command("migrate", DATABASE_URL=nowhere, DATABASE_DIRECT_URL=empty_url).returncode == 0
    failed = command("migrate", DATABASE_URL=empty_url, DATABASE_DIRECT_URL=nowhere)
    assert (failed.returncode, failed.stderr) == (1, "error: DATABASE_DIRECT_URL: nothing answers there.\n")


@pytest.mark.parametrize("name", ["migrate", "check"])
def test_a_wrong_password_is_one_sentence_without_it(command: Command, empty_url: str, name: str) -> None:
    wrong = re.sub(r"//([^:@]*)(:[^@]*)?@", r"//\1:hunter2@", empty_url)
    failed = command(name, DATABASE_URL=wrong)
    assert failed.returncode == 1
    assert failed.stderr == "error: DATABASE_URL: the server refused its user name or password.\n"


@pytest.mark.parametrize(
    "arguments", [["purge"], ["purge", "--user", "ada"], ["export", "ada"], ["import", "ada", "/dev/null"]]
)
def test_a_command_needs_a_database_with_the_schema(
    command: Command, empty_url: str, arguments: list[str]
) -> None:
    nowhere = "postgresql://ada:hunter2@127.0.0.1:1/todo"
    failed = command(*arguments, DATABASE_URL=nowhere)
    assert (failed.returncode, failed.stderr) == (1, "error: DATABASE_URL: nothing answers there.\n")
    failed = command(*arguments, DATABASE_URL=empty_url)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: The database has no tables of this service yet")


@pytest.mark.parametrize(
    "arguments", [[], ["export"], ["export", "a b"], ["import", "ada"], ["purge", "--user", ""], ["nonsense"]]
)
def test_arguments_that_make_no_command_are_refused(command: Command, url: str, arguments: list[str]) -> None:
    failed = command(*arguments, DATABASE_URL=url)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("usage: todo-tasks")
