"""Requests that are cancelled, wherever they are at that moment: their queries end on the server, and both
pools stay whole. `CANCELLATIONS` in the environment: how many at random.
"""

import asyncio
import gc
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import psycopg2
import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from todo_tasks.database import Database, PoolState
from todo_tasks.settings import TasksSettings

SettingsOf = Callable[..., TasksSettings]
Serve = Callable[[TasksSettings], Awaitable[FastAPI]]
Connect = Callable[..., AsyncClient]
Execute = Callable[..., list[tuple[object, ...]]]

CANCELLATIONS = int(os.environ.get("CANCELLATIONS", 1_000))
AT_ONCE = 20
RUNNING = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'todo-tasks' "
    "AND datname = current_database() AND state <> 'idle'"
)


@pytest.fixture
async def app(url: str, settings_of: SettingsOf, serve: Serve) -> FastAPI:
    return await serve(settings_of(url, database_pool_size=3, database_connect_timeout_s=30))


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0)


async def make_category(client: AsyncClient) -> str:
    made = await client.post("/api/categories", json={"name": "c"})
    return f"/api/categories/{made.json()['id']}"


@pytest.mark.parametrize("way", ["statement", "session"])
async def test_a_cancelled_request_cancels_its_query_on_the_server(
    app: FastAPI, connect: Connect, url: str, execute: Execute, way: str
) -> None:
    database: Database = app.state.database
    client = connect(app)
    category = await make_category(client)
    blocker = psycopg2.connect(url)
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE category")
        request = client.get(category) if way == "statement" else client.patch(category, json={"color": "x"})
        task = asyncio.create_task(request)
        await until(lambda: execute(url, f"{RUNNING} AND wait_event_type = 'Lock'") == [(1,)])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # While the lock is held, still.
        await until(lambda: execute(url, RUNNING) == [(0,)])
    blocker.rollback()
    blocker.close()
    assert database.pool_state()["sessions"].waiting == 0
    assert (await client.patch(category, json={"color": "y"})).json()["color"] == "y"


async def test_a_request_cancelled_while_it_waits_for_a_connection_takes_none(
    app: FastAPI, connect: Connect, url: str
) -> None:
    database: Database = app.state.database
    client = connect(app)
    blocker = psycopg2.connect(url)
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE task")
        busy = [asyncio.create_task(client.get("/api/tasks")) for _ in range(3)]
        waiting = [asyncio.create_task(client.get("/api/tasks")) for _ in range(3)]
        await until(lambda: database.pool_state()["statements"] == PoolState(3, 0, 3))
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert database.pool_state()["statements"] == PoolState(3, 0, 0)
    blocker.rollback()
    blocker.close()
    assert [(await one).status_code for one in busy] == [200] * 3
    assert database.pool_state()["statements"] == PoolState(3, 3, 0)


@pytest.fixture
async def hard(app: FastAPI) -> AsyncIterator[Database]:
    """The database, judged afterwards: nobody has a connection, and nobody waits for one."""
    database: Database = app.state.database
    yield database

    def is_whole() -> bool:
        states = database.pool_state().values()
        return all(state.idle == state.size and state.waiting == 0 for state in states)

    await until(is_whole)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Nothing is mended by the collector of cycles, which comes by when it likes."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.timeout(60 + CANCELLATIONS // 10)
async def test_cancellations_at_random_leave_both_pools_whole_and_no_query_running(
    app: FastAPI, hard: Database, connect: Connect, url: str, execute: Execute
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    user_id = f"user-{seed}"
    client = connect(app, user_id)
    category = await make_category(client)
    requests: list[Callable[[], Awaitable[object]]] = [
        lambda: client.get("/api/tasks"),
        lambda: client.post("/api/tasks", json={"title": "x"}),
        lambda: client.post(
            "/api/tasks", json={"title": "x"}, headers={"Idempotency-Key": str(chance.random())}
        ),
        lambda: client.patch(category, json={"color": str(chance.randrange(10))}),
        lambda: client.delete("/api/categories/01a20e5d-d6bc-7550-8af4-da3e8cca6a93"),
    ]

    async def cancelled() -> bool:
        task = asyncio.ensure_future(chance.choice(requests)())
        await asyncio.wait([task], timeout=chance.expovariate(1 / 0.01))
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(result, asyncio.CancelledError) or getattr(result, "status_code", 0) < 500, (
            seed,
            result,
        )
        return isinstance(result, asyncio.CancelledError)

    hits = 0
    for _ in range(0, CANCELLATIONS, AT_ONCE):
        client = connect(app, user_id)  # a token of 60 seconds
        hits += sum(await asyncio.gather(*(cancelled() for _ in range(AT_ONCE))))
    assert hits > CANCELLATIONS / 10
    await until(lambda: execute(url, RUNNING) == [(0,)])
    answers = await asyncio.gather(*(client.patch(category, json={"color": "z"}) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
