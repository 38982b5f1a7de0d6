"""The directory in which the stack keeps what survives a restart; it has one user at a time.

Task: T-004 · Spec: plan.md#processes
"""

import fcntl
import os
import secrets
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TextIO

import psutil

from todo_stack.errors import StackError

STOP_S = 20.0
"""How long the processes of a stack that was killed may take to end: the watchdog's time, and some."""


class DataDirectory:
    """`path`, made where it is missing and locked for the length of the block.

    Raises `StackError` when it cannot be written to, or another stack runs in it. The lock, the kernel's,
    ends with its last holder, however that ends. `lock` is its file descriptor, for the watchdog to inherit:
    the directory is free when the last process of a killed stack is gone, and not before.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._resources = ExitStack()

    def __enter__(self) -> "DataDirectory":
        with ExitStack() as entering:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                lock = entering.enter_context((self.path / "lock").open("a+"))
                # A directory may be read-only where an old lock file is not.
                (self.path / "lock.new").touch()
                (self.path / "lock.new").unlink()
            except OSError as error:
                raise StackError(
                    f"{self.path} cannot be written to ({error.strerror}): "
                    "make it writable, or set TODO_DATA_DIR to another directory."
                ) from error
            deadline = time.monotonic() + STOP_S
            while not locked(lock):
                # The owner is gone and its processes are about to be: worth the wait.
                if _owner_lives(lock) or time.monotonic() > deadline:
                    raise StackError(
                        f"Another `./dev up` runs in {self.path}: stop that one first, "
                        "or set TODO_DATA_DIR to another directory and the ports to other ones."
                    )
                time.sleep(0.05)
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            self.lock = lock.fileno()
            self._resources = entering.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    def holds(self, name: str) -> bool:
        """Say whether a secret is kept as `name`."""
        return (self.path / name).exists()

    def secret(self, name: str) -> str:
        """Return the secret kept as `name`, made at the first call: 256 random bits, URL-safe."""
        file = self.path / name
        if not self.holds(name):
            # Written aside and renamed, so that a crash never leaves an empty secret behind.
            new = self.path / f"{name}.new"
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
                out.write(secrets.token_urlsafe(32))
            new.replace(file)
        return file.read_text()


def locked(file: TextIO) -> bool:
    """Take the lock on `file` for this process and say so, or say that another process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner_lives(lock: TextIO) -> bool:
    lock.seek(0)
    try:
        return psutil.Process(int(lock.read())).status() != psutil.STATUS_ZOMBIE
    except (ValueError, psutil.NoSuchProcess):
        return False
