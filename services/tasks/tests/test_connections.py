"""Who has which connection, on a real server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from todo_tasks.connections import Connection, Pool, connector
from todo_tasks.settings import TasksSettings

SettingsOf = Callable[..., TasksSettings]
Execute = Callable[..., list[tuple[object, ...]]]
PoolOf = Callable[..., Any]
OF_THIS_TEST = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'todo-tasks' AND pid = ANY(%s)"


@pytest.fixture
def pool_of(url: str, settings_of: SettingsOf) -> PoolOf:
    @asynccontextmanager
    async def make(size: int, **options: Any) -> AsyncIterator[Pool]:
        connect = options.pop("connect", None) or connector(settings_of(url))
        pool = Pool(connect, size, **{"idle_s": 60, "lifetime_s": 60} | options)
        yield pool
        await pool.close(5)
        assert (pool.size, pool.free) == (0, 0)

    return make


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0.01)


def waiting(pool: Pool, number: int) -> list["asyncio.Task[Connection]"]:
    return [asyncio.create_task(pool.acquire()) for _ in range(number)]


async def test_connections_are_made_when_they_are_needed_and_the_last_one_used_comes_first(
    pool_of: PoolOf,
) -> None:
    async with pool_of(3) as pool:
        assert pool.take() is None and pool.size == 0
        first, second = await pool.acquire(), await pool.acquire()
        pool.release(first)
        pool.release(second)
        assert (pool.size, pool.free) == (2, 2)
        assert pool.take() is second and pool.take() is first and pool.take() is None
        for connection in (first, second):
            pool.release(connection)


async def test_whoever_finds_none_waits_in_turn(pool_of: PoolOf) -> None:
    async with pool_of(1) as pool:
        connection = await pool.acquire()
        tasks = waiting(pool, 3)
        for task in tasks:
            await asyncio.sleep(0)
            pool.release(connection)
            assert await task is connection
        assert pool.size == 1
        pool.release(connection)


async def test_a_connection_that_is_given_to_somebody_cancelled_goes_on_to_the_next(pool_of: PoolOf) -> None:
    async with pool_of(1) as pool:
        connection = await pool.acquire()
        cancelled, next_ = waiting(pool, 2)
        await asyncio.sleep(0)
        pool.release(connection)
        cancelled.cancel()  # in the same turn of the loop: it has the connection, and never learns of it
        assert await next_ is connection
        assert cancelled.cancelled()
        also = waiting(pool, 1)[0]
        await asyncio.sleep(0)
        also.cancel()
        pool.release(connection)
        await asyncio.wait([also])
        assert (pool.size, pool.free) == (1, 1)


async def test_a_place_that_is_given_to_somebody_cancelled_goes_on_to_the_next(pool_of: PoolOf) -> None:
    async with pool_of(1) as pool:
        connection = await pool.acquire()
        cancelled, next_ = waiting(pool, 2)
        await asyncio.sleep(0)
        connection.terminate()
        pool.release(connection)
        cancelled.cancel()
        made = await next_
        assert made is not connection and pool.size == 1
        pool.release(made)


async def test_a_connection_that_cannot_be_made_leaves_its_place_to_the_next(
    pool_of: PoolOf, url: str, settings_of: SettingsOf
) -> None:
    connect, go, refused = connector(settings_of(url)), asyncio.Event(), [True]

    async def once_refused() -> Connection:
        if refused:
            refused.clear()
            await go.wait()
            raise ConnectionRefusedError
        return await connect()

    async with pool_of(1, connect=once_refused) as pool:
        first, second = waiting(pool, 2)
        await asyncio.sleep(0)
        go.set()
        with pytest.raises(ConnectionRefusedError):
            await first
        pool.release(await second)
        assert (pool.size, pool.free) == (1, 1)


async def test_a_connection_that_was_closed_meanwhile_is_not_what_somebody_waited_for(
    pool_of: PoolOf, url: str, execute: Execute
) -> None:
    async with pool_of(1) as pool:
        connection = await pool.acquire()
        (waiter,) = waiting(pool, 1)
        await asyncio.sleep(0)
        # All of it before the event loop hears of the end.
        execute(url, "SELECT pg_terminate_backend(%s)", connection.get_server_pid())
        while connection.is_usable():
            pass
        pool.release(connection)
        other = await waiter
        assert (other is connection, other.is_usable(), pool.size) == (False, True, 1)
        pool.release(other)


async def test_what_nobody_uses_is_closed(pool_of: PoolOf, url: str, execute: Execute) -> None:
    async with pool_of(2, idle_s=0.1) as pool:
        lent, other = await pool.acquire(), await pool.acquire()
        pids = [lent.get_server_pid(), other.get_server_pid()]
        pool.release(other)
        await until(lambda: pool.size == 1)
        await until(lambda: execute(url, OF_THIS_TEST, pids) == [(1,)])
        pool.release(lent)
        await until(lambda: pool.size == 0)
        await until(lambda: execute(url, OF_THIS_TEST, pids) == [(0,)])


async def test_of_an_expired_pool_no_connection_is_used_again(pool_of: PoolOf) -> None:
    async with pool_of(2) as pool:
        free, lent = await pool.acquire(), await pool.acquire()
        pool.release(free)
        pool.expire()
        assert (pool.size, pool.free) == (1, 0) and free.is_closed()
        pool.release(lent)
        assert pool.size == 0 and lent.is_closed()
        pool.release(await pool.acquire())
        assert (pool.size, pool.free) == (1, 1)


async def test_a_connection_in_the_middle_of_a_transaction_is_closed(pool_of: PoolOf) -> None:
    async with pool_of(1) as pool:
        connection = await pool.acquire()
        await connection.execute("BEGIN")
        pool.release(connection)
        assert connection.is_closed() and pool.size == 0


async def test_a_connection_whose_statement_was_cancelled_is_lent_when_that_has_ended(
    pool_of: PoolOf, url: str, execute: Execute
) -> None:
    async with pool_of(1) as pool:
        connection = await pool.acquire()
        sleeping = asyncio.create_task(connection.fetch("SELECT pg_sleep(60)"))
        running = f"{OF_THIS_TEST} AND wait_event = 'PgSleep'"
        pids = [connection.get_server_pid()]
        while execute(url, running, pids) != [(1,)]:
            await asyncio.sleep(0.01)
        sleeping.cancel()
        await asyncio.wait([sleeping])
        pool.release(connection)
        assert pool.free == 0 and await pool.acquire() is connection
        assert execute(url, running, pids) == [(0,)]
        assert await connection.fetchval("SELECT 1") == 1
        pool.release(connection)


async def test_closing_waits_for_what_is_lent_and_lets_nobody_in(pool_of: PoolOf) -> None:
    async with pool_of(1) as pool:
        lent = await pool.acquire()
        waiter = waiting(pool, 1)[0]
        await asyncio.sleep(0)
        closing = asyncio.create_task(pool.close(60))
        with pytest.raises(asyncpg.InterfaceError):
            await waiter
        with pytest.raises(asyncpg.InterfaceError):
            await pool.acquire()
        assert not closing.done() and not lent.is_closed()
        pool.release(lent)
        await closing
        assert lent.is_closed()


async def test_closing_waits_only_so_long(pool_of: PoolOf) -> None:
    async with pool_of(1) as pool:
        lent = await pool.acquire()
        await pool.close(0.05)
        assert lent.is_closed()
        pool.release(lent)
