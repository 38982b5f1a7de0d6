"""The one place where a request gets to the database: asyncpg for what is one statement, a SQLAlchemy session
(psycopg2) for what is several.

Task: T-019 · Spec: plan.md#connections
"""

import asyncio
import logging
import select as readiness
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import asyncpg
import psycopg2
from asyncpg.pool import PoolConnectionProxy
from fastapi import Depends, Request
from sqlalchemy import Text, bindparam, column, exc, func, literal, select, table, true
from sqlalchemy.orm import sessionmaker
from sqlmodel import Session

from todo_service.problems import Problem
from todo_tasks import constraints, database_url
from todo_tasks.engine import APPLICATION_NAME, IDLE_S, make_engine
from todo_tasks.migrations import HEAD, VERSION_TABLE
from todo_tasks.settings import DatabaseSettings
from todo_tasks.statement import Statement

_log = logging.getLogger(__name__)

_LOCK_TIMEOUT = Statement.of(
    select(func.set_config(literal("lock_timeout"), bindparam("lock_timeout", type_=Text()), true()))
)
"""For the transaction alone, so that it means the same behind a pooler."""
_REVISION = Statement.of(select(column("version_num")).select_from(table(VERSION_TABLE)))

_UNREACHABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
_LOST = (
    ConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleSessionTimeoutError,
)
_TRANSIENT = (
    OSError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
)


