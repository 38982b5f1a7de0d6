import asyncio
from collections.abc import Callable, Iterator

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect

from todo_tasks import ownership, schema
from todo_tasks.engine import make_engine
from todo_tasks.migrations import HEAD, VERSION_TABLE

Execute = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    engine = make_engine(empty_url, 5)
    yield engine
    engine.dispose()


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_the_newest_revision_is_the_one_the_code_names(engine: Engine) -> None:
    with engine.connect() as connection:
        assert ScriptDirectory.from_config(schema.configuration(connection)).get_heads() == [HEAD]


def test_the_schema_goes_up_down_and_up(engine: Engine) -> None:
    for _ in range(2):
        schema.upgrade(engine)
        assert tables(engine) == {"task", "category", "idempotency_key", VERSION_TABLE}
        with engine.connect() as connection:
            assert schema.revision(connection) == HEAD
            assert schema.misfit(connection) is None
        schema.downgrade(engine, "base")
        assert tables(engine) == {VERSION_TABLE}


def test_a_second_upgrade_changes_nothing(engine: Engine, empty_url: str, execute: Execute) -> None:
    schema.upgrade(engine)
    execute(empty_url, f"UPDATE {VERSION_TABLE} SET version_num = version_num")
    before = execute(empty_url, "SELECT oid, relfilenode FROM pg_class WHERE relname IN ('task', 'category')")
    schema.upgrade(engine)
    assert before == execute(
        empty_url, "SELECT oid, relfilenode FROM pg_class WHERE relname IN ('task', 'category')"
    )


async def test_several_upgrades_at_once_make_the_schema_once(engine: Engine) -> None:
    await asyncio.gather(*(asyncio.to_thread(schema.upgrade, engine) for _ in range(4)))
    with engine.connect() as connection:
        assert schema.misfit(connection) is None


@pytest.fixture
def shared(engine: Engine, empty_url: str, execute: Execute) -> Engine:
    """A database with other owners' tables, one of them with a version table of Alembic's default name."""
    execute(empty_url, 'CREATE TABLE "user" (id text PRIMARY KEY); CREATE TABLE session (id text)')
    execute(
        empty_url,
        "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('theirs')",
    )
    schema.upgrade(engine)
    ownership.tie(engine)
    return engine


def test_the_models_and_the_migrations_say_the_same_and_others_tables_are_not_touched(shared: Engine) -> None:
    with shared.connect() as connection:
        # Raises where a new migration would have anything to do.
        command.check(schema.configuration(connection))


def test_others_tables_survive_a_downgrade(shared: Engine, empty_url: str, execute: Execute) -> None:
    schema.downgrade(shared, "base")
    assert tables(shared) == {"user", "session", "alembic_version", VERSION_TABLE}
    assert execute(empty_url, "SELECT version_num FROM alembic_version") == [("theirs",)]


def test_texts_that_were_there_before_are_folded(engine: Engine, empty_url: str, execute: Execute) -> None:
    schema.upgrade(engine)
    schema.downgrade(engine, "0001")
    texts = [("Straße", None), ("milk", "From the SHOP"), ("ΟΔΟΣ", "ÉVA"), ("家", "家")]
    row = GOOD | {
        "user_id": "'user ' || n %% 3",
        "id": "gen_random_uuid()",
        "title": "%s",
        "description": "%s",
    }
    for text in texts:
        # Together more than the migration reads at once.
        select = f"SELECT {', '.join(row.values())} FROM generate_series(1, 300) n"
        execute(empty_url, f"INSERT INTO task ({', '.join(row)}) {select}", *text)
    schema.upgrade(engine)
    found = execute(
        empty_url,
        "SELECT title, title_key, description, description_key, count(*) FROM task GROUP BY 1, 2, 3, 4",
    )
    assert set(found) == {
        ("Straße", "strasse", None, None, 300),
        ("milk", None, "From the SHOP", "from the shop", 300),
        ("ΟΔΟΣ", "οδοσ", "ÉVA", "éva", 300),
        ("家", None, "家", None, 300),
    }


def test_a_database_without_our_tables_does_not_fit(engine: Engine) -> None:
    with engine.connect() as connection:
        assert "no tables of this service" in (schema.misfit(connection) or "")


def test_another_revision_does_not_fit(engine: Engine, empty_url: str, execute: Execute) -> None:
    schema.upgrade(engine)
    execute(empty_url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with engine.connect() as connection:
        assert f"revision 9999 and this version needs {HEAD}" in (schema.misfit(connection) or "")


GOOD = {
    "user_id": "'ada'",
    "id": "'01a20e5d-d6bc-7550-8af4-da3e8cca6a93'",
    "title": "'x'",
    "description": "NULL",
    "status": "'pending'",
    "completed_at": "NULL",
    "priority": "'low'",
    "category_id": "NULL",
    "tags": "'{}'",
    "due_date": "NULL",
    "due_at": "NULL",
    "position": "0",
    "version": "1",
    "created_at": "'2030-01-01Z'",
    "updated_at": "'2030-01-01Z'",
}


@pytest.mark.parametrize(
    ("wrong", "constraint"),
    [
        ({"user_id": "''"}, "ck_task_user_id"),
        ({"user_id": "repeat('x', 256)"}, "ck_task_user_id"),
        ({"title": "''"}, "ck_task_title"),
        ({"title": "repeat('x', 201)"}, "ck_task_title"),
        ({"description": "repeat('x', 10001)"}, "ck_task_description"),
        ({"status": "'done'"}, "ck_task_status"),
        ({"status": "'completed'"}, "ck_task_completed_at"),
        ({"completed_at": "'2030-01-01Z'"}, "ck_task_completed_at"),
        ({"priority": "'none'"}, "ck_task_priority"),
        ({"tags": "array_fill('x'::text, '{21}')"}, "ck_task_tags"),
        ({"tags": "ARRAY[repeat('x', 1001)]"}, "ck_task_tags"),
        ({"due_date": "'2030-01-01'"}, "ck_task_due_at"),
        ({"due_at": "'2030-01-01Z'"}, "ck_task_due_at"),
        ({"position": "'NaN'"}, "ck_task_position"),
        ({"position": "'-infinity'"}, "ck_task_position"),
        ({"version": "0"}, "ck_task_version"),
        ({"category_id": "'01a20e5d-d6bc-7550-8af4-da3e8cca6a93'"}, "fk_task_category"),
    ],
)
def test_the_table_refuses_what_the_service_refuses(
    url: str, execute: Execute, wrong: dict[str, str], constraint: str
) -> None:
    def insert(row: dict[str, str]) -> None:
        execute(url, f"INSERT INTO task ({', '.join(row)}) VALUES ({', '.join(row.values())})")

    with pytest.raises(Exception, match=constraint):
        insert(GOOD | wrong)
    insert(GOOD)
    execute(url, "DELETE FROM task WHERE user_id = 'ada'")
