"""One line a record: JSON where machines read, plain where people do.

Task: T-013 · Spec: plan.md#request-ids-and-logs
"""

import asyncio
import datetime
import json
import logging
import sys
from contextlib import nullcontext
from typing import TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


def configure(level: str = "INFO", *, as_json: bool, stream: TextIO | None = None) -> "LineHandler":
    """Sends every logger's records to one stream (standard error by default), one line each. Returns what
    writes them, for lines that somebody has made already.

    `level`: DEBUG, INFO, WARNING or ERROR. Uvicorn's own access log stays off: `todo_service.requests` writes
    that line.
    """
    handler = LineHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else PlainFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    # Asked for at every record, and in no line: https://docs.python.org/3/howto/logging.html#optimization
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # httpx writes every URL it fetches at INFO; the issuer's are no news.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # It writes queries. What uvicorn is told of it does not reach its worker processes.
    uvicorn_access = logging.getLogger("uvicorn.access")
    uvicorn_access.handlers, uvicorn_access.propagate = [], False
    return handler


class LineHandler(logging.Handler):
    """Writes lines to a stream; those of an event loop in batches, since a write costs more than its line.

    A line waits at most `DELAY_S` seconds; a warning is written at once, with all before it, and so is
    everything outside of a loop and at the end of the process.
    """

    DELAY_S = 0.05

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: list[str] = []
        self._flushed_by: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a record (logging)."""
        try:
            self.write(self.format(record), at_once=record.levelno >= logging.WARNING)
        except Exception:
            self.handleError(record)

    def write(self, line: str, *, at_once: bool = False) -> None:
        """Takes a line as it is to stand there, without its end."""
        self._lines.append(line + "\n")
        loop = _running_loop()
        if loop is None or at_once:
            self.flush()
        elif self._flushed_by is not loop:
            self._flushed_by = loop
            loop.call_later(self.DELAY_S, self.flush)

    def flush(self) -> None:
        """Writes what waits (logging)."""
        with self.lock or nullcontext():
            self._flushed_by = None
            if self._lines:
                lines, self._lines = self._lines, []
                self._stream.write("".join(lines))
            self._stream.flush()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


_encode = json.JSONEncoder(default=str).encode


class JsonFormatter(logging.Formatter):
    """A record as one JSON object: `time` (RFC 3339, UTC), `level`, `logger`, `message`, then what was passed
    as `extra`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a line break inside."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update((name, value) for name, value in vars(record).items() if name not in _STANDARD)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line)


class PlainFormatter(logging.Formatter):
    """A record for a person: time of day, level, logger, message, request id when there is one. Control
    characters are escaped, so that nobody can forge a line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line; an exception's trace follows on lines of its own."""
        clock = datetime.datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        message = record.getMessage()
        if not message.isprintable():
            message = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
        line = f"{clock} {record.levelname.lower():7} {record.name}: {message}"
        if request_id := getattr(record, "request_id", None):
            line = f"{line} [{request_id}]"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
