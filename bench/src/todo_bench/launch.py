"""Starts builds as processes, waits until they answer, and ends them; none outlives this one.

Task: T-031 · Spec: plan.md#yardstick
"""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType

from todo_stack.watchdog import Watchdog

from todo_bench.usage import Usage

READY_S = 60.0
STOP_S = 3.0
"""A textbook gateway that was overrun works on for longer; nobody waits for those answers."""
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
"""What a process gets of this one's environment: settings of the machine's user must not change a figure."""


class LaunchError(Exception):
    """A build did not start; the sentence ends with what it said last."""


@dataclass(frozen=True)
class Part:
    """One process of a build. `is_ready` is asked until it says yes."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool]
    cwd: Path | None = None


@dataclass(frozen=True)
class Build:
    """What is measured: its processes, in the order of their start, and the port where it is asked."""

    name: str
    port: int
    parts: Sequence[Part]


@dataclass(frozen=True)
class Running:
    """A build that answers. `startup_s`: from the start of its first process until it did."""

    build: Build
    usage: Usage
    startup_s: float


class Launcher:
    """Runs builds for the length of the block. Their output goes to files in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._watchdog = Watchdog()

    def __enter__(self) -> "Launcher":
        self._watchdog.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watchdog.__exit__(kind, error, trace)

    def run(self, build: Build) -> AbstractContextManager[Running]:
        """Start the build for the length of a block. Entering it raises `LaunchError`."""
        return _Run(build, self._directory, self._watchdog.group)

    def empty_logs(self) -> None:
        """Cut what the builds have written so far: an access log of millions of lines fills a disk."""
        for log in self._directory.glob("*.log"):
            os.truncate(log, 0)


class _Run(AbstractContextManager[Running]):
    def __init__(self, build: Build, directory: Path, group: int) -> None:
        self._build = build
        self._directory = directory
        self._group = group
        self._resources = ExitStack()

    def __enter__(self) -> Running:
        begun = time.perf_counter()
        with ExitStack() as starting:
            roots = {part.name: self._start(part, starting) for part in self._build.parts}
            self._resources = starting.pop_all()
        return Running(self._build, Usage(roots), time.perf_counter() - begun)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    def _start(self, part: Part, starting: ExitStack) -> int:
        log_file = self._directory / f"{self._build.name}-{part.name}.log"
        with log_file.open("ab") as log:
            process = subprocess.Popen(
                part.command,
                env={name: os.environ[name] for name in INHERITED if name in os.environ}
                | dict(part.environment),
                cwd=part.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=self._group,
            )
        starting.callback(_stop, process)
        deadline = time.monotonic() + READY_S
        while not part.is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                last = log_file.read_text(errors="replace").strip()[-1000:]
                raise LaunchError(f"{self._build.name}: {part.name} did not start: {last or 'no output'}")
            time.sleep(0.01)
        return process.pid


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def answers(port: int, path: str) -> Callable[[], bool]:
    """A question for `Part.is_ready`: does the path answer 200?"""

    def ask() -> bool:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return ask
