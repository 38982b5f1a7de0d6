from collections.abc import Callable
from pathlib import Path

import pytest

from todo_service.settings import SettingsError, load
from todo_tasks import profile_file
from todo_tasks.profile import CAMEL, DEFAULT
from todo_tasks.settings import TasksSettings

EVERYTHING_WRONG = """
case = "camle"
don = "x"
empty_text = "none"
unknown_members = true
done = "title"
task = { data = "$itm" }
deleted = "yes"
category = { data = "$item", at = 2030-01-31, "$item" = 1, inf = inf }
[tasks]
tasks = "$items"
more = "$items"
total = "$totl"
"""


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str | bytes], str]:
    def write(text: str | bytes) -> str:
        path = tmp_path / "profile.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def test_names_need_no_file() -> None:
    assert profile_file.load("default") is DEFAULT
    assert profile_file.load("camel") is CAMEL


def test_an_empty_file_is_the_default(file: Callable[[str], str]) -> None:
    profile = profile_file.load(file(""))
    assert (profile.case, profile.done, profile.tasks, profile.deleted) == ("snake", None, None, None)


def test_everything_that_is_wrong_is_told_at_once(
    file: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "postgres://db/todo")
    monkeypatch.setenv("IDENTITY_SECRET", "0123456789abcdef0123456789abcdef")
    monkeypatch.setenv("TASKS_PORT", "x")
    monkeypatch.setenv("WIRE_PROFILE", file(EVERYTHING_WRONG))
    with pytest.raises(SettingsError) as raised:
        load(TasksSettings)
    port, profile = raised.value.problems
    assert port.startswith("TASKS_PORT: ")
    assert profile.removeprefix("WIRE_PROFILE: ").removesuffix(".").split("; ") == [
        "'don' is not known (did you mean 'done'?)",
        "case must be 'snake' or 'camel' (did you mean 'camel'?)",
        "empty_text must be 'null' or 'empty'",
        "unknown_members must be 'refuse' or 'ignore'",
        "done cannot be 'title', the name of another member",
        "tasks has no '$totl' (did you mean '$total'?)",
        "tasks has '$items' twice",
        "task has no '$itm' (did you mean '$item'?)",
        "task needs '$item'",
        "category: '$item' is a key, and cannot begin with $",
        "category.at must be text, a finite number, true or false",
        "category.inf must be text, a finite number, true or false",
        "deleted must be a table",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a = [", "the file is not TOML"),
        ("done = 1\n= 2", "the file is not TOML, at line 2"),
        (b"done = '\xff'", "the file is not UTF-8"),
        ("#" * 70_000, "the file has more than 65536 bytes"),
        ("done = ''", "done must be a name"),
        ("done = 'a b'", "done must be a name"),
        ("done = 'dueDate'", "done cannot be 'dueDate'"),
        ("done = 'search'", "done cannot be 'search'"),
        ("done = 'q'", "done cannot be 'q'"),
        (f"done = '{'a' * 61}'", "done must be a name"),
        ("tasks = { a = 1 }", "tasks needs '$items'"),
        ("deleted = { a = '$item' }", "deleted has no '$item'"),
        ("tasks = { a = { b = { c = { d = { e = { f = { g = { h = '$items' }}}}}}}}", "nested deeper than 8"),
        ("[[tasks]]\na = 1", "tasks must be a table"),
        ("case = []", "case must be"),
        ("x = " + "[" * 20_000, "the file is n"),
    ],
)
def test_a_file_that_is_no_profile_is_refused(
    file: Callable[[str | bytes], str], text: str | bytes, problem: str
) -> None:
    with pytest.raises(ValueError) as raised:
        profile_file.load(file(text))
    assert problem in str(raised.value)


def test_a_word_that_is_neither_name_nor_file_is_refused() -> None:
    with pytest.raises(ValueError, match="is neither default nor camel nor a file that can be read"):
        profile_file.load("camal")
    with pytest.raises(ValueError, match="nor a file"):
        profile_file.load("x\0y")
