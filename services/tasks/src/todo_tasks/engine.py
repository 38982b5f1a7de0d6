"""The SQLAlchemy engine (psycopg2) of sessions, migrations and commands.

Task: T-019 · Spec: plan.md#connections
"""

import psycopg2
from psycopg2.extensions import make_dsn
from sqlalchemy import Engine, ExceptionContext, create_engine, event

from todo_tasks import database_url

APPLICATION_NAME = "todo-tasks"
IDLE_S = 240
"""Idle connections are closed before a serverless compute, or what stands before it, drops them after 300."""

_CLOSED = (
    "ssl connection has been closed unexpectedly",
    "ssl syscall error: eof detected",
    "ssl syscall error: success",
    "server closed the connection unexpectedly",
    "terminating connection",
    "connection already closed",
)
"""How libpq says that a connection is gone. SQLAlchemy does not know all of these."""


def make_engine(url: str, connect_timeout_s: float) -> Engine:
    """The engine of sessions, migrations and commands. libpq reads the URL itself, every word of it."""
    given = database_url.words(url)
    defaults = {
        "connect_timeout": str(max(1, round(connect_timeout_s))),
        "application_name": APPLICATION_NAME,
    }
    dsn = make_dsn(**{**defaults, **given})
    engine = create_engine(
        "postgresql+psycopg2://",
        creator=lambda: psycopg2.connect(dsn),
        pool_size=2,
        max_overflow=2,
        pool_timeout=connect_timeout_s,
        pool_recycle=IDLE_S,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    event.listen(engine, "handle_error", _notice_closed)
    return engine


def _notice_closed(context: ExceptionContext) -> None:
    text = str(context.original_exception).lower()
    if any(closed in text for closed in _CLOSED):
        context.is_disconnect = True
