"""What a pooler in transaction mode changes: TLS, words of the URL, migrations past it, limits without a
session, cancellations through it, and its end.

Task: T-055 · Spec: plan.md#poolers
"""

import asyncio
import socket
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import psycopg2
import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from todo_tasks import schema
from todo_tasks.database import Database, Unavailable
from todo_tasks.engine import make_engine
from todo_tasks.migrations import HEAD
from todo_tasks.settings import TasksSettings
from todo_tasks.tasks import stats

SettingsOf = Callable[..., TasksSettings]
Serve = Callable[[TasksSettings], Awaitable[FastAPI]]
Connect = Callable[..., AsyncClient]
Command = Callable[..., subprocess.CompletedProcess[str]]
Execute = Callable[..., list[tuple[object, ...]]]


class Pooler(Protocol):
    """What the tests use of conftest's."""

    certificate: Path
    port: int

    def url(self, url: str, **words: str) -> str: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


CATEGORY = "/api/categories/01a20e5d-d6bc-7550-8af4-da3e8cca6a93"


async def both_ways(client: AsyncClient) -> list[int]:
    """The statuses of a request through asyncpg, and of one through psycopg2."""
    return [(await client.get("/api/tasks")).status_code, (await client.delete(CATEGORY)).status_code]


@pytest.mark.parametrize(
    ("words", "statuses"),
    [
        ({"sslmode": "require"}, [200, 404]),
        ({"sslmode": "require", "channel_binding": "prefer"}, [200, 404]),
        ({"sslmode": "verify-full", "sslrootcert": "its own"}, [200, 404]),
        ({"sslmode": "verify-full", "sslrootcert": "system"}, [503, 503]),
        ({"sslmode": "disable"}, [503, 503]),
        ({"sslmode": "require", "options": "-c statement_timeout=1s"}, [503, 503]),
    ],
)
async def test_words_of_the_url_mean_the_same_on_both_ways(
    pooler: Pooler,
    url: str,
    settings_of: SettingsOf,
    serve: Serve,
    connect: Connect,
    words: dict[str, str],
    statuses: list[int],
) -> None:
    if words.get("sslrootcert") == "its own":
        words = words | {"sslrootcert": str(pooler.certificate)}
    through = pooler.url(url, **words)
    assert through.startswith("postgres://")
    patient = {} if statuses == [200, 404] else {"database_connect_timeout_s": 1}
    client = connect(await serve(settings_of(url, database_url=through, **patient)))
    assert await both_ways(client) == statuses


def test_migrations_take_the_direct_url(pooler: Pooler, command: Command, empty_url: str) -> None:
    through = pooler.url(empty_url)
    migrated = command("migrate", DATABASE_URL=through, DATABASE_DIRECT_URL=empty_url)
    assert migrated.returncode == 0, migrated.stderr
    checked = command("check", DATABASE_URL=through)
    assert f"schema is at revision {HEAD}" in checked.stderr


def test_migrations_through_the_pooler_do_no_harm_either(pooler: Pooler, empty_url: str) -> None:
    engine = make_engine(pooler.url(empty_url), 5)
    schema.upgrade(engine)
    schema.downgrade(engine, "base")
    schema.upgrade(engine)
    with engine.connect() as connection:
        assert schema.misfit(connection) is None
    engine.dispose()


async def test_limits_of_a_session_are_gone_with_its_transaction(
    url: str, settings_of: SettingsOf, execute: Execute
) -> None:
    settings = settings_of(url, database_timeout_s=0.2)
    database = Database(settings)

    def timeouts() -> list[tuple[object, ...]]:
        return execute(
            settings.database_url.get_secret_value(),
            "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')",
        )

    before = timeouts()

    def slowly() -> None:
        with database.sessions() as session:
            with pytest.raises(Exception, match="statement timeout"):
                session.connection().exec_driver_sql("SELECT pg_sleep(60)")

    await asyncio.to_thread(slowly)
    assert timeouts() == before
    await database.close()


async def test_a_statement_that_takes_too_long_ends_on_the_server(
    url: str, settings_of: SettingsOf, whole: Callable[[], bool]
) -> None:
    database = Database(settings_of(url, database_timeout_s=0.2, database_pool_size=1))
    await database.open()
    blocker = psycopg2.connect(url)
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE task")
        with pytest.raises(Unavailable):
            await database.read(stats.stats(), {"user_id": "ada", "now": None})
    blocker.rollback()
    blocker.close()
    async with asyncio.timeout(10):
        while not whole():
            await asyncio.sleep(0)
    assert len(await database.read(stats.stats(), {"user_id": "ada", "now": None})) == 1
    await database.close()


async def test_a_pooler_that_was_restarted_is_not_noticed(
    pooler: Pooler, url: str, settings_of: SettingsOf, serve: Serve, connect: Connect
) -> None:
    client = connect(await serve(settings_of(url)))
    assert await both_ways(client) == [200, 404]
    pooler.stop()
    waking = asyncio.create_task(both_ways(client))
    with socket.socket() as knock:  # refused while it is away
        assert knock.connect_ex(("127.0.0.1", pooler.port)) != 0
    await asyncio.to_thread(pooler.start)
    assert await waking == [200, 404]
    assert (await client.post("/api/tasks", json={"title": "x"})).status_code == 201
