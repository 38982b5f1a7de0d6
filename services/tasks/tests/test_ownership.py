import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import Engine

from todo_tasks import ownership, schema
from todo_tasks.engine import make_engine
from todo_tasks.settings import TasksSettings

Execute = Callable[..., list[tuple[object, ...]]]

USER_TABLE = 'CREATE TABLE "user" (id text PRIMARY KEY)'
TASK = (
    "INSERT INTO task "
    "(user_id, id, title, status, priority, tags, position, version, created_at, updated_at) "
    "VALUES (%s, gen_random_uuid(), 'x', 'pending', 'low', '{}', 0, 1, now(), now())"
)
ANSWER = "INSERT INTO idempotency_key VALUES (%s, 'k', '', gen_random_uuid(), 1, '{}', now())"


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    engine = make_engine(empty_url, 5)
    schema.upgrade(engine)
    yield engine
    engine.dispose()


def state(engine: Engine) -> str:
    with engine.connect() as connection:
        return ownership.describe(connection)


def test_rows_are_tied_where_the_users_table_is(engine: Engine, empty_url: str, execute: Execute) -> None:
    execute(empty_url, USER_TABLE)
    assert "not tied" in state(engine)
    for _ in range(2):
        assert ownership.tie(engine) is True
    assert "Rows are tied" in state(engine)
    execute(empty_url, """INSERT INTO "user" VALUES ('ada'), ('bob')""")
    execute(empty_url, TASK, "ada")
    execute(empty_url, TASK, "bob")
    with pytest.raises(Exception, match="fk_task_user"):
        execute(empty_url, TASK, "nobody")
    for user_id in ("ada", "bob"):
        execute(empty_url, ANSWER, user_id)
    execute(empty_url, """DELETE FROM "user" WHERE id = 'ada'""")
    for table in ("task", "idempotency_key"):
        assert execute(empty_url, f"SELECT user_id FROM {table}") == [("bob",)]


def test_rows_are_tied_later_where_the_table_comes_later(
    engine: Engine, empty_url: str, execute: Execute, caplog: pytest.LogCaptureFixture
) -> None:
    assert ownership.tie(engine) is False
    assert caplog.messages == [
        'There is no table "user" with an id in this database, so tasks outlive their deleted users.'
    ]
    assert state(engine) == caplog.messages[0]
    execute(empty_url, USER_TABLE)
    assert ownership.tie(engine) is True


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ('CREATE TABLE "user" (id uuid PRIMARY KEY)', "is uuid, not text"),
        ('CREATE TABLE "user" (id bigint PRIMARY KEY)', "is bigint, not text"),
        ('CREATE TABLE "user" (key text PRIMARY KEY)', 'no table "user" with an id'),
        ("""CREATE VIEW "user" AS SELECT 'ada' AS id""", 'no table "user" with an id'),
        ('CREATE SCHEMA auth; CREATE TABLE auth."user" (id text PRIMARY KEY)', 'no table "user"'),
        ('CREATE TABLE "user" (id text)', "unique"),
    ],
)
def test_rows_are_not_tied_to_what_they_cannot_refer_to(
    engine: Engine, empty_url: str, execute: Execute, caplog: pytest.LogCaptureFixture, made: str, said: str
) -> None:
    execute(empty_url, made)
    assert ownership.tie(engine) is False
    assert said in caplog.text
    execute(empty_url, TASK, "nobody")


def test_an_id_of_varchar_is_text_enough(engine: Engine, empty_url: str, execute: Execute) -> None:
    execute(empty_url, 'CREATE TABLE "user" (id varchar(36) PRIMARY KEY)')
    assert ownership.tie(engine) is True


