"""Starts the parts of the stack as processes, follows their output, and stops them in reverse order.

Task: T-004 · Spec: plan.md#processes
"""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from todo_stack.calls import CallFailed, call
from todo_stack.errors import StackError
from todo_stack.terminal import Terminal
from todo_stack.watchdog import Watchdog

READY_S = 120.0
"""How long a part may take to become ready."""
STOP_S = 10.0
"""How long a part has between being asked to stop and SIGKILL."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.1
LAST_LINES, SHOWN_LENGTH = 12, 400
"""How much of a failed part's output is repeated: so many lines, so many characters of each."""
LONGEST_LINE = 64 * 1024
"""In bytes; a longer line is broken."""


@dataclass(frozen=True)
class Part:
    """One long-running process. `ready` is asked until it says yes; `environment` is all that it gets."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: Callable[[], Awaitable[bool]]
    cwd: Path | None = None
    account: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM


class _Running:
    """A started process with the reader of its output."""

    def __init__(
        self, name: str, process: Process, output: IO[bytes], stop_signal: signal.Signals, terminal: Terminal
    ) -> None:
        self.name = name
        self.process = process
        self._output = output
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._stop_signal = stop_signal
        self._terminal = terminal
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), self._output
        )
        rest = b""
        try:
            while chunk := await stream.read(LONGEST_LINE):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > LONGEST_LINE:
                    lines, rest = [*lines, rest], b""
                self._show(lines)
            self._show([rest] if rest else [])
        finally:
            transport.close()

    def _show(self, lines: list[bytes]) -> None:
        if lines:
            texts = [line.decode(errors="replace").rstrip() for line in lines]
            self.last_lines.extend(text[:SHOWN_LENGTH] for text in texts)
            self._terminal.log(self.name, texts)

    async def wait(self) -> int:
        """Wait for the end of the process and of its output, and return its exit code."""
        code = await self.process.wait()
        # A grandchild may hold the pipe open; what the process itself wrote is in it by now.
        await asyncio.wait({self._reader}, timeout=0.5)
        return code

    async def stop(self) -> None:
        """Ask the process to stop, and end it when it has not after `STOP_S`."""
        # It may end at any moment by itself.
        with suppress(ProcessLookupError):
            self.process.send_signal(self._stop_signal)
            try:
                async with asyncio.timeout(STOP_S):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
        await self.wait()
        self._reader.cancel()
        await asyncio.wait({self._reader})


class Processes:
    """The running parts. Leaving the block stops them in reverse order, then what they themselves started.

    `holding`: file descriptors that stay open, even when this process is killed, until all of them are gone.
    """

    def __init__(self, terminal: Terminal, holding: Sequence[int] = ()) -> None:
        self._terminal = terminal
        self._watchdog = Watchdog(holding)
        self._running: list[_Running] = []

    async def __aenter__(self) -> "Processes":
        self._watchdog.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for running in reversed(self._running):
            await running.stop()
        await asyncio.to_thread(self._watchdog.__exit__, kind, error, trace)

    @property
    def group(self) -> int:
        """The process group that everything here belongs to."""
        return self._watchdog.group

    def kill(self) -> None:
        """End everything at once, without asking."""
        os.killpg(self.group, signal.SIGKILL)

    async def start(self, part: Part, started: asyncio.Event | None = None) -> None:
        """Start `part` and wait until it is ready; `started` is set as soon as it runs.

        Raises `StackError`, with the part's last lines, when it ends instead or takes longer than `READY_S`.
        """
        running = await self._spawn(
            part.name, part.command, part.environment, part.cwd, part.account, part.stop_signal
        )
        self._running.append(running)
        if started:
            started.set()
        ended = asyncio.create_task(running.wait())
        pause_s = FIRST_PAUSE_S
        try:
            async with asyncio.timeout(READY_S):
                while not await part.ready():
                    await asyncio.wait({ended}, timeout=pause_s)
                    if ended.done():
                        raise _failed(running, f"{part.name} ended before it was ready")
                    pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
        except TimeoutError:
            raise _failed(running, f"{part.name} was not ready within {READY_S:.0f} s") from None
        finally:
            ended.cancel()

    async def run(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], cwd: Path | None = None
    ) -> None:
        """Run a command to its end. Raises `StackError`, with its last lines, when its exit code is not 0."""
        running = await self._spawn(name, command, environment, cwd, None, signal.SIGTERM)
        try:
            code = await running.wait()
        finally:
            await running.stop()
        if code:
            raise _failed(running, f"{name} failed")

    async def first_end(self) -> StackError:
        """Wait until a part ends by itself, and return the sentence that says so."""
        waiting = {asyncio.create_task(running.wait()): running for running in self._running}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        running = waiting[done.pop()]
        return _failed(running, f"{running.name} ended unexpectedly")

    async def _spawn(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path | None,
        account: str | None,
        stop_signal: signal.Signals,
    ) -> _Running:
        # A pipe of our own: with asyncio's, Python 3.11 takes a process for running until its grandchildren
        # have closed their end too.
        output, theirs = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=DEVNULL,
                stdout=theirs,
                stderr=STDOUT,
                env=environment,
                cwd=cwd,
                process_group=self.group,
                user=account,
                group=account,
                extra_groups=[] if account else None,
            )
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(theirs)
        return _Running(name, process, os.fdopen(output, "rb", 0), stop_signal, self._terminal)


def _failed(running: _Running, sentence: str) -> StackError:
    code = running.process.returncode
    how = "" if code is None else f" (exit code {code})" if code >= 0 else f" ({signal.Signals(-code).name})"
    lines = "".join(f"\n  {line}" for line in running.last_lines)
    return StackError(f"{sentence}{how}.{' Its last lines:' if lines else ''}{lines}")


def answers(url: str) -> Callable[[], Awaitable[bool]]:
    """Return a readiness question: does the loopback address `url` answer 200?"""

    async def ready() -> bool:
        try:
            return (await call("GET", url)).status == 200
        except CallFailed:
            return False

    return ready
