"""The data directory: one user at a time, secrets that stay, and a sentence when it cannot be written to."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from todo_stack.data import DataDirectory, locked
from todo_stack.errors import StackError

HOLDS = """
import pathlib, subprocess, sys, time
from todo_stack.data import DataDirectory
data = DataDirectory(pathlib.Path(sys.argv[1])).__enter__()
pathlib.Path(sys.argv[2]).touch()
"""
INHERITS = """
waits = "import pathlib, sys, time\\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)"
subprocess.run([sys.executable, "-c", waits, sys.argv[3]], pass_fds=[data.lock])
"""
SLEEPS = "time.sleep(600)"


def test_a_second_user_is_told_and_a_killed_one_leaves_no_lock(
    tmp_path: Path, eventually: Callable[[Callable[[], bool]], bool]
) -> None:
    held = tmp_path / "held"
    with subprocess.Popen([sys.executable, "-c", HOLDS + SLEEPS, str(tmp_path / "data"), str(held)]) as first:
        assert eventually(held.exists)
        with pytest.raises(StackError, match="Another `./dev up` runs in"):
            DataDirectory(tmp_path / "data").__enter__()
        first.kill()
    with DataDirectory(tmp_path / "data"):
        pass


def test_the_last_process_of_a_killed_owner_is_waited_for(
    tmp_path: Path, eventually: Callable[[Callable[[], bool]], bool]
) -> None:
    held, told = tmp_path / "held", tmp_path / "told"
    arguments = [str(tmp_path / "data"), str(held), str(told)]
    with subprocess.Popen([sys.executable, "-c", HOLDS + INHERITS, *arguments]) as owner:
        assert eventually(held.exists)
        owner.kill()
    with (tmp_path / "data" / "lock").open() as lock, ThreadPoolExecutor() as threads:
        assert not locked(lock)
        entered = threads.submit(DataDirectory(tmp_path / "data").__enter__)
        told.touch()
        entered.result().__exit__(None, None, None)


def test_a_directory_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match=r"cannot be written to \(Not a directory\): .* TODO_DATA_DIR"):
        DataDirectory(tmp_path / "file" / "data").__enter__()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_write_permission_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    with pytest.raises(StackError, match="Permission denied"):
        DataDirectory(tmp_path / "data").__enter__()


def test_a_secret_is_made_once_and_readable_by_nobody_else(tmp_path: Path) -> None:
    with DataDirectory(tmp_path) as data:
        secret = data.secret("identity-secret")
        assert len(secret) >= 32 and secret != data.secret("another")
    with DataDirectory(tmp_path) as data:
        assert data.secret("identity-secret") == secret
    assert stat.S_IMODE((tmp_path / "identity-secret").stat().st_mode) == 0o600
