"""The script `dev`: commands, old Pythons, and a first run without a network."""

import ast
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from todo_stack.ports import free_port
from todo_stack.settings import ROOT

DEV = ROOT / "dev"


def run(*arguments: str, prelude: str = "", script: Path = DEV) -> subprocess.CompletedProcess[str]:
    """Run `dev` in a Python in which `prelude` came first."""
    program = (
        "import os, runpy, sys\n"
        f"sys.argv = {[str(script), *arguments]!r}\n"
        f"{prelude}\n"
        f"runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The script as in a fresh checkout, with no `.dev/` beside it."""
    for name in ("dev", "dev.lock", "noxfile.py"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path / "dev"


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_alone_it_lists_the_commands(arguments: tuple[str, ...]) -> None:
    answer = run(*arguments)
    assert answer.returncode == 0
    for command in ("up", "demo", "test", "lint", "types"):
        assert f"\n  {command} " in answer.stdout


def test_its_commands_are_the_sessions_of_nox() -> None:
    marks = re.findall(r"^@nox\.session", (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    commands = runpy.run_path(str(DEV))["commands"]()
    assert len(dict(commands)) == len(marks) > 10
    assert all(purpose.endswith(".") for _, purpose in commands)


def test_an_unknown_command_is_refused() -> None:
    answer = run("upp")
    assert answer.returncode == 1
    assert answer.stderr == "error: There is no command 'upp': ./dev --help lists them.\n"


def test_an_old_python_gets_one_sentence() -> None:
    answer = run("up", prelude="sys.version_info = (3, 9, 2, 'final', 0)")
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: Python 3.11 or newer is needed, and this is ")
    assert answer.stderr.count("\n") == 1


def test_an_old_python_can_read_it() -> None:
    tree = ast.parse(DEV.read_text(), feature_version=(3, 7))
    newer = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef, ast.Starred)
    assert not [node for node in ast.walk(tree) if isinstance(node, newer)]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.arg) and node.annotation]


def test_a_python_without_venv_gets_one_sentence(copy: Path) -> None:
    answer = run("up", prelude="sys.modules['ensurepip'] = None", script=copy)
    assert answer.returncode == 1
    assert answer.stderr == (
        "error: Python's venv module is missing: on Debian and Ubuntu, apt install python3-venv.\n"
    )


def test_a_first_run_without_a_network_gets_one_sentence(copy: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/simple"
    settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": nowhere, "PIP_NO_CACHE_DIR": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    answer = subprocess.run(
        [sys.executable, str(copy), "lint"], capture_output=True, text=True, env=kept | settings
    )
    assert answer.returncode == 1
    assert answer.stderr == "error: The first run needs the network: pip cannot reach its package index.\n"


def test_a_directory_that_cannot_be_written_to_gets_one_sentence(copy: Path) -> None:
    (copy.parent / ".dev").touch()
    answer = run("up", script=copy)
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: ") and answer.stderr.count("\n") == 1
