"""The environment is checked at once, in words, and never repeated."""

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
    for name in ("PORT", "IDENTITY_SECRET", "ORIGINS", "ENV"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


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
