"""Which index each statement reads, on rows of many users: 100,000 tasks, or as many as `PLAN_TASKS` says.

Task: T-062 · Spec: plan.md#distributed
"""

import itertools
import os
import re
import secrets
from collections.abc import Iterator

import psycopg2
import pytest

from todo_stack.databases import create_database, drop_database
from todo_tasks import schema
from todo_tasks.categories import statements as categories
from todo_tasks.engine import make_engine
from todo_tasks.idempotency import statements as idempotency
from todo_tasks.statement import Statement
from todo_tasks.tasks import lists, trash
from todo_tasks.tasks import statements as tasks
from todo_tasks.tasks.lists import Continues, Shape
from todo_tasks.tasks.sorting import SORTS

TASKS = int(os.environ.get("PLAN_TASKS", "100000"))
TASKS_OF_A_USER = 100
FEW_USERS = 100

CATEGORY_ID = "md5('u7 9')::uuid"
PAGE = {"user_id": "'u7'", "limit": "'21'", "offset": "'0'"}
FILTERED = {
    "status": "'pending'",
    "completed_by_status": "'f'",
    "completed": "'f'",
    "priority": "'low'",
    "category_key": "'9'",
    "category_id": CATEGORY_ID,
    "tag": "'red'",
    "due_before": "'2030-01-09'",
    "due_after": "'2030-01-02'",
    "words": "'{%milk%}'",
}
AFTER = dict.fromkeys(("created_at", "updated_at", "due_date", "completed_at"), "'2030-01-01Z'") | {
    "priority": "'low'",
    "status": "'pending'",
    "title": "'m'",
    "position": "'7'",
}
"""For each order, the value of the row that a page goes on after."""

FILL = """
INSERT INTO category
SELECT 'u' || u, md5('u' || u || ' ' || c)::uuid, c, c, NULL, '2030-01-01Z', '2030-01-01Z'
FROM generate_series(1, %(users)s) u, generate_series(1, 20) c;

-- The users take turns, so that nobody's rows lie side by side. One of ten is in the trash, half are done.
INSERT INTO task (
    user_id, id, title, description, status, completed_at, priority, category_id, tags,
    due_date, due_at, position, version, created_at, updated_at, deleted_at
)
SELECT 'u' || u, gen_random_uuid(), 'title ' || t, NULL,
    CASE t %% 2 WHEN 0 THEN 'pending' ELSE 'completed' END,
    CASE t %% 2 WHEN 1 THEN timestamptz '2030-01-01Z' END,
    'low', md5('u' || u || ' ' || 1 + t %% 20)::uuid, '{}',
    '2030-01-01', timestamptz '2030-01-01Z' + t * interval '1 hour', t, 1,
    timestamptz '2030-01-01Z' + t * interval '1 second', '2030-01-01Z',
    CASE t %% 10 WHEN 0 THEN timestamptz '2029-01-01Z' + t * interval '1 second' END
FROM generate_series(1, %(tasks)s) t, generate_series(1, %(users)s) u;

INSERT INTO idempotency_key
SELECT 'u' || u, 'k' || n, '', gen_random_uuid(), 1, '{}', timestamptz '2030-01-01Z' + n * interval '1 second'
FROM generate_series(1, 20) u, generate_series(1, 500) n;
"""


