"""What the stack's tests share: patience, a terminal, and running Python programs as parts."""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from todo_stack.processes import Part
from todo_stack.terminal import Terminal

PATIENCE_S = 120.0
"""When a test gives up on something that has to happen. No test judges how long it takes."""


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], bool]:
    """Says whether a condition becomes true."""

    def wait(holds: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    return wait


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A directory outside of pytest's own, which every pytest that starts closes to other accounts.

    Under root PostgreSQL runs as one of them, and would lose its data in the middle of a test.
    """
    with tempfile.TemporaryDirectory(prefix="todo-stack-") as directory:
        yield Path(directory)


@pytest.fixture
def terminal() -> Terminal:
    """Standard output as the stack writes it."""
    return Terminal()


@pytest.fixture
def part(tmp_path: Path) -> Callable[..., Part]:
    """Makes a part that runs a piece of Python, ready at the file `ready`.

    In the program, `until_told()` is ready and waits until the test has made `tmp_path / "told"`.
    """

    def make(name: str, program: str, environment: Mapping[str, str] | None = None) -> Part:
        file = tmp_path / f"{name}.ready"

        async def ready() -> bool:
            return file.exists()

        header = (
            "import os, pathlib, signal, subprocess, sys, time\n"
            f"ready = pathlib.Path({str(file)!r})\n"
            "def until_told():\n"
            "    ready.touch()\n"
            f"    while not pathlib.Path({str(tmp_path / 'told')!r}).exists(): time.sleep(0.01)\n"
        )
        command = [sys.executable, "-u", "-c", header + program]
        return Part(name, command, {"PATH": os.environ["PATH"], **(environment or {})}, ready)

    return make
