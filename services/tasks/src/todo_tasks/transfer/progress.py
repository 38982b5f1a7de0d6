"""How far long work has come, on one line of a terminal.

Task: T-053 · Spec: plan.md#commands
"""

from typing import TextIO


class Progress:
    """Counts, and shows the count on `stream` if that is a terminal."""

    def __init__(self, stream: TextIO, what: str) -> None:
        self._stream = stream
        self._what = what
        self._shown = stream.isatty()
        self.count = 0

    def advance(self, count: int) -> None:
        """So many more are done."""
        self.count += count
        if self._shown:
            self._stream.write(f"\r{self.count:,} {self._what}")
            self._stream.flush()

    def finish(self) -> None:
        """Leave the line, so that what is said next has one of its own."""
        if self._shown and self.count:
            self._stream.write("\n")
            self._stream.flush()