class Rows:
    """A database of `users`, each with 100 tasks in 20 categories; EXPLAIN of statements on it."""

    def __init__(self, url: str, users: int) -> None:
        engine = make_engine(url, 5)
        schema.upgrade(engine)
        engine.dispose()
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute(FILL, {"users": users, "tasks": TASKS_OF_A_USER})
            cursor.execute("VACUUM ANALYZE task, category, idempotency_key")

    def close(self) -> None:
        self._connection.close()

    def plan(self, statement: Statement, **values: str) -> str:
        """How a statement is carried out with these values, which are written in."""
        return self._explain("EXPLAIN", self._written(statement, values))

    def lasting_plan(self, statement: Statement) -> str:
        """The plan that does not depend on the values: what a connection keeps of a prepared statement."""
        return self._explain("EXPLAIN (GENERIC_PLAN)", statement.text)

    def pages_read(self, statement: Statement, **values: str) -> int:
        """How many pages of tables and indexes a statement reads."""
        with self._connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {self._written(statement, values)}")
            (((explained,),),) = cursor.fetchall()
        read: int = explained["Plan"]["Shared Hit Blocks"] + explained["Plan"]["Shared Read Blocks"]
        return read

    def _written(self, statement: Statement, values: dict[str, str]) -> str:
        text = statement.text
        for number, name in reversed(list(enumerate(statement.parameters, start=1))):
            text = text.replace(f"${number}::", f"{values[name]}::")
        return text

    def _explain(self, explain: str, text: str) -> str:
        with self._connection.cursor() as cursor:
            cursor.execute(f"{explain} {text}")
            return "\n".join(str(line) for (line,) in cursor.fetchall())


def filled(server_url: str, users: int) -> Iterator[Rows]:
    name = f"todo_test_{secrets.token_hex(6)}"
    rows = Rows(create_database(server_url, name), users)
    yield rows
    rows.close()
    drop_database(server_url, name)