class Unavailable(Problem):
    """The database does not answer, or gave up on this statement: 503."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "The tasks cannot be reached at the moment; please try again.",
            code="database_unavailable",
            headers={"Retry-After": "2"},
        )


class LockTimeout(Problem):
    """Somebody else holds what a statement needs for longer than it was to wait: 409."""

    def __init__(self) -> None:
        super().__init__(409, "Another request is changing the same at the moment.")


class _ConnectionLost(Exception):
    """The connection ended while a statement was on its way."""


class _Connection(asyncpg.Connection):
    """A connection without the query that resets the session at every release: none of ours sets anything."""

    def get_reset_query(self) -> str:
        return ""


Rows = Sequence[asyncpg.Record]


class Database:
    """Both ways to the database. `open` and `close` it within an event loop."""

    def __init__(self, settings: DatabaseSettings) -> None:
        url = settings.database_url.get_secret_value()
        self._settings = settings
        self._pool: "asyncpg.Pool[asyncpg.Record] | None" = None
        self._schema_fits = False
        self.sessions = sessionmaker(
            make_engine(url, settings.database_connect_timeout_s),
            class_=Session,
            autocommit=False,
            autoflush=False,
        )

    async def open(self) -> None:
        """Prepare the pool; connections are made when they are needed, so that a database may come later."""
        settings = self._settings
        arguments = database_url.asyncpg_arguments(settings.database_url.get_secret_value(), APPLICATION_NAME)
        arguments.setdefault("timeout", settings.database_connect_timeout_s)
        if not settings.database_statement_cache:
            arguments["statement_cache_size"] = 0
        self._pool = await asyncpg.create_pool(  # type: ignore[call-overload]  # arguments made above
            min_size=0,
            max_size=settings.database_pool_size,
            max_inactive_connection_lifetime=IDLE_S,
            command_timeout=settings.database_timeout_s,
            connection_class=_Connection,
            **arguments,
        )
        _log.info(
            "database pool of %d, statement cache %s",
            settings.database_pool_size,
            "on" if settings.database_statement_cache else "off",
        )

    async def close(self) -> None:
        """Close every connection, waiting for the statements that run at most a moment."""
        if self._pool is not None:
            try:
                async with asyncio.timeout(5):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()
        self.sessions.kw["bind"].dispose()

    async def read(self, statement: Statement, values: Mapping[str, object]) -> Rows:
        """The rows of a statement that changes nothing; it is tried again where the connection was lost.

        Raises Unavailable.
        """
        try:
            return await self._fetch(statement, values)
        except _ConnectionLost:
            pass
        # Its neighbours in the pool were cut by the same event, most likely.
        await self._opened().expire_connections()
        try:
            return await self._fetch(statement, values)
        except _ConnectionLost as error:
            raise Unavailable from error

    async def write(
        self, statement: Statement, values: Mapping[str, object], *, lock_timeout_ms: int | None = None
    ) -> Rows:
        """The rows of a statement that changes something. It is sent once: after a lost connection nobody
        knows whether it was carried out. `lock_timeout_ms`: how long to wait for others' locks, if not as
        long as for the statement.

        Raises Unavailable, LockTimeout, and the Problem of a constraint that refuses it.
        """
        try:
            return await self._fetch(statement, values, lock_timeout_ms)
        except asyncpg.LockNotAvailableError as error:
            raise LockTimeout from error
        except asyncpg.IntegrityConstraintViolationError as error:
            problem = constraints.answer(error.constraint_name)
            if problem is None:
                raise
            raise problem from error
        except _ConnectionLost as error:
            await self._opened().expire_connections()
            raise Unavailable from error

    async def missing(self) -> list[str]:
        """What keeps the service from serving, for `/readyz`: "database" or "schema", or nothing."""
        try:
            rows = await self.read(_REVISION, {})
        except Unavailable:
            return ["database"]
        except asyncpg.UndefinedTableError:
            return ["schema"]
        # Once it fitted, a newer schema is this version's successor's, which is about to replace it.
        self._schema_fits = self._schema_fits or [row["version_num"] for row in rows] == [HEAD]
        return [] if self._schema_fits else ["schema"]

    async def _fetch(
        self, statement: Statement, values: Mapping[str, object], lock_timeout_ms: int | None = None
    ) -> Rows:
        connection = await self._acquire()
        try:
            if lock_timeout_ms is None:
                return await connection.fetch(statement.text, *statement.arguments(values))
            async with connection.transaction():
                await connection.execute(_LOCK_TIMEOUT.text, f"{lock_timeout_ms}ms")
                return await connection.fetch(statement.text, *statement.arguments(values))
        except _LOST as error:
            _log.warning("connection lost: %s", type(error).__name__)
            raise _ConnectionLost from error
        except _TRANSIENT as error:
            _log.warning("statement given up: %s", type(error).__name__)
            raise Unavailable from error
        except asyncpg.InterfaceError as error:
            if not connection.is_closed():
                raise
            raise _ConnectionLost from error
        finally:
            await self._opened().release(connection, timeout=5)

    async def _acquire(self) -> "PoolConnectionProxy[asyncpg.Record]":
        pool = self._opened()
        try:
            async with asyncio.timeout(self._settings.database_connect_timeout_s):
                while True:
                    connection = await pool.acquire()
                    if not connection.is_closed() and not _has_unread(connection):
                        return connection
                    connection.terminate()
                    await pool.release(connection)
        except _UNREACHABLE as error:
            # An OSError's text has addresses in it and nothing else that its name does not say.
            text = "" if isinstance(error, OSError) else f": {error}"
            _log.warning("no connection to the database: %s%s", type(error).__name__, text)
            raise Unavailable from error

    def _opened(self) -> "asyncpg.Pool[asyncpg.Record]":
        if self._pool is None:
            raise RuntimeError("the database is not open")
        return self._pool


def _has_unread(connection: "PoolConnectionProxy[asyncpg.Record]") -> bool:
    """Whether bytes, or the end, have come that the event loop has not seen: between two statements that is a
    server saying goodbye. Asked before every statement, since a write is sent only once; takes about 1 µs.
    """
    poll = readiness.poll()
    transport = connection._transport  # type: ignore[attr-defined]  # asyncpg shows no other way to it
    poll.register(transport.get_extra_info("socket"), readiness.POLLIN)
    return bool(poll.poll(0))


@contextmanager
def answered() -> Iterator[None]:
    """Turns what a session raises into Problems, as `Database.write` does."""
    try:
        yield
    except exc.IntegrityError as error:
        cause = error.orig
        name = cause.diag.constraint_name if isinstance(cause, psycopg2.Error) else None
        problem = constraints.answer(name)
        if problem is None:
            raise
        raise problem from error
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
        _log.warning("session given up: %s", type(error.__cause__ or error).__name__)
        raise Unavailable from error


async def _database(request: Request) -> Any:
    return request.app.state.database


def _session(request: Request) -> Iterator[Session]:
    with answered(), request.app.state.database.sessions() as session:
        yield session


DatabaseDep = Annotated[Database, Depends(_database)]
"""The database, for a route whose work is one statement."""

SessionDep = Annotated[Session, Depends(_session)]
"""A session, for a route whose work is several statements. What the route does not commit is rolled back."""
