"""Each migration is safe on tables that others are working on."""

import asyncio
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator

import psycopg2
import pytest
from sqlalchemy import Engine, exc

from todo_tasks import schema
from todo_tasks.engine import make_engine

Execute = Callable[..., list[tuple[object, ...]]]

ACCEPTED = {
    "prefer-text-field": "the column is of Alembic's own table",
    "prefer-bigint-over-int": "a version counts the changes of one task",
    "prefer-robust-stmts": "the index of an interrupted try is invalid: dropped first, never taken as it is",
    "require-statement-timeout": "new tables are empty, and an index may take long to build beside the work",
}
"""The rules of squawk that do not hold here, and why."""

TASK = (
    "INSERT INTO task "
    "(user_id, id, title, status, priority, tags, position, version, created_at, updated_at) "
    "SELECT %s, gen_random_uuid(), 'Straße', 'pending', 'low', '{}', 0, 1, '2030-01-01Z', '2030-01-01Z' "
    "FROM generate_series(1, %s)"
)
WAITING = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
    "AND application_name = 'todo-tasks'"
)


def judged(sql: str) -> subprocess.CompletedProcess[str]:
    squawk = shutil.which("squawk", path=sysconfig.get_path("scripts")) or shutil.which("squawk")
    if squawk is None:
        pytest.skip("squawk is not installed (PyPI: squawk-cli)")
    excluded = [f"--exclude={rule}" for rule in ACCEPTED]
    return subprocess.run([squawk, *excluded], input=sql, capture_output=True, text=True, timeout=60)


def test_squawk_has_nothing_to_say_about_the_migrations() -> None:
    result = judged(schema.script())
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX i ON task (title);",
        "SET lock_timeout = '5s'; ALTER TABLE task ADD COLUMN x integer NOT NULL;",
        "SET lock_timeout = '5s'; ALTER TABLE task ADD CONSTRAINT c CHECK (version > 0);",
        "ALTER TABLE task ADD COLUMN x text;",
    ],
)
def test_squawk_would_say_so(sql: str) -> None:
    assert judged(sql).returncode != 0


@pytest.fixture
def engine(empty_url: str, execute: Execute) -> Iterator[Engine]:
    """A database that is about to fold its texts, 1,000 at a time."""
    engine = make_engine(empty_url, 5)
    schema.upgrade(engine)
    schema.downgrade(engine, "0002")
    execute(empty_url, TASK, "ada", 1_500)
    yield engine
    engine.dispose()


async def test_others_read_and_write_while_texts_are_folded(
    engine: Engine, empty_url: str, execute: Execute
) -> None:
    holder = psycopg2.connect(empty_url)
    with holder.cursor() as cursor:
        cursor.execute("SELECT id FROM task ORDER BY id DESC LIMIT 1 FOR UPDATE")
        migrating = asyncio.create_task(asyncio.to_thread(schema.upgrade, engine))
        while not execute(empty_url, WAITING):
            await asyncio.sleep(0.01)
        hurried = f"{empty_url}?options=-c%20statement_timeout%3D5s"
        execute(hurried, TASK, "bob", 1)
        execute(hurried, "UPDATE task SET position = 1 WHERE user_id = 'bob'")
        assert execute(hurried, "SELECT count(*) FROM task") == [(1_501,)]
        assert not migrating.done()
    holder.rollback()
    holder.close()
    await migrating
    assert execute(empty_url, "SELECT count(*) FROM task WHERE title_key = 'strasse'") == [(1_501,)]


async def test_a_migration_that_was_killed_goes_on_where_it_was(
    engine: Engine, empty_url: str, execute: Execute
) -> None:
    holder = psycopg2.connect(empty_url)
    with holder.cursor() as cursor:
        cursor.execute("SELECT id FROM task ORDER BY id DESC LIMIT 1 FOR UPDATE")
        migrating = asyncio.create_task(asyncio.to_thread(schema.upgrade, engine))
        while not (waiting := execute(empty_url, WAITING)):
            await asyncio.sleep(0.01)
        execute(empty_url, "SELECT pg_terminate_backend(%s)", waiting[0][0])
        with pytest.raises(exc.OperationalError):
            await migrating
    holder.rollback()
    holder.close()
    # The first batch is folded, and an index of an interrupted try may be there.
    assert execute(empty_url, "SELECT count(title_key) FROM task") == [(1_000,)]
    execute(empty_url, "CREATE INDEX ix_task_user_id_deleted_at ON task (title)")
    await asyncio.to_thread(schema.upgrade, engine)
    assert execute(empty_url, "SELECT count(title_key) FROM task") == [(1_500,)]
    ((index,),) = execute(
        empty_url, "SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_task_user_id_deleted_at'"
    )
    assert "(user_id, deleted_at)" in str(index)


async def test_a_table_that_somebody_holds_is_waited_for_briefly(
    engine: Engine, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("todo_tasks.migrations.LOCK_TIMEOUT", "50ms")
    schema.downgrade(engine, "0001")
    holder = psycopg2.connect(empty_url)
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE task IN ACCESS SHARE MODE")
        with pytest.raises(exc.OperationalError, match="lock timeout"):
            await asyncio.to_thread(schema.upgrade, engine)
        with engine.connect() as connection:
            assert schema.revision(connection) == "0001"
    holder.rollback()
    holder.close()
    await asyncio.to_thread(schema.upgrade, engine)
