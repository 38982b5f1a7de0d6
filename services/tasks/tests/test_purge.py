import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from todo_tasks import purge as purging
from todo_tasks import schema
from todo_tasks.database import Database
from todo_tasks.engine import make_engine
from todo_tasks.purge import Purged, keep_purging, purge
from todo_tasks.settings import TasksSettings

Execute = Callable[..., list[tuple[object, ...]]]

NOW = datetime(2030, 6, 30, tzinfo=UTC)
TASK = """
INSERT INTO task (
    user_id, id, title, status, priority, tags, position, version, created_at, updated_at, deleted_at
)
SELECT %s, gen_random_uuid(), 'x', 'pending', 'low', '{}', 0, 1, '2030-01-01Z', '2030-01-01Z', %s
FROM generate_series(1, %s)
"""
ANSWER = """
INSERT INTO idempotency_key
SELECT %s, 'key ' || n, '', gen_random_uuid(), 1, '{}', %s FROM generate_series(1, %s) n
"""


@pytest.fixture
async def database(empty_url: str, settings_of: Callable[..., TasksSettings]) -> AsyncIterator[Database]:
    engine = make_engine(empty_url, 5)
    schema.upgrade(engine)
    engine.dispose()
    database = Database(settings_of(empty_url))
    await database.open()
    yield database
    await database.close()


async def test_what_was_kept_long_enough_is_deleted_and_nothing_else(
    database: Database, empty_url: str, execute: Execute
) -> None:
    day, hour, moment = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)
    execute(empty_url, TASK, "ada", None, 1)
    execute(empty_url, TASK, "ada", NOW - 30 * day, 2)
    execute(empty_url, TASK, "ada", NOW - 30 * day - moment, 3)
    execute(empty_url, TASK, "bob", NOW - 90 * day, 4)
    execute(empty_url, ANSWER, "ada", NOW - 24 * hour, 1)
    execute(empty_url, ANSWER, "bob", NOW - 24 * hour - moment, 5)
    assert await purge(database, NOW, 30, 24) == Purged(7, 5)
    assert execute(empty_url, "SELECT user_id, count(*) FROM task GROUP BY 1") == [("ada", 3)]
    assert execute(empty_url, "SELECT user_id FROM idempotency_key") == [("ada",)]
    assert await purge(database, NOW, 30, 24) == Purged(0, 0)


async def test_more_than_a_batch_of_rows_and_of_users_is_deleted_in_batches(
    database: Database, empty_url: str, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "ROWS", 4)
    monkeypatch.setattr(purging, "USERS", 2)
    for number in range(5):
        execute(empty_url, TASK, f"user {number}", NOW - timedelta(days=60), number * 4 + 1)
    sizes = []
    write = database.write

    async def noted(*arguments: object) -> object:
        rows = await write(*arguments)  # type: ignore[arg-type]
        sizes.append(len(rows))
        return rows

    monkeypatch.setattr(database, "write", noted)
    assert await purge(database, NOW, 30, 24) == Purged(45, 0)
    assert max(sizes) == 4
    assert execute(empty_url, "SELECT count(*) FROM task") == [(0,)]


async def test_rows_that_somebody_holds_are_left_for_the_next_time(
    database: Database, empty_url: str, execute: Execute
) -> None:
    execute(empty_url, TASK, "ada", NOW - timedelta(days=60), 3)
    holder = psycopg2.connect(empty_url)
    with holder.cursor() as cursor:
        cursor.execute("SELECT FROM task LIMIT 1 FOR UPDATE")
        assert await purge(database, NOW, 30, 24) == Purged(2, 0)
    holder.rollback()
    assert await purge(database, NOW, 30, 24) == Purged(1, 0)
    holder.close()


async def test_processes_that_purge_at_once_share_the_work(
    database: Database, empty_url: str, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "ROWS", 10)
    for number in range(4):
        execute(empty_url, TASK, f"user {number}", NOW - timedelta(days=60), 60)
    purged = await asyncio.gather(*(purge(database, NOW, 30, 24) for _ in range(4)))
    assert sum(one.tasks for one in purged) == 240


class Stopped(Exception):
    pass


async def test_purging_goes_on_though_the_database_is_away(
    database: Database, empty_url: str, execute: Execute, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "todo_tasks.purge")
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            execute(empty_url, "ALTER TABLE task RENAME TO away")
        if len(waits) == 3:
            execute(empty_url, "ALTER TABLE away RENAME TO task")
        if len(waits) == 4:
            raise Stopped

    # Long gone by any clock.
    execute(empty_url, TASK, "ada", datetime(2001, 1, 1, tzinfo=UTC), 1)
    with pytest.raises(Stopped):
        await keep_purging(database, 30, 24, sleep=sleep)
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "purged 1 tasks in the trash and 0 kept answers",
        "purge put off",
        "purged 0 tasks in the trash and 0 kept answers",
    ]
    assert all(0.5 <= wait / purging.INTERVAL_S <= 1.5 for wait in waits)
    assert len(set(waits)) == len(waits)


async def test_the_service_purges_while_it_serves(
    url: str,
    settings_of: Callable[..., TasksSettings],
    serve: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = asyncio.Event()

    async def noted(database: Database, trash_days: int, idempotency_hours: int) -> None:
        assert (trash_days, idempotency_hours) == (7, 48)
        started.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("todo_tasks.app.keep_purging", noted)
    await serve(settings_of(url, trash_days=7, idempotency_hours=48))  # type: ignore[misc]
    await started.wait()
