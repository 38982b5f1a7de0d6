from pathlib import Path

import pytest

from todo_service.settings import SettingsError, load
from todo_tasks.settings import DatabaseSettings, TasksSettings

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "DATABASE_DIRECT_URL", "IDENTITY_SECRET", "TASKS_PORT", "LOG_LEVEL", "ENV"):
        monkeypatch.delenv(name, raising=False)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://ada:hunter2@db/todo")
    monkeypatch.setenv("DATABASE_STATEMENT_CACHE", "OFF")
    monkeypatch.setenv("IDENTITY_SECRET", f"{SECRET}, {SECRET[::-1]}")
    monkeypatch.setenv("TASKS_PORT", "9001")
    settings = load(TasksSettings)
    assert settings.database_url.get_secret_value() == "postgres://ada:hunter2@db/todo"
    assert settings.database_statement_cache is False
    assert settings.identity_secret == (SECRET, SECRET[::-1])
    assert (settings.tasks_port, settings.tasks_host, settings.trust_domain) == (9001, "127.0.0.1", "todo")
    assert "hunter2" not in repr(settings)
    assert (settings.require_if_match, settings.trash_days, settings.idempotency_hours) == (False, 30, 24)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://a:hunter2@b/c"),
        ("DATABASE_URL", "postgresql://a:hunter2@b:x/c"),
        ("DATABASE_DIRECT_URL", "hunter2"),
        ("DATABASE_STATEMENT_CACHE", "hunter2"),
        ("DATABASE_POOL_SIZE", "0"),
        ("IDENTITY_SECRET", "hunter2"),
        ("TASKS_PORT", "70000"),
        ("ENV", "prod"),
        ("REQUIRE_IF_MATCH", "hunter2"),
        ("TRASH_DAYS", "0"),
        ("IDEMPOTENCY_HOURS", "23"),
    ],
)
def test_what_is_not_as_needed_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://db/todo")
    monkeypatch.setenv("IDENTITY_SECRET", SECRET)
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load(TasksSettings)
    (problem,) = refused.value.problems
    assert problem.startswith(f"{name}: ")
    assert "hunter2" not in problem


def test_commands_on_the_database_need_no_identity_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://db/todo")
    assert load(DatabaseSettings).database_direct_url is None


def test_an_images_workers_are_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://ada:hunter2@db/todo")
    monkeypatch.setenv("IDENTITY_SECRET", SECRET)
    monkeypatch.setenv("WORKERS", "3")
    assert load(TasksSettings).tasks_workers == 3
    monkeypatch.setenv("TASKS_WORKERS", "2")
    assert load(TasksSettings).tasks_workers == 2
