"""Statements that take long are logged: by operations and tables and by time, never with a value.

Task: T-019 · Spec: plan.md#connections
"""

import logging
import re
import time
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, event

_log = logging.getLogger(__name__)

_TABLES = "category", "task", "idempotency_key"
_PART = re.compile(
    rf"\b(INSERT INTO|UPDATE|DELETE FROM|(?<!DELETE )FROM|JOIN)\s+(?:ONLY\s+)?({'|'.join(_TABLES)})\b"
)
_STARTED = "slow_statement_started"


@lru_cache(maxsize=1024)
def summary(text: str) -> str:
    """What a statement does, as OpenTelemetry's `db.query.summary`: operations and tables in the statement's
    order, each once, such as `INSERT task SELECT category`.
    """
    found = (
        f"{'SELECT' if verb in ('FROM', 'JOIN') else verb.split()[0]} {name}"
        for verb, name in _PART.findall(text)
    )
    return " ".join(dict.fromkeys(found)) or text.partition(" ")[0]


def watch(engine: Engine, limit_s: float) -> None:
    """Report every statement of an engine's connections (`report`)."""

    def before(connection: Any, cursor: Any, text: str, *_: Any) -> None:
        connection.info[_STARTED] = time.perf_counter()

    def after(connection: Any, cursor: Any, text: str, *_: Any) -> None:
        report(text, time.perf_counter() - connection.info[_STARTED], limit_s)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)


def report(text: str, took_s: float, limit_s: float) -> None:
    """Write the line, where the statement took that long."""
    if took_s >= limit_s:
        _log.warning("slow statement: %s (%d ms)", summary(text), took_s * 1000)
