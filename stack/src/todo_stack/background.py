"""The whole as another program's child, for tests that use it from outside.

Task: T-004 · Spec: plan.md#processes
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from todo_stack.errors import StackError
from todo_stack.ports import free_port

START_S = 240.0
"""When a start is given up: the first one installs and builds the page."""
STOP_S = 30.0


@dataclass(frozen=True)
class Running:
    """Where the running parts are reached; `web_url` is None without the page."""

    gateway_url: str
    issuer_url: str
    web_url: str | None


@contextmanager
def running(directory: Path, environment: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Runs what `./dev up` runs, on free ports, with its data and its output (`log`) in `directory`.

    `environment` goes over this process's own, out of which an identity provider is not taken. Raises
    `StackError` with the output when it does not start.
    """
    ready_file, log_file = directory / "ready.json", directory / "log"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BETTER_AUTH_")}
    own = {
        "TODO_DATA_DIR": str(directory / "data"),
        "TODO_READY_FILE": str(ready_file),
        **{name: str(free_port()) for name in ("GATEWAY_PORT", "TASKS_PORT", "WEB_PORT")},
    }
    with (
        log_file.open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "todo_stack", "up"],
            env={**inherited, **own, **(environment or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + START_S
            while not ready_file.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise StackError(f"The stack did not start:\n{log_file.read_text()}")
                time.sleep(0.05)
            document = json.loads(ready_file.read_text())
            yield Running(document["gateway_url"], document["issuer_url"], document["web_url"])
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
