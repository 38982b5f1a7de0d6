"""The environment is checked at once, in words, and never repeated."""

import errno
import os
from pathlib import Path

import pytest
from pydantic import Field
from todo_service import settings
from todo_service.settings import CommaSeparated, SecretList, Settings, SettingsError

LONG = "a secret that is long enough to be one"


class Example(Settings):
    port: int = Field(ge=1, le=65535)
    identity_secret: SecretList
    origins: CommaSeparated = ()


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "IDENTITY_SECRET", "ORIGINS", "ENV", "SECRETS_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def secrets(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of secrets, with one of them, as Docker mounts it."""
    folder = empty_folder / "secrets"
    folder.mkdir()
    (folder / "identity_secret").write_text(f"{LONG}\n")
    monkeypatch.setenv("SECRETS_DIR", str(folder))
    monkeypatch.setenv("PORT", "80")
    return folder


def test_every_problem_is_told_at_once_and_no_value_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_SECRET", "hunter2")
    with pytest.raises(SettingsError) as caught:
        settings.load(Example)
    assert len(caught.value.problems) == 2
    assert "PORT is not set." in caught.value.problems
    assert any("IDENTITY_SECRET" in problem and "32 bytes" in problem for problem in caught.value.problems)
    assert "hunter2" not in str(caught.value)


def test_a_number_that_is_none_is_named_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_SECRET", LONG)
    monkeypatch.setenv("PORT", "eighty")
    with pytest.raises(SettingsError, match="PORT") as caught:
        settings.load(Example)
    assert "eighty" not in str(caught.value)


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "80")
    monkeypatch.setenv("IDENTITY_SECRET", f"{LONG}, {LONG}2")
    monkeypatch.setenv("ORIGINS", "http://a, http://b,")
    loaded = settings.load(Example)
    assert loaded.origins == ("http://a", "http://b")
    assert loaded.identity_secret == (LONG, f"{LONG}2")


def test_a_secret_list_with_one_short_member_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "80")
    monkeypatch.setenv("IDENTITY_SECRET", f"{LONG},short")
    with pytest.raises(SettingsError, match="32 bytes"):
        settings.load(Example)


def test_the_env_file_is_read_except_in_production(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / ".env").write_text(f"PORT=81\nIDENTITY_SECRET={LONG}\nUNRELATED=1\n")
    assert settings.load(Example).port == 81
    monkeypatch.setenv("PORT", "82")
    assert settings.load(Example).port == 82, "the environment wins"
    monkeypatch.setenv("ENV", "production")
    with pytest.raises(SettingsError):
        settings.load(Example)


def test_refusing_prints_each_problem_and_ends_with_status_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        settings.refuse(SettingsError(["PORT is not set.", "ORIGINS: odd."]))
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: PORT is not set.\nerror: ORIGINS: odd.\n"


def test_a_secret_is_read_from_the_file_of_its_name(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.load(Example).identity_secret == (LONG,)
    monkeypatch.setenv("ENV", "production")
    assert settings.load(Example).identity_secret == (LONG,), "in production, too"
    monkeypatch.setenv("IDENTITY_SECRET", f"{LONG} from the environment")
    assert settings.load(Example).identity_secret == (f"{LONG} from the environment",), "which wins"


def test_what_is_wrong_with_a_secrets_file_is_told_by_the_settings_name(secrets: Path) -> None:
    (secrets / "identity_secret").write_text("hunter2")
    with pytest.raises(SettingsError) as caught:
        settings.load(Example)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith("IDENTITY_SECRET: ")
    assert "hunter2" not in str(caught.value)
    (secrets / "identity_secret").write_bytes(b"\xff" * 40)
    with pytest.raises(SettingsError, match="not text in UTF-8"):
        settings.load(Example)
    (secrets / "identity_secret").unlink()
    with pytest.raises(SettingsError, match="^IDENTITY_SECRET is not set.$"):
        settings.load(Example)


def test_a_secrets_file_that_may_not_be_read_is_named(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (secrets / "identity_secret").chmod(0)
    if os.geteuid() == 0:  # who may read every file

        def denied(path: Path, encoding: str | None = None) -> str:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

        monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(SettingsError, match="^IDENTITY_SECRET: its file in SECRETS_DIR cannot be read"):
        settings.load(Example)


def test_a_folder_of_secrets_that_is_not_there_is_told(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRETS_DIR", str(secrets / "elsewhere"))
    with pytest.raises(SettingsError, match="^SECRETS_DIR: there is no such folder.$"):
        settings.load(Example)
