"""What `todo-tasks migrate --distribute` makes of the tables, and of Better Auth's beside them.

Task: T-062 · Spec: plan.md#distributed
"""

import subprocess
from collections.abc import Awaitable, Callable

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from todo_tasks import ownership, schema
from todo_tasks.engine import make_engine
from todo_tasks.settings import TasksSettings
from todo_tasks.tasks import lists
from todo_tasks.tasks.lists import Shape

Execute = Callable[..., list[tuple[object, ...]]]
Distribute = Callable[[str], subprocess.CompletedProcess[str]]
SettingsOf = Callable[..., TasksSettings]
Serve = Callable[[TasksSettings], Awaitable[FastAPI]]
Connect = Callable[..., AsyncClient]

BETTER_AUTH = """
CREATE TABLE "user" (id text PRIMARY KEY, name text);
CREATE TABLE session (id text PRIMARY KEY, "userId" text NOT NULL REFERENCES "user" (id) ON DELETE CASCADE);
"""
USERS = """
INSERT INTO "user" SELECT 'user ' || n FROM generate_series(1, 40) n;
INSERT INTO session SELECT 'session ' || n, 'user ' || n FROM generate_series(1, 40) n;
"""
ROWS = """
INSERT INTO category SELECT id, '01a20e5d-d6bc-7550-8af4-da3e8cca6a93', 'Home', 'home', NULL,
    '2030-01-01Z', '2030-01-01Z' FROM "user";
INSERT INTO task (
    user_id, id, title, status, priority, category_id, tags, position, version, created_at, updated_at
)
SELECT user_id, id, 'x', 'pending', 'low', id, '{}', 0, 1, created_at, created_at FROM category;
"""
PLACED = (
    "SELECT logicalrelid::text, partmethod::text, column_to_column_name(logicalrelid, partkey), "
    "colocationid = min(colocationid) FILTER (WHERE partmethod = 'h') OVER () "
    "FROM pg_dist_partition WHERE logicalrelid = ANY(%s::regclass[]) ORDER BY 1"
)
BY_USER = [(name, "h", "user_id", True) for name in ("category", "idempotency_key", "task")]


def test_the_tables_are_distributed_by_user_and_lie_together(url: str, execute: Execute) -> None:
    tables = [name for name, *_ in BY_USER]
    assert execute(url, PLACED, tables) == BY_USER
    nodes = execute(url, "SELECT count(DISTINCT nodeport), count(*) FROM pg_dist_node WHERE shouldhaveshards")
    assert nodes != [(0, 0)]


def test_rows_that_are_there_are_distributed_with_their_users(
    empty_url: str, execute: Execute, distribute: Distribute
) -> None:
    execute(empty_url, BETTER_AUTH + USERS)
    engine = make_engine(empty_url, 5)
    schema.upgrade(engine)
    assert ownership.tie(engine)
    execute(empty_url, ROWS)
    for _ in range(2):
        migrated = distribute(empty_url)
        assert migrated.returncode == 0, migrated.stderr
        assert "rows are distributed by user" in migrated.stderr
        assert "rows are tied" in migrated.stderr
    with engine.connect() as connection:
        assert "Rows are tied" in ownership.describe(connection)
    engine.dispose()
    assert execute(empty_url, PLACED, [name for name, *_ in BY_USER]) == BY_USER
    execute(empty_url, """DELETE FROM "user" WHERE id IN ('user 1', 'user 2')""")
    for table in ("task", "category", "session"):
        assert execute(empty_url, f"SELECT count(*) FROM {table}") == [(38,)]
    with pytest.raises(Exception, match="fk_task_category"):
        execute(empty_url, "DELETE FROM category WHERE user_id = 'user 3'")


def test_users_may_come_later(
    empty_url: str, execute: Execute, distribute: Distribute, caplog: pytest.LogCaptureFixture
) -> None:
    assert distribute(empty_url).returncode == 0
    execute(empty_url, BETTER_AUTH + USERS)
    engine = make_engine(empty_url, 5)
    assert ownership.tie(engine) is False
    assert "on one node of the cluster only; run `todo-tasks migrate --distribute`" in caplog.text
    assert "rows are tied" in distribute(empty_url).stderr
    execute(empty_url, ROWS)
    with pytest.raises(Exception, match="fk_category_user"):
        execute(
            empty_url,
            "INSERT INTO category VALUES "
            "('nobody', '01a20e5d-d6bc-7550-8af4-da3e8cca6a93', 'x', 'x', NULL, '2030-01-01', '2030-01-01')",
        )
    schema.downgrade(engine, "base")
    schema.upgrade(engine)
    engine.dispose()


def test_what_cannot_be_distributed_stays_as_it_is(
    empty_url: str, execute: Execute, distribute: Distribute
) -> None:
    engine = make_engine(empty_url, 5)
    schema.upgrade(engine)
    engine.dispose()
    execute(empty_url, "CREATE UNIQUE INDEX theirs ON idempotency_key (key)")
    keys = "SELECT conname FROM pg_constraint WHERE conrelid = 'task'::regclass AND contype = 'f'"
    before = execute(empty_url, keys)
    refused = distribute(empty_url)
    assert refused.returncode == 1
    assert "The cluster refuses: " in refused.stderr
    assert execute(empty_url, keys) == before == [("fk_task_category",)]
    assert execute(empty_url, PLACED, ["category", "task"]) == []


@pytest.mark.parametrize(
    ("shape", "index"),
    [
        (Shape(), "ix_task_user_id_created_at_id"),
        (Shape(sort="due_date", descending=False), "ix_task_user_id_due_at_id"),
    ],
)
def test_a_list_goes_to_one_shard_and_uses_its_index(
    filled_url: str, execute: Execute, shape: Shape, index: str
) -> None:
    values = {"user_id": "'user 7'", "limit": "'21'", "offset": "'0'"}
    statement = lists.list_(shape)
    text = statement.text
    for number, name in reversed(list(enumerate(statement.parameters, start=1))):
        text = text.replace(f"${number}::", f"{values[name]}::")
    plan = "\n".join(str(line) for (line,) in execute(filled_url, f"EXPLAIN {text}"))
    assert "Task Count: 1" in plan
    assert index in plan


async def test_a_deleted_users_token_cannot_create_anything_on_a_cluster(
    empty_url: str,
    execute: Execute,
    distribute: Distribute,
    settings_of: SettingsOf,
    serve: Serve,
    connect: Connect,
) -> None:
    execute(empty_url, f"{BETTER_AUTH} INSERT INTO \"user\" VALUES ('ada')")
    assert distribute(empty_url).returncode == 0
    client = connect(await serve(settings_of(empty_url)), "ada")
    new = {"title": "x", "category": "Home"}
    assert (await client.post("/api/tasks", json=new)).status_code == 201
    execute(empty_url, 'DELETE FROM "user"')
    wanted = (
        ("/api/tasks", {"title": "x"}),
        ("/api/tasks", new),
        ("/api/categories", {"name": "x"}),
    )
    for path, body in wanted:
        for headers in ({}, {"Idempotency-Key": "k"}):
            response = await client.post(path, json=body, headers=headers)
            assert (response.status_code, response.json()["error"]["code"]) == (403, "user_deleted")
    assert (await client.get("/api/tasks")).json() == []
