import asyncio
import socket
import ssl
from collections.abc import Callable

import asyncpg
import psycopg2
import pytest
from sqlalchemy import event, exc

from todo_tasks import failures
from todo_tasks.engine import make_engine

CLOSED = [
    psycopg2.OperationalError("SSL connection has been closed unexpectedly\n"),
    psycopg2.OperationalError("SSL SYSCALL error: EOF detected\n"),
    psycopg2.DatabaseError("SSL SYSCALL error: Success\n"),
    psycopg2.OperationalError("server closed the connection unexpectedly\n\tThis probably means…"),
    psycopg2.OperationalError("could not receive data from server: Connection timed out\n"),
    psycopg2.InterfaceError("connection already closed"),
    psycopg2.errors.AdminShutdown("terminating connection due to administrator command\n"),
    psycopg2.errors.ProtocolViolation("server conn crashed?\nserver closed the connection unexpectedly\n"),
    psycopg2.errors.ProtocolViolation("query_wait_timeout\n"),
    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    asyncpg.AdminShutdownError("terminating connection due to administrator command"),
    asyncpg.CrashShutdownError("terminating connection because of crash of another server process"),
    asyncpg.IdleSessionTimeoutError("terminating connection due to idle-session timeout"),
    asyncpg.CannotConnectNowError("the database system is starting up"),
    asyncpg.ProtocolViolationError("server conn crashed?"),
    ConnectionResetError(104, "Connection reset by peer"),
    BrokenPipeError(32, "Broken pipe"),
    ssl.SSLError("SSL connection has been closed unexpectedly"),
]
OPEN = [
    psycopg2.errors.QueryCanceled("canceling statement due to statement timeout\n"),
    psycopg2.errors.UndefinedTable('relation "task" does not exist\n'),
    asyncpg.QueryCanceledError("canceling statement due to user request"),
    asyncpg.DeadlockDetectedError("deadlock detected"),
    asyncpg.UniqueViolationError("duplicate key value"),
    TimeoutError(),
    ValueError("SSL SYSCALL error: Success"),
]


def name(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip()


@pytest.mark.parametrize("error", CLOSED, ids=name)
def test_each_way_to_say_that_a_connection_is_gone_is_recognised(error: BaseException) -> None:
    assert failures.is_closed(error)


@pytest.mark.parametrize("error", OPEN, ids=name)
def test_other_errors_leave_the_connection_alone(error: BaseException) -> None:
    assert not failures.is_closed(error)


@pytest.mark.parametrize("error", [error for error in CLOSED if isinstance(error, psycopg2.Error)], ids=name)
def test_sqlalchemy_hears_of_each(url: str, error: psycopg2.Error) -> None:
    engine = make_engine(url, 5)
    seen: list[bool] = []
    event.listen(engine, "handle_error", lambda context: seen.append(context.is_disconnect))

    class Cursor:
        def execute(self, *_: object) -> None:
            raise error

        def close(self) -> None: ...

    with engine.connect() as connection:
        with pytest.raises(exc.DBAPIError):
            connection._cursor_execute(Cursor(), "SELECT 1", ())  # type: ignore[arg-type]
    assert seen == [True]
    engine.dispose()


async def raised(asked: Callable[[], object]) -> BaseException:
    with pytest.raises((psycopg2.Error, asyncpg.PostgresError, OSError)) as error:
        await asyncio.to_thread(asked)
    return error.value


async def test_a_backend_that_is_killed_is_recognised_on_both_ways(
    url: str, execute: Callable[..., list[tuple[object, ...]]]
) -> None:
    theirs = psycopg2.connect(url)
    ours = await asyncpg.connect(url)
    execute(url, "SELECT pg_terminate_backend(%s)", theirs.info.backend_pid)
    execute(url, "SELECT pg_terminate_backend(%s)", ours.get_server_pid())
    assert failures.is_closed(await raised(lambda: theirs.cursor().execute("SELECT 1")))
    theirs.close()
    # Once the goodbye has been read, asyncpg answers with errors of its own.
    with pytest.raises((asyncpg.PostgresError, asyncpg.InternalClientError, asyncpg.InterfaceError)) as error:
        while True:
            await ours.execute("SELECT 1")
    assert failures.is_closed(error.value) or not isinstance(error.value, asyncpg.PostgresError)
    ours.terminate()


async def test_a_refused_connection_may_pass_and_a_refused_user_does_not(url: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = f"postgresql://ada@127.0.0.1:{unused.getsockname()[1]}/todo"
        assert failures.may_pass(await raised(lambda: psycopg2.connect(away)))
        with pytest.raises(OSError) as refused:
            await asyncpg.connect(away)
        assert failures.may_pass(refused.value)
    host, database = url.rpartition("@")[2].split("/")
    for wrong in (
        f"postgresql://nobody:hunter2@{host}/{database}",
        f"{url}-that-is-missing",
        f"{url}?sslmode=require",
    ):
        assert not failures.may_pass(await raised(lambda: psycopg2.connect(wrong)))
        with pytest.raises((asyncpg.PostgresError, OSError)) as error:
            await asyncpg.connect(wrong)
        assert not failures.may_pass(error.value), wrong