@pytest.fixture(scope="module")
def rows(server_url: str) -> Iterator[Rows]:
    yield from filled(server_url, TASKS // TASKS_OF_A_USER)


@pytest.fixture(scope="module")
def few_rows(server_url: str) -> Iterator[Rows]:
    yield from filled(server_url, FEW_USERS)


def every_list() -> Iterator[Shape]:
    """Each order, both ways, from its beginning and from a row on, counted or not, without a filter and with
    all of them; and each order with each filter.
    """
    places: list[Continues | None] = [None, "from_value", "from_null"]
    none, every = frozenset[lists.Filter](), frozenset(lists.FILTERS)
    for sort, place in itertools.product(SORTS, places):
        if place == "from_null" and not SORTS[sort].nullable:
            continue
        for chosen, descending, counted in itertools.product((none, every), (False, True), (False, True)):
            yield Shape(chosen, sort, descending, place, counted)
        for name in lists.FILTERS:
            yield Shape(frozenset({name}), sort, SORTS[sort].descending, place)
        yield Shape(sort=sort, descending=SORTS[sort].descending, continues=place, deleted=True)


def values_of(shape: Shape) -> dict[str, str]:
    return PAGE | FILTERED | {"after_value": AFTER[shape.sort], "after_id": CATEGORY_ID}


def intended(shape: Shape) -> set[str]:
    """The indexes that a list may read tasks through: all begin with the user, and hold what it asks for."""
    if shape.deleted:
        return {"ix_task_user_id_deleted_at"}
    indexes = {"ix_task_user_id_created_at_id", "ix_task_user_id_due_at_id"}
    if shape.filters & {"category_id", "category_key"}:
        indexes.add("ix_task_user_id_category_id")
    if shape.continues == "from_null":  # from an id on, among the rows without a value
        indexes.add("pk_task")
    return indexes


def is_as_intended(plan: str, shape: Shape) -> bool:
    used = set(re.findall(r"(?:using|Bitmap Index Scan on) ((?:ix|pk)_task\w*)", plan))
    conditions = re.findall(r"(?:using|Bitmap Index Scan on) (?:ix|pk)_task.*\n *(.*)", plan)
    by_user = all(re.match(r"Index Cond: \(+(?:task\.)?user_id = ", line) for line in conditions)
    return bool(used) and used <= intended(shape) and by_user and "Seq Scan on task" not in plan


def test_every_list_reads_its_index(rows: Rows) -> None:
    """`nox -s plans` has a million tasks."""
    seen = 0
    for shape in every_list():
        statement = lists.list_(shape)
        for plan in (rows.plan(statement, **values_of(shape)), rows.lasting_plan(statement)):
            assert is_as_intended(plan, shape), f"{shape}\n{plan}"
            seen += 1
    assert seen > 500


def test_what_a_list_reads_does_not_grow_with_the_table(rows: Rows, few_rows: Rows) -> None:
    for shape in every_list():
        statement, values = lists.list_(shape), values_of(shape)
        few, many = few_rows.pages_read(statement, **values), rows.pages_read(statement, **values)
        # Indexes are a level deeper, and categories may be looked up row by row.
        assert many <= 2 * few + 32, f"{few} pages became {many}: {shape}"


def test_a_list_without_an_index_would_be_noticed(rows: Rows, few_rows: Rows) -> None:
    whole = Statement("SELECT id FROM task ORDER BY title LIMIT 21", (), "")
    assert not is_as_intended(rows.plan(whole), Shape(sort="title"))
    others = Statement("SELECT id FROM task WHERE created_at > '2030-01-01Z' ORDER BY created_at", (), "")
    assert not is_as_intended(rows.plan(others), Shape())
    assert rows.pages_read(whole) > 2 * few_rows.pages_read(whole) + 32


@pytest.mark.parametrize(
    ("shape", "index"),
    [
        (Shape(), "ix_task_user_id_created_at_id"),
        (Shape(descending=False), "ix_task_user_id_created_at_id"),
        (Shape(sort="due_date", descending=False), "ix_task_user_id_due_at_id"),
        (Shape(frozenset({"due_before"}), "due_date", False), "ix_task_user_id_due_at_id"),
    ],
)
def test_a_list_reads_its_index_in_order(rows: Rows, shape: Shape, index: str) -> None:
    plan = rows.plan(lists.list_(shape), **PAGE, due_before="'2030-01-09'")
    assert index in plan
    assert "Sort" not in plan


def test_a_page_goes_on_from_its_place_in_the_index(rows: Rows) -> None:
    values = PAGE | {"after_value": "'2030-01-01Z'", "after_id": CATEGORY_ID}
    condition = re.search(r"Index Cond: .*", rows.plan(lists.list_(Shape(continues="from_value")), **values))
    assert condition and "ROW(created_at, id) <" in condition[0].replace("task.", "")


def test_the_tasks_of_a_category_have_an_index(rows: Rows) -> None:
    index = "ix_task_user_id_category_id"
    assert index in rows.plan(categories.read(), user_id="'u7'", id=CATEGORY_ID)
    by_category = Shape(frozenset({"category_id"}), sort="title")
    assert index in rows.plan(lists.list_(by_category), **PAGE, category_id=CATEGORY_ID)


def test_a_search_reads_the_users_tasks_only(rows: Rows) -> None:
    plan = rows.plan(lists.list_(Shape(frozenset({"words"}))), **PAGE, words="'{%milk%}'")
    assert re.search(r"Index Cond: \(\(?user_id\)?", plan.replace("task.", "")), plan
    assert "Seq Scan on task" not in plan


def test_the_trash_and_its_purge_have_an_index(rows: Rows) -> None:
    index = "ix_task_user_id_deleted_at"
    assert index in rows.plan(lists.list_(Shape(deleted=True)), **PAGE)
    assert index in rows.plan(trash.delete_old(), user_id="'u7'", before="'2030-01-01Z'", limit="'500'")
    assert index in rows.plan(trash.users_with_old(), after_user="''", before="'2030-01-01Z'", limit="'100'")


def test_a_kept_answer_is_found_by_its_key_and_purged_by_its_age(rows: Rows) -> None:
    assert "pk_idempotency_key" in rows.plan(idempotency.find(), user_id="'u7'", idempotency_key="'k'")
    plan = rows.plan(idempotency.delete_old(), user_id="'u7'", before="'2030-01-01Z'", limit="'500'")
    assert "ix_idempotency_key_user_id_created_at" in plan


def test_one_task_is_read_by_its_key(rows: Rows) -> None:
    for statement in (tasks.read(), trash.delete(False), tasks.change(frozenset({"toggled"}), False, False)):
        plan = rows.plan(statement, user_id="'u7'", id=CATEGORY_ID, updated_at="'2030-01-01Z'")
        assert "Index Scan using pk_task" in plan
        assert "Seq Scan" not in plan.replace("Seq Scan on category", "")
