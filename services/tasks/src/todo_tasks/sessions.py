"""Sessions on psycopg2: how long their statements may take, and how one is given up while its thread is in
the middle of a statement.

Task: T-019 · Spec: plan.md#connections
"""

import contextlib
from typing import Any

import psycopg2
from sqlalchemy import Connection, Engine, exc, func, literal, select, true
from sqlalchemy.event import listens_for
from sqlalchemy.orm import SessionTransaction, sessionmaker
from sqlmodel import Session

_CONNECTION, _ABANDONED = "connection", "abandoned"


def make_sessions(engine: Engine, statement_timeout_s: float, lock_timeout_s: float) -> sessionmaker[Session]:
    """The factory of sessions whose statements, and whose waits for others' locks, end by themselves.

    The limits are the transaction's (`SET LOCAL`), sent as its first statement: behind a pooler in
    transaction mode nothing else is sure to be there, and nothing of it is left for the next one.
    """
    sessions = sessionmaker(engine, class_=Session, autocommit=False, autoflush=False)
    limits = select(
        *(
            func.set_config(literal(name), literal(f"{max(1, round(seconds * 1000))}ms"), true())
            for name, seconds in (
                ("statement_timeout", statement_timeout_s),
                ("lock_timeout", lock_timeout_s),
            )
        )
    )

    @listens_for(sessions, "after_begin")
    def begin(session: Session, _: SessionTransaction, connection: Connection) -> None:
        session.info[_CONNECTION] = connection
        # Asked after the connection is known; `abandon` does the two the other way round: one sees the other.
        if session.info.get(_ABANDONED):
            connection.invalidate()
            raise exc.InvalidRequestError("the request of this session is gone")
        connection.execute(limits)

    return sessions


def abandon(session: Session) -> None:
    """End the work of a session that another thread is using: cancel its statement on the server and close
    the connection, so that the transaction is rolled back and the thread's next statement fails. Blocks
    briefly.
    """
    session.info[_ABANDONED] = True
    connection: Connection | None = session.info.get(_CONNECTION)
    # Finished, or closed by its own thread, meanwhile: that is as good.
    with contextlib.suppress(psycopg2.Error, exc.ResourceClosedError, exc.InvalidRequestError):
        if connection is None or connection.closed or connection.invalidated:
            return
        driver: Any = connection.connection.dbapi_connection  # psycopg2's, which alone of them can cancel
        with contextlib.suppress(psycopg2.Error):  # nobody answers: the connection is closed all the same
            driver.cancel()
        connection.invalidate()
