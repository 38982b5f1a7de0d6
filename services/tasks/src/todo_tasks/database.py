"""The one place where a request gets to the database: asyncpg for what is one statement, a SQLAlchemy session
(psycopg2) for what is several.

Task: T-019 · Spec: plan.md#connections
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import asyncpg
import psycopg2
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Text, bindparam, column, exc, func, literal, select, table, true
from sqlmodel import Session

from todo_service.problems import Problem
from todo_tasks import constraints, failures, slow, traced
from todo_tasks.connections import Connection, Pool, connector
from todo_tasks.engine import CountingPool, make_engine
from todo_tasks.migrations import HEAD, VERSION_TABLE
from todo_tasks.sessions import abandon, make_sessions
from todo_tasks.settings import DatabaseSettings
from todo_tasks.statement import Statement
from todo_tasks.waking import Patience

_log = logging.getLogger(__name__)

_LOCK_TIMEOUT = Statement.of(
    select(func.set_config(literal("lock_timeout"), bindparam("lock_timeout", type_=Text()), true()))
)
"""For the transaction alone, so that it means the same behind a pooler."""
_REVISION = Statement.of(select(column("version_num")).select_from(table(VERSION_TABLE)))

_NO_SPAN = nullcontext()

SESSION_LOCK_TIMEOUT_S = 5.0
"""How long a session waits for others' locks. A single statement waits as long as it may take."""


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


@dataclass(frozen=True, slots=True)
class PoolState:
    """How many connections a pool has, how many of them nobody uses, and how many requests wait for one."""

    size: int
    idle: int
    waiting: int


Rows = Sequence[asyncpg.Record]


