import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import psycopg2
import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from todo_stack.postgres import Postgres
from todo_tasks import schema
from todo_tasks.connections import Connection
from todo_tasks.database import Database, PoolState, Unavailable
from todo_tasks.engine import make_engine
from todo_tasks.migrations import HEAD
from todo_tasks.settings import TasksSettings
from todo_tasks.tasks import statements, stats, trash
from todo_tasks.tasks import statements as tasks

Execute = Callable[..., list[tuple[object, ...]]]
SettingsOf = Callable[..., TasksSettings]
Serve = Callable[[TasksSettings], Awaitable[FastAPI]]
Connect = Callable[..., AsyncClient]

KILL = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE application_name = 'todo-tasks' AND datname = current_database()"
)

LEFT = KILL.replace("pg_terminate_backend(pid)", "pid")


async def all_of_it(client: AsyncClient) -> list[int]:
    """The statuses of one request of each kind: reads and writes, both ways to the database."""
    category = (await client.post("/api/categories", json={"name": "c"})).json()
    answers = [
        await client.get("/api/tasks"),
        await client.get("/api/stats"),
        await client.post("/api/tasks", json={"title": "x"}),
        await client.patch(f"/api/categories/{category.get('id')}", json={"color": "red"}),
        await client.delete(f"/api/categories/{category.get('id')}"),
    ]
    return [answer.status_code for answer in answers]


WELL = [200, 200, 201, 200, 204]


async def test_connections_that_were_killed_are_not_noticed(
    client: AsyncClient, url: str, execute: Execute
) -> None:
    assert await all_of_it(client) == WELL
    ((killed,),) = execute(url, KILL)
    assert isinstance(killed, int) and killed >= 2
    while execute(url, LEFT) != [(0,)]:
        pass  # a backend ends a moment after it was told to, and until then takes what is sent
    assert await all_of_it(client) == WELL


