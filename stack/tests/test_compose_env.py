"""The secrets of docker-compose.yml are made once, for their owner alone, and never again."""

import stat
import subprocess
from pathlib import Path

import pytest
from todo_stack import compose_env
from todo_stack.settings import ROOT

NAMES = {
    "postgres_password",
    "database_password",
    "database_url",
    "identity_secret",
    "better_auth_secret",
}


def test_every_secret_is_made_in_a_folder_that_only_its_owner_enters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compose_env.main(tmp_path)
    folder = tmp_path / "secrets"
    values = {file.name: file.read_text().strip() for file in folder.iterdir()}
    assert values.keys() == NAMES
    assert len(set(values.values())) == len(values)
    assert all(len(value) >= 32 for value in values.values())
    assert values["database_url"] == f"postgresql://todo:{values['database_password']}@postgres/todo"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (tmp_path / ".env").read_text() == "TODO_SECRETS_DIR=./secrets\n"
    said = capsys.readouterr().out
    assert "docker compose up --wait" in said
    assert not [value for value in values.values() if value in said]


def test_what_is_there_already_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".env").write_text("WEB_PORT=3100")
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets" / "database_url").write_text("postgresql://ada@neon/todo")
    made = compose_env.make(tmp_path)
    assert "secrets/database_url" not in made
    assert (tmp_path / "secrets" / "database_url").read_text() == "postgresql://ada@neon/todo"
    assert (tmp_path / ".env").read_text() == "WEB_PORT=3100\nTODO_SECRETS_DIR=./secrets\n"
    before = {file.name: file.read_bytes() for file in (tmp_path / "secrets").iterdir()}
    compose_env.main(tmp_path)
    assert before == {file.name: file.read_bytes() for file in (tmp_path / "secrets").iterdir()}
    assert "nothing was changed" in capsys.readouterr().out


def test_git_takes_no_secret() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", ".env", *(f"secrets/{name}" for name in NAMES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if ignored.returncode == 128:
        pytest.skip("this is no checkout of git")
    assert len(ignored.stdout.splitlines()) == len(NAMES) + 1
