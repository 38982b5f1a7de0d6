"""What the person at the terminal sees: steps with their times, and the parts' logs in one stream.

Task: T-004 · Spec: plan.md#processes
"""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

GREEN, RED, DIM = 32, 31, 2
COLOURS = (36, 35, 34, 33, 32)
"""Of the parts' names, in turn. All are codes of ANSI's SGR sequence (ECMA-48 §8.3.117)."""
CLEAR_LINE = "\r\x1b[K"
NAME_WIDTH = 9
REDRAW_S = 0.1


class Terminal:
    """Standard output. While it is entered, a last line shows the unfinished steps and their clocks.

    The line and colours are for terminals only; a file gets the finished steps and the logs. Entered from a
    coroutine. A log line costs one write, or a busy access log would be the slowest part of the system.
    """

    def __init__(self) -> None:
        self._shows_line = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._colours = self._shows_line and not os.environ.get("NO_COLOR")
        self._steps: dict[str, float] = {}
        self._prefixes: dict[str, str] = {}
        self._ticking: asyncio.TimerHandle | None = None

    def __enter__(self) -> "Terminal":
        if self._shows_line:
            self._tick()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ticking:
            self._ticking.cancel()
            self._ticking = None
            self._write(CLEAR_LINE)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show the step `name` while the block runs, and its time when it is done."""
        self._steps[name] = begun = time.monotonic()
        sign = ""  # A step that is only cancelled, because another one failed, has nothing to say.
        try:
            yield
            sign = self._coloured("✓", GREEN)
        except Exception:
            sign = self._coloured("✗", RED)
            raise
        finally:
            del self._steps[name]
            if sign:
                self.say(f"{sign} {name} " + self._coloured(f"{time.monotonic() - begun:.1f} s", DIM))

    def say(self, text: str) -> None:
        """Print `text` on lines of its own."""
        self._print(f"{text}\n")

    def log(self, part: str, lines: list[str]) -> None:
        """Print `lines` of the output of `part`, each behind its name."""
        if part not in self._prefixes:
            colour = COLOURS[len(self._prefixes) % len(COLOURS)]
            self._prefixes[part] = self._coloured(f"{part:<{NAME_WIDTH}}│ ", colour)
        prefix = self._prefixes[part]
        self._print("".join(f"{prefix}{line}\n" for line in lines))

    def _coloured(self, text: str, code: int) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colours else text

    def _print(self, text: str) -> None:
        self._write(f"{CLEAR_LINE}{text}{self._line()}" if self._ticking else text)

    def _line(self) -> str:
        now = time.monotonic()
        running = "  ".join(f"{name} {now - begun:.1f} s" for name, begun in self._steps.items())
        return f"… {running}"[: shutil.get_terminal_size().columns - 1] if running else ""

    def _tick(self) -> None:
        self._write(f"{CLEAR_LINE}{self._line()}")
        self._ticking = asyncio.get_running_loop().call_later(REDRAW_S, self._tick)

    def _write(self, text: str) -> None:
        """Write `text`; a reader that went away ends the stack, as a signal would."""
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            os.kill(os.getpid(), signal.SIGTERM)