async def test_a_connection_that_dies_under_a_read_is_replaced(
    settings: TasksSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(settings)
    await database.open()
    values = {"user_id": "ada", "id": "01a20e5d-d6bc-7550-8af4-da3e8cca6a93"}
    assert await database.read(statements.read(), values) == []
    fetch = asyncpg.Connection.fetch
    deaths = [asyncpg.ConnectionDoesNotExistError("gone"), ConnectionResetError()]

    async def dying(self: asyncpg.Connection, *args: Any) -> object:
        if deaths:
            self.terminate()
            raise deaths.pop()
        return await fetch(self, *args)

    monkeypatch.setattr(asyncpg.Connection, "fetch", dying)
    # Twice in a row is no accident any more.
    with pytest.raises(Unavailable):
        await database.read(statements.read(), values)
    deaths.append(asyncpg.AdminShutdownError("terminating connection"))
    assert await database.read(statements.read(), values) == []
    await database.close()


async def test_a_write_is_sent_once(settings: TasksSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(settings)
    await database.open()
    sent: list[str] = []

    async def dying(self: asyncpg.Connection, text: str, *args: object) -> object:
        sent.append(text)
        self.terminate()
        raise asyncpg.ConnectionDoesNotExistError("gone")

    monkeypatch.setattr(asyncpg.Connection, "fetch", dying)
    with pytest.raises(Unavailable) as unavailable:
        await database.write(trash.delete(False), {"user_id": "a", "id": "b", "updated_at": None})
    assert len(sent) == 1
    assert (unavailable.value.status, unavailable.value.headers["Retry-After"]) == (503, "2")
    await database.close()


KEYED = {name: None for name in tasks.create("none", True).parameters} | {
    "user_id": "ada",
    "idempotency_key": "k",
}


@pytest.mark.parametrize("within", ["the statement", "its transaction"])
async def test_a_write_that_may_be_repeated_is(
    settings: TasksSettings, monkeypatch: pytest.MonkeyPatch, within: str
) -> None:
    database = Database(settings)
    await database.open()
    fetch, sent = asyncpg.Connection.fetch, 0

    async def dying(self: asyncpg.Connection, text: str, *args: object) -> object:
        nonlocal sent
        sent += 1
        if sent == 1:
            self.terminate()
            raise asyncpg.ConnectionDoesNotExistError("gone")
        return await fetch(self, "SELECT 1 AS one")

    monkeypatch.setattr(asyncpg.Connection, "fetch", dying)
    lock_timeout_ms = 1_000 if within == "its transaction" else None
    rows = await database.write(
        tasks.create("none", True), KEYED, lock_timeout_ms=lock_timeout_ms, repeatable=True
    )
    assert (sent, rows[0]["one"]) == (2, 1)
    sent = 0
    with pytest.raises(Unavailable):
        await database.write(tasks.create("none", True), KEYED, lock_timeout_ms=lock_timeout_ms)
    assert sent == 1
    await database.close()


async def test_a_goodbye_that_has_just_been_read_is_a_lost_connection(
    settings: TasksSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(settings)
    await database.open()
    fetch = asyncpg.Connection.fetch
    errors = [asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")]

    async def dying(self: asyncpg.Connection, *args: Any) -> object:
        if errors:
            raise errors.pop()
        return await fetch(self, *args)

    monkeypatch.setattr(asyncpg.Connection, "fetch", dying)
    assert len(await database.read(stats.stats(), {"user_id": "ada", "now": None})) == 1
    await database.close()


async def test_connections_are_replaced_when_they_are_old(
    url: str, settings_of: SettingsOf, execute: Execute
) -> None:
    database = Database(settings_of(url, database_pool_size=1, database_lifetime_s=3600))
    await database.open()

    async def connection() -> Connection:
        lent = await database._opened().acquire()
        database._opened().release(lent)
        return lent

    await database.missing()
    first = await connection()
    await database.missing()
    assert await connection() is first
    first.made_at -= 3601
    await database.missing()
    assert await connection() is not first
    await database.close()


async def test_the_state_of_both_pools_can_be_read(url: str, settings_of: SettingsOf) -> None:
    database = Database(settings_of(url, database_pool_size=2))
    await database.open()
    assert database.pool_state() == {"statements": PoolState(0, 0, 0), "sessions": PoolState(0, 0, 0)}
    blocker = psycopg2.connect(url)
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE task")
        values = {"user_id": "ada", "now": None}
        reads = [asyncio.create_task(database.read(stats.stats(), values)) for _ in range(3)]
        busy = PoolState(2, 0, 1)
        async with asyncio.timeout(20):
            while database.pool_state()["statements"] != busy:
                await asyncio.sleep(0)
        with database.sessions() as session:
            session.connection()
            assert database.pool_state()["sessions"] == PoolState(1, 0, 0)
        assert database.pool_state()["sessions"] == PoolState(1, 1, 0)
    blocker.rollback()
    await asyncio.gather(*reads)
    assert database.pool_state()["statements"] == PoolState(2, 2, 0)
    blocker.close()
    await database.close()


async def test_a_compute_that_wakes_up_is_waited_for(
    server: tuple[Postgres, ExitStack], settings_of: SettingsOf, serve: Serve, connect: Connect
) -> None:
    postgres, running = server
    engine = make_engine(postgres.url, 5)
    schema.upgrade(engine)
    engine.dispose()
    client = connect(await serve(settings_of(postgres.url, database_connect_timeout_s=30)))
    assert await all_of_it(client) == WELL
    await asyncio.to_thread(running.close)
    category = "/api/categories/01a20e5d-d6bc-7550-8af4-da3e8cca6a93"
    waiting = [
        asyncio.create_task(client.get("/api/tasks")),
        asyncio.create_task(client.post("/api/tasks", json={"title": "x"})),
        asyncio.create_task(client.delete(category)),
    ]
    await asyncio.to_thread(running.enter_context, postgres)
    assert [(await one).status_code for one in waiting] == [200, 201, 404]


async def test_a_statement_that_takes_too_long_is_given_up_and_the_connection_kept(
    url: str, settings_of: SettingsOf, execute: Execute
) -> None:
    database = Database(settings_of(url, database_timeout_s=0.2, database_pool_size=1))
    await database.open()
    blocker = psycopg2.connect(url)
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE task")
        with pytest.raises(Unavailable):
            await database.read(stats.stats(), {"user_id": "ada", "now": None})
    blocker.close()
    assert len(await database.read(stats.stats(), {"user_id": "ada", "now": None})) == 1
    await database.close()


async def test_a_request_that_finds_no_free_connection_in_time_is_503(
    url: str, settings_of: SettingsOf, serve: Serve, connect: Connect
) -> None:
    client = connect(await serve(settings_of(url, database_connect_timeout_s=0.2, database_pool_size=1)))
    assert (await client.get("/api/tasks")).status_code == 200
    blocker = psycopg2.connect(url)
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE task")
        requests = [asyncio.create_task(client.get(path)) for path in ("/api/tasks", "/api/categories")]
        first, rest = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
        assert [request.result().status_code for request in first] == [503]
    blocker.close()
    assert [(await request).status_code for request in rest] == [200]
    assert (await client.get("/api/categories")).status_code == 200


async def test_a_cancelled_request_gives_its_connection_back(url: str, settings_of: SettingsOf) -> None:
    database = Database(settings_of(url, database_pool_size=1))
    await database.open()
    blocker = psycopg2.connect(url)
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE task")
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await database.read(stats.stats(), {"user_id": "ada", "now": None})
    blocker.close()
    assert len(await database.read(stats.stats(), {"user_id": "ada", "now": None})) == 1
    await database.close()


@pytest.mark.parametrize("cache", [True, False])
async def test_statements_are_prepared_once_a_connection_or_not_at_all(
    url: str,
    settings_of: SettingsOf,
    serve: Serve,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    cache: bool,
) -> None:
    caplog.set_level(logging.INFO)
    app = await serve(settings_of(url, database_pool_size=1, database_statement_cache=cache))
    assert f"statement cache {'on' if cache else 'off'}" in caplog.text
    client = connect(app)
    for _ in range(3):
        assert (await client.get("/api/tasks")).status_code == 200
    connection = await app.state.database._pool.acquire()
    prepared = await connection.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''")
    query = await connection.fetchval(
        "SELECT count(*) FROM pg_prepared_statements "
        "WHERE statement LIKE '%FROM task LEFT%' AND statement NOT LIKE '%pg_prepared%'"
    )
    app.state.database._pool.release(connection)
    assert (prepared > 0, query) == ((True, 1) if cache else (False, 0))


async def test_a_database_that_refuses_connections_is_503_and_not_ready(
    settings_of: SettingsOf, serve: Serve, connect: Connect
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        # Bound and not listening: every connection is refused.
        port = unused.getsockname()[1]
        client = connect(await serve(settings_of(f"postgresql://ada:hunter2@127.0.0.1:{port}/todo")))
        await is_down(client)


async def test_a_database_that_does_not_answer_is_503_in_bounded_time(
    settings_of: SettingsOf, serve: Serve, connect: Connect
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://ada:hunter2@127.0.0.1:{silent.getsockname()[1]}/todo?sslmode=disable"
        client = connect(await serve(settings_of(url, database_connect_timeout_s=0.2)))
        response = await client.get("/api/tasks")
        assert response.status_code == 503


async def is_down(client: AsyncClient) -> None:
    answers = [
        await client.get("/api/tasks"),
        await client.post("/api/tasks", json={"title": "x"}),
        await client.delete("/api/categories/01a20e5d-d6bc-7550-8af4-da3e8cca6a93"),
    ]
    for answer in answers:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json()["error"]["code"] == "database_unavailable"
        assert "hunter2" not in answer.text and "127.0.0.1" not in answer.text
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["missing"]) == (503, ["database"])
    assert (await client.get("/healthz")).status_code == 200


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Postgres, ExitStack]]:
    """A server of this test's own, which it can stop and start: closing the stack stops it."""
    with ExitStack() as running:
        server = running.enter_context(Postgres(tmp_path / "postgres"))
        yield server, running


async def test_the_service_outlives_a_restart_of_the_database(
    server: tuple[Postgres, ExitStack], settings_of: SettingsOf, serve: Serve, connect: Connect
) -> None:
    postgres, running = server
    app = await serve(settings_of(postgres.url, database_connect_timeout_s=2))
    client = connect(app)
    assert (await client.get("/readyz")).json()["missing"] == ["schema"]
    engine = make_engine(postgres.url, 5)
    schema.upgrade(engine)
    engine.dispose()
    assert (await client.get("/readyz")).status_code == 200
    assert await all_of_it(client) == WELL

    await asyncio.to_thread(running.close)
    await is_down(client)

    await asyncio.to_thread(running.enter_context, postgres)
    assert (await client.get("/readyz")).status_code == 200
    assert await all_of_it(client) == WELL
    # The first task, and the second one.
    assert len((await client.get("/api/tasks")).json()) == 2


async def test_a_schema_that_does_not_fit_is_not_ready_and_a_newer_one_later_is(
    empty_url: str, execute: Execute, settings_of: SettingsOf, serve: Serve, connect: Connect
) -> None:
    engine = make_engine(empty_url, 5)
    schema.upgrade(engine)
    engine.dispose()
    execute(empty_url, "UPDATE todo_tasks_version SET version_num = '9999'")
    client = connect(await serve(settings_of(empty_url)))
    assert (await client.get("/readyz")).json()["missing"] == ["schema"]
    execute(empty_url, f"UPDATE todo_tasks_version SET version_num = '{HEAD}'")
    assert (await client.get("/readyz")).status_code == 200
    execute(empty_url, "UPDATE todo_tasks_version SET version_num = '9999'")
    assert (await client.get("/readyz")).status_code == 200


async def test_a_backend_that_is_killed_in_flight_costs_a_write_its_answer_and_a_read_nothing(
    app: FastAPI, client: AsyncClient, url: str, execute: Execute
) -> None:
    category = f"/api/categories/{(await client.post('/api/categories', json={'name': 'c'})).json()['id']}"
    blocker = psycopg2.connect(url)
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE category, task")
        requests = [
            asyncio.create_task(client.get("/api/tasks")),
            asyncio.create_task(client.post("/api/tasks", json={"title": "x"})),
            asyncio.create_task(client.patch(category, json={"color": "red"})),
        ]
        waiting = "application_name = 'todo-tasks' AND wait_event_type = 'Lock'"
        while execute(url, f"SELECT count(*) FROM pg_stat_activity WHERE {waiting}") != [(3,)]:
            await asyncio.sleep(0.01)
        execute(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {waiting}")
        await asyncio.wait(requests[1:])
    blocker.rollback()
    blocker.close()
    assert [(await request).status_code for request in requests] == [200, 503, 503]
    assert await all_of_it(client) == [200, 200, 201, 404, 404]  # the category is there already
    assert (await client.patch(category, json={"color": "blue"})).json()["color"] == "blue"


async def test_a_session_waits_for_others_locks_only_so_long(
    settings: TasksSettings, serve: Serve, connect: Connect, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("todo_tasks.database.SESSION_LOCK_TIMEOUT_S", 0.05)
    client = connect(await serve(settings))
    category = f"/api/categories/{(await client.post('/api/categories', json={'name': 'c'})).json()['id']}"
    blocker = psycopg2.connect(url)
    with blocker.cursor() as cursor:
        cursor.execute("SELECT FROM category FOR UPDATE")
        assert (await client.patch(category, json={"color": "red"})).status_code == 409
    blocker.rollback()
    blocker.close()
    assert (await client.patch(category, json={"color": "red"})).status_code == 200