class Database:
    """Both ways to the database. `open` and `close` it within an event loop. `span`: within which each
    statement runs, the wait for a connection included; None: within none.
    """

    def __init__(self, settings: DatabaseSettings, span: traced.StatementSpan | None = None) -> None:
        self._settings = settings
        self._span = span
        self._pool: Pool | None = None
        self._schema_fits = False
        self._waiting = 0
        self._slow_s = settings.slow_query_ms / 1000
        self._patience = Patience(settings.database_connect_timeout_s)
        self._engine = make_engine(
            settings.database_url.get_secret_value(),
            settings.database_connect_timeout_s,
            idle_s=min(settings.database_idle_s, settings.database_lifetime_s),
            patience=self._patience,
        )
        slow.watch(self._engine, self._slow_s)
        if span is not None:
            traced.watch(self._engine, span)
        self.sessions = make_sessions(self._engine, settings.database_timeout_s, SESSION_LOCK_TIMEOUT_S)

    async def open(self) -> None:
        """Prepare both ways; connections are made when they are needed, so that a database may come later."""
        settings = self._settings
        self._pool = Pool(
            connector(settings),
            settings.database_pool_size,
            idle_s=settings.database_idle_s,
            lifetime_s=settings.database_lifetime_s,
        )
        _log.info(
            "database pool of %d, statement cache %s",
            settings.database_pool_size,
            "on" if settings.database_statement_cache else "off",
        )

    async def close(self) -> None:
        """Close every connection, waiting for the statements that run at most a moment."""
        if self._pool is not None:
            await self._pool.close(timeout_s=5)
        self._engine.dispose()

    def pool_state(self) -> dict[str, PoolState]:
        """Both pools as they are now: `statements` (asyncpg) and `sessions` (psycopg2)."""
        pool, sessions = self._opened(), self._engine.pool
        assert isinstance(sessions, CountingPool)
        idle, used = sessions.checkedin(), sessions.checkedout()
        return {
            "statements": PoolState(pool.size, pool.free, self._waiting),
            "sessions": PoolState(idle + used, idle, sessions.waiting),
        }

    async def read(self, statement: Statement, values: Mapping[str, object]) -> Rows:
        """The rows of a statement that changes nothing; it is tried again where the connection was lost.

        Raises Unavailable.
        """
        return await self._fetch_again(statement, values, None)

    async def write(
        self,
        statement: Statement,
        values: Mapping[str, object],
        *,
        lock_timeout_ms: int | None = None,
        repeatable: bool = False,
    ) -> Rows:
        """The rows of a statement that changes something. It is sent once: after a lost connection nobody
        knows whether it was carried out; unless it is `repeatable`, that is, refuses to be carried out twice.
        `lock_timeout_ms`: how long to wait for others' locks, if not as long as for the statement.

        Raises Unavailable, LockTimeout, and the Problem of a constraint that refuses it.
        """
        fetch = self._fetch_again if repeatable else self._fetch
        try:
            return await fetch(statement, values, lock_timeout_ms)
        except asyncpg.LockNotAvailableError as error:
            raise LockTimeout from error
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.InternalServerError) as error:
            # Only the message: DETAIL has values.
            problem = constraints.answer(constraints.violated(error.constraint_name, error.message or ""))
            if problem is None:
                raise
            raise problem from error
        except _ConnectionLost as error:
            self._opened().expire()
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

    async def _fetch_again(
        self, statement: Statement, values: Mapping[str, object], lock_timeout_ms: int | None
    ) -> Rows:
        """As `_fetch`; once more where the connection was lost."""
        try:
            return await self._fetch(statement, values, lock_timeout_ms)
        except _ConnectionLost:
            pass
        # Its neighbours in the pool were cut by the same event, most likely.
        self._opened().expire()
        try:
            return await self._fetch(statement, values, lock_timeout_ms)
        except _ConnectionLost as error:
            raise Unavailable from error

    async def _fetch(
        self, statement: Statement, values: Mapping[str, object], lock_timeout_ms: int | None
    ) -> Rows:
        with _NO_SPAN if self._span is None else self._span(statement.summary):
            return await self._run(statement, values, lock_timeout_ms)

    async def _run(
        self, statement: Statement, values: Mapping[str, object], lock_timeout_ms: int | None
    ) -> Rows:
        connection = self._opened().take() or await self._acquire()
        started = time.perf_counter()
        try:
            if lock_timeout_ms is None:
                return await connection.fetch(statement.text, *statement.arguments(values))
            async with connection.transaction():
                await connection.execute(_LOCK_TIMEOUT.text, f"{lock_timeout_ms}ms")
                return await connection.fetch(statement.text, *statement.arguments(values))
        except failures.LOST as error:
            _log.warning("connection lost: %s", type(error).__name__)
            raise _ConnectionLost from error
        except failures.GIVEN_UP as error:
            if failures.is_closed(error):
                raise _ConnectionLost from error
            _log.warning("statement given up: %s", type(error).__name__)
            raise Unavailable from error
        except asyncpg.InterfaceError as error:
            if not connection.is_closed():
                raise
            raise _ConnectionLost from error
        except asyncpg.InternalClientError as error:
            # The server's goodbye has been read, and the end of the connection has not come yet.
            connection.terminate()
            raise _ConnectionLost from error
        finally:
            slow.report(statement.text, time.perf_counter() - started, self._slow_s)
            self._opened().release(connection)

    async def _acquire(self) -> Connection:
        """A connection that can be used. Nothing was sent yet, so that trying again harms nobody."""
        pool, tries = self._opened(), 0
        self._waiting += 1
        try:
            async with asyncio.timeout(self._settings.database_connect_timeout_s):
                while True:
                    try:
                        connection = await pool.acquire()
                    except failures.UNREACHABLE as error:
                        tries += 1
                        wait = self._patience.wait_s(tries) if failures.may_pass(error) else None
                        if wait is None:
                            raise
                        await asyncio.sleep(wait)
                    else:
                        self._patience.connected()
                        return connection
        except failures.UNREACHABLE as error:
            # An OSError's text has addresses in it and nothing else that its name does not say.
            text = "" if isinstance(error, OSError) else f": {error}"
            _log.warning("no connection to the database: %s%s", type(error).__name__, text)
            raise Unavailable from error
        finally:
            self._waiting -= 1

    def _opened(self) -> Pool:
        if self._pool is None:
            raise RuntimeError("the database is not open")
        return self._pool


@contextmanager
def answered() -> Iterator[None]:
    """Turns what a session raises into Problems, as `Database.write` does."""
    try:
        yield
    except (exc.IntegrityError, exc.InternalError) as error:
        problem = constraints.answer(constraints.violated_in(error))
        if problem is None:
            raise
        raise problem from error
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
        if isinstance(error.__cause__, psycopg2.errors.LockNotAvailable):
            raise LockTimeout from error
        _log.warning("session given up: %s", type(error.__cause__ or error).__name__)
        raise Unavailable from error


async def _database(request: Request) -> Any:
    return request.app.state.database


async def _session(request: Request) -> AsyncIterator[Session]:
    session: Session = request.app.state.database.sessions()
    end: Callable[[], Awaitable[None]] = partial(run_in_threadpool, session.close)
    with answered():
        try:
            yield session
        except asyncio.CancelledError:
            # The route's thread is in the middle of something, and does not hear of it otherwise.
            end = partial(asyncio.to_thread, abandon, session)
            raise
        finally:
            # Cancelled here, too: what nobody ends holds its locks until the collector of cycles comes.
            await asyncio.shield(end())


DatabaseDep = Annotated[Database, Depends(_database)]
"""The database, for a route whose work is one statement."""

SessionDep = Annotated[Session, Depends(_session)]
"""A session, for a route whose work is several statements. What the route does not commit is rolled back."""