def test_rows_of_absent_users_are_kept_and_counted_and_new_ones_refused(
    engine: Engine, empty_url: str, execute: Execute, caplog: pytest.LogCaptureFixture
) -> None:
    execute(empty_url, USER_TABLE)
    for user in ("gone", "gone", "lost"):
        execute(empty_url, TASK, user)
    for _ in range(2):
        assert ownership.tie(engine) is False
    assert "table task: rows of 2 users" in caplog.text
    assert "some older ones" in state(engine)
    assert execute(empty_url, "SELECT count(*) FROM task") == [(3,)]
    execute(empty_url, "UPDATE task SET title = 'still theirs'")
    with pytest.raises(Exception, match="fk_task_user"):
        execute(empty_url, TASK, "gone")
    execute(empty_url, """INSERT INTO "user" VALUES ('gone'), ('lost')""")
    assert ownership.tie(engine) is True


async def test_several_ties_at_once_are_one(engine: Engine, empty_url: str, execute: Execute) -> None:
    execute(empty_url, USER_TABLE)
    assert await asyncio.gather(*(asyncio.to_thread(ownership.tie, engine) for _ in range(4))) == [True] * 4


def test_a_table_that_is_held_is_said_and_left(
    engine: Engine,
    empty_url: str,
    execute: Execute,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    execute(empty_url, USER_TABLE)
    monkeypatch.setattr(ownership, "LOCK_TIMEOUT", "10ms")
    holder = make_engine(empty_url, 5)
    with holder.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE category IN ROW EXCLUSIVE MODE")
        assert ownership.tie(engine) is False
    holder.dispose()
    assert "run `todo-tasks migrate` again" in caplog.text
    assert ownership.tie(engine) is True


def test_a_role_without_the_right_to_refer_is_said(
    engine: Engine, empty_url: str, execute: Execute, caplog: pytest.LogCaptureFixture
) -> None:
    execute(empty_url, USER_TABLE)
    execute(empty_url, "DROP ROLE IF EXISTS todo_limited")
    execute(empty_url, "CREATE ROLE todo_limited; ALTER TABLE task OWNER TO todo_limited")
    execute(
        empty_url, "ALTER TABLE category OWNER TO todo_limited; GRANT CREATE ON SCHEMA public TO todo_limited"
    )
    limited = make_engine(f"{empty_url}?options=-c%20role%3Dtodo_limited", 5)
    assert ownership.tie(limited) is False
    limited.dispose()
    assert "GRANT REFERENCES" in caplog.text
    execute(empty_url, "REASSIGN OWNED BY todo_limited TO CURRENT_USER; DROP OWNED BY todo_limited")
    execute(empty_url, "DROP ROLE todo_limited")


async def test_a_deleted_users_token_cannot_create_anything(
    engine: Engine,
    empty_url: str,
    execute: Execute,
    settings_of: Callable[..., TasksSettings],
    serve: Callable[[TasksSettings], Awaitable[FastAPI]],
    connect: Callable[..., AsyncClient],
    caplog: pytest.LogCaptureFixture,
) -> None:
    execute(empty_url, f"{USER_TABLE}; INSERT INTO \"user\" VALUES ('ada')")
    ownership.tie(engine)
    client = connect(await serve(settings_of(empty_url)), "ada")
    task = (await client.post("/api/tasks", json={"title": "x", "category": "Home"})).json()
    execute(empty_url, 'DELETE FROM "user"')
    caplog.set_level(logging.ERROR)
    for path, body in [
        ("/api/tasks", {"title": "x"}),
        ("/api/tasks", {"title": "x", "category": "Home"}),
        ("/api/categories", {"name": "Home"}),
    ]:
        for headers in ({}, {"Idempotency-Key": "k"}):
            response = await client.post(path, json=body, headers=headers)
            assert (response.status_code, response.json()["error"]["code"]) == (403, "user_deleted")
            assert response.json()["detail"] == "This account does not exist any more."
    assert (await client.get("/api/tasks")).json() == []
    path = f"/api/tasks/{task['id']}"
    assert (await client.patch(path, json={"category": "Home"})).status_code == 404
    assert (await client.delete(path)).status_code == 404
    assert execute(empty_url, "SELECT count(*) FROM category") == [(0,)]
    assert not caplog.records
