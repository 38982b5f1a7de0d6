"""One line a record: JSON where machines read, plain where people do.

Task: T-013 · Spec: plan.md#request-ids-and-logs
"""

import datetime
import json
import logging
import sys
from typing import TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


def configure(level: str = "INFO", *, as_json: bool, stream: TextIO | None = None) -> None:
    """Sends every logger's records to one stream (standard error by default), one line each.

    `level`: DEBUG, INFO, WARNING or ERROR. Uvicorn's own access log stays off: `todo_service.requests` writes
    that line.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else PlainFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    # httpx writes every URL it fetches at INFO; the issuer's are no news.
    logging.getLogger("httpx").setLevel(logging.WARNING)


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
        return json.dumps(line, default=str)


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
