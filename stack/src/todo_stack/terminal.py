"""What the person at the terminal sees: steps with their times, and the parts' logs in one stream.

Task: T-004 · Spec: plan.md#processes
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

COLOURS = (36, 35, 32, 33, 34)
"""ANSI colours of the parts' names, in turn (ECMA-48 §8.3.117)."""
PREFIX_WIDTH = 9


class Terminal:
    """Standard output. While it is entered, unfinished steps are shown with a running clock (on a terminal).

    Outside of the block a log line costs one write: `rich` lays out text at a tenth of a millisecond a line,
    which a busy access log would turn into the slowest part of the system.
    """

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._steps = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._live = False
        self._prefixes: dict[str, bytes] = {}

    def __enter__(self) -> "Terminal":
        if self._console.is_terminal:
            self._steps.start()
            self._live = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._steps.stop()
            self._live = False

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show the step `name` while the block runs, and its time when it is done."""
        begun = time.monotonic()
        task = self._steps.add_task(name, total=None)
        sign = ""  # A step that is only cancelled, because another one failed, has nothing to say.
        try:
            yield
            sign = "[green]✓[/green]"
        except Exception:
            sign = "[red]✗[/red]"
            raise
        finally:
            self._steps.remove_task(task)
            if sign:
                self.say(f"{sign} {name} [dim]{time.monotonic() - begun:.1f} s[/dim]")

    def say(self, markup: str) -> None:
        """Print one paragraph, with rich's markup in it."""
        self._console.print(markup)

    def log(self, part: str, lines: list[bytes]) -> None:
        """Print `lines` of the output of `part` behind its name. A reader that went away ends the stack."""
        prefix = self._prefix(part)
        text = b"".join(prefix + line + b"\n" for line in lines)
        try:
            if self._live:
                self._console.print(Text.from_ansi(text.decode(errors="replace").rstrip("\n")))
            else:
                sys.stdout.buffer.write(text)
                sys.stdout.buffer.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            os.kill(os.getpid(), signal.SIGTERM)

    def _prefix(self, part: str) -> bytes:
        if part not in self._prefixes:
            text = f"{part:<{PREFIX_WIDTH}}│ "
            if self._console.is_terminal and not self._console.no_color:
                text = f"\x1b[{COLOURS[len(self._prefixes) % len(COLOURS)]}m{text}\x1b[0m"
            self._prefixes[part] = text.encode()
        return self._prefixes[part]
