"""The SQLAlchemy engine (psycopg2) of sessions, migrations and commands.

Task: T-019 · Spec: plan.md#connections
"""

import logging
import threading
import time

import psycopg2
from psycopg2.extensions import connection, make_dsn
from sqlalchemy import Engine, ExceptionContext, QueuePool, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from todo_tasks import database_url, failures
from todo_tasks.waking import Patience

APPLICATION_NAME = "todo-tasks"
IDLE_S = 240.0
"""Idle connections are closed before a serverless compute, or what stands before it, drops them after 300."""

_LIVENESS = {
    # A peer that vanished without a word is noticed within a minute; the kernel's own limits are hours.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}


# SQLAlchemy names a pool's logger by its class, which puts it among this service's own.
logging.getLogger(f"{__name__}.CountingPool").setLevel(logging.WARNING)


class CountingPool(QueuePool):
    """SQLAlchemy's pool, which also says how many threads wait for a connection, or for one to be made."""

    waiting = 0
    _counting = threading.Lock()

    def _do_get(self) -> ConnectionPoolEntry:
        with self._counting:
            self.waiting += 1
        try:
            return super()._do_get()
        finally:
            with self._counting:
                self.waiting -= 1


def make_engine(
    url: str, connect_timeout_s: float, *, idle_s: float = IDLE_S, patience: Patience | None = None
) -> Engine:
    """The engine of sessions, migrations and commands. libpq reads the URL itself, every word of it.

    `idle_s`: connections older than this are replaced when they are next asked for. `patience`: how long to
    try again where no connection can be made; None: not at all.
    """
    given = database_url.words(url)
    defaults = _LIVENESS | {
        "connect_timeout": str(max(1, round(connect_timeout_s))),
        "application_name": APPLICATION_NAME,
    }
    dsn = make_dsn(**{**defaults, **given})
    engine = create_engine(
        "postgresql+psycopg2://",
        creator=lambda: _connect(dsn, patience),
        poolclass=CountingPool,
        pool_size=2,
        max_overflow=2,
        pool_timeout=connect_timeout_s,
        pool_recycle=max(1, round(idle_s)),
        pool_pre_ping=True,
        hide_parameters=True,
    )
    event.listen(engine, "handle_error", _notice_closed)
    return engine


def _connect(dsn: str, patience: Patience | None) -> connection:
    tries = 0
    while True:
        try:
            connected = psycopg2.connect(dsn)
        except psycopg2.OperationalError as error:
            tries += 1
            wait = patience.wait_s(tries) if patience and failures.may_pass(error) else None
            if wait is None:
                raise
            time.sleep(wait)
        else:
            if patience:
                patience.connected()
            return connected


def _notice_closed(context: ExceptionContext) -> None:
    if failures.is_closed(context.original_exception):
        context.is_disconnect = True
