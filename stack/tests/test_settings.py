"""The environment is checked as a whole, in sentences that carry no secret."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from todo_stack.errors import StackError
from todo_stack.settings import Settings


def test_an_empty_environment_has_defaults(tmp_path: Path) -> None:
    settings = Settings.load({}, tmp_path)
    assert (settings.gateway_port, settings.tasks_port, settings.web_port) == (8000, 8001, 3000)
    assert settings.data_dir == tmp_path / ".data"
    assert settings.ready_file is None


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GATEWAY_PORT=8100\nTASKS_PORT=8101\nTODO_DATA_DIR=elsewhere # a note\n")
    settings = Settings.load({"TASKS_PORT": "8201"}, tmp_path)
    assert (settings.gateway_port, settings.tasks_port) == (8100, 8201)
    assert settings.data_dir == tmp_path / "elsewhere"


def test_an_empty_value_hides_the_files(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GATEWAY_PORT=8100\n")
    settings = Settings.load({"GATEWAY_PORT": ""}, tmp_path)
    assert settings.gateway_port == 8000 and "GATEWAY_PORT" not in settings.environment


def test_production_does_not_read_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GATEWAY_PORT=8100\n")
    production = {"ENV": "production", "BETTER_AUTH_URL": "https://auth.example"}
    assert Settings.load(production, tmp_path).gateway_port == 8000


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"GATEWAY_PORT": "eight"}, "GATEWAY_PORT is not a port"),
        ({"WEB_PORT": "65536"}, "WEB_PORT is not a port"),
        ({"TASKS_PORT": "٣"}, "TASKS_PORT is not a port"),
        ({"TASKS_PORT": "8000"}, "three different ports"),
        ({"IDENTITY_SECRET": "hunter2"}, "IDENTITY_SECRET is too short"),
        ({"IDENTITY_SECRET": "x" * 32 + ",hunter2"}, "IDENTITY_SECRET is too short"),
        ({"TODO_READY_FILE": "/nowhere/ready.json"}, "TODO_READY_FILE is in a directory"),
        ({"ENV": "production"}, "ENV=production and neither"),
        ({"BETTER_AUTH_URL": "https://a.example", "NEON_AUTH_BASE_URL": "https://b.example"}, "both set"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    tmp_path: Path, environ: Mapping[str, str], sentence: str
) -> None:
    with pytest.raises(StackError, match=sentence) as refusal:
        Settings.load(environ, tmp_path)
    assert "hunter2" not in str(refusal.value)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(StackError) as refusal:
        Settings.load({"GATEWAY_PORT": "0", "WEB_PORT": "-1", "IDENTITY_SECRET": "short"}, tmp_path)
    assert len(str(refusal.value).splitlines()) == 3


def test_a_secret_is_measured_in_bytes_and_several_are_taken(tmp_path: Path) -> None:
    Settings.load({"IDENTITY_SECRET": f"{'é' * 16}, {'x' * 32}"}, tmp_path)
