"""Which index each list reads, on rows of many users."""

import re
from collections.abc import Callable

import psycopg2
import pytest

from todo_tasks import schema
from todo_tasks.categories import statements as categories
from todo_tasks.engine import make_engine
from todo_tasks.idempotency import statements as idempotency
from todo_tasks.statement import Statement
from todo_tasks.tasks import lists, trash
from todo_tasks.tasks import statements as tasks
from todo_tasks.tasks.lists import Shape

CATEGORY_ID = "md5('u7 9')::uuid"
PAGE = {"user_id": "'u7'", "limit": "'21'", "offset": "'0'"}

FILL = """
INSERT INTO category
SELECT 'u' || u, md5('u' || u || ' ' || c)::uuid, c, c, NULL, '2030-01-01Z', '2030-01-01Z'
FROM generate_series(1, 20) u, generate_series(1, 20) c;

INSERT INTO task (
    user_id, id, title, description, status, completed_at, priority, category_id, tags,
    due_date, due_at, position, version, created_at, updated_at, deleted_at
)
SELECT 'u' || u, gen_random_uuid(), 'title', NULL, 'pending', NULL, 'low',
    md5('u' || u || ' ' || 1 + t % 20)::uuid, '{}',
    '2030-01-01', timestamptz '2030-01-01Z' + t * interval '1 hour', t, 1,
    timestamptz '2030-01-01Z' + t * interval '1 second', '2030-01-01Z', NULL
FROM generate_series(1, 20) u, generate_series(1, 500) t;

INSERT INTO idempotency_key
SELECT 'u' || u, 'k' || n, '', gen_random_uuid(), 1, '{}', timestamptz '2030-01-01Z' + n * interval '1 second'
FROM generate_series(1, 20) u, generate_series(1, 500) n;
"""


@pytest.fixture
def explain(empty_url: str, execute: Callable[..., list[tuple[object, ...]]]) -> Callable[..., str]:
    """EXPLAIN of a statement with its values written in; 20 users have 500 tasks each, in 20 categories."""
    engine = make_engine(empty_url, 5)
    schema.upgrade(engine)
    engine.dispose()
    execute(empty_url, FILL)
    connection = psycopg2.connect(empty_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE task, category, idempotency_key")
    connection.close()

    def plan(statement: Statement, **values: str) -> str:
        text = statement.text
        for number, name in reversed(list(enumerate(statement.parameters, start=1))):
            text = text.replace(f"${number}::", f"{values[name]}::")
        return "\n".join(str(line) for (line,) in execute(empty_url, f"EXPLAIN {text}"))

    return plan


@pytest.mark.parametrize(
    ("shape", "index"),
    [
        (Shape(), "ix_task_user_id_created_at_id"),
        (Shape(descending=False), "ix_task_user_id_created_at_id"),
        (Shape(sort="due_date", descending=False), "ix_task_user_id_due_at_id"),
        (Shape(frozenset({"due_before"}), "due_date", False), "ix_task_user_id_due_at_id"),
    ],
)
def test_a_list_reads_its_index_in_order(explain: Callable[..., str], shape: Shape, index: str) -> None:
    plan = explain(lists.list_(shape), **PAGE, due_before="'2030-01-09'")
    assert index in plan
    assert "Sort" not in plan


def test_a_page_goes_on_from_its_place_in_the_index(explain: Callable[..., str]) -> None:
    values = PAGE | {"after_value": "'2030-01-01Z'", "after_id": CATEGORY_ID}
    condition = re.search(r"Index Cond: .*", explain(lists.list_(Shape(continues="from_value")), **values))
    assert condition and "ROW(created_at, id) <" in condition[0].replace("task.", "")


def test_the_tasks_of_a_category_have_an_index(explain: Callable[..., str]) -> None:
    index = "ix_task_user_id_category_id"
    assert index in explain(categories.read(), user_id="'u7'", id=CATEGORY_ID)
    by_category = Shape(frozenset({"category_id"}), sort="title")
    assert index in explain(lists.list_(by_category), **PAGE, category_id=CATEGORY_ID)


def test_a_search_reads_the_users_tasks_only(explain: Callable[..., str]) -> None:
    plan = explain(lists.list_(Shape(frozenset({"words"}))), **PAGE, words="'{%milk%}'")
    assert re.search(r"Index Cond: \(\(?user_id\)?", plan.replace("task.", "")), plan
    assert "Seq Scan on task" not in plan


def test_the_trash_and_its_purge_have_an_index(explain: Callable[..., str]) -> None:
    index = "ix_task_user_id_deleted_at"
    assert index in explain(lists.list_(Shape(deleted=True)), **PAGE)
    assert index in explain(trash.delete_old(), user_id="'u7'", before="'2030-01-01Z'", limit="'500'")
    assert index in explain(trash.users_with_old(), after_user="''", before="'2030-01-01Z'", limit="'100'")


def test_a_kept_answer_is_found_by_its_key_and_purged_by_its_age(explain: Callable[..., str]) -> None:
    assert "pk_idempotency_key" in explain(idempotency.find(), user_id="'u7'", idempotency_key="'k'")
    plan = explain(idempotency.delete_old(), user_id="'u7'", before="'2030-01-01Z'", limit="'500'")
    assert "ix_idempotency_key_user_id_created_at" in plan


def test_one_task_is_read_by_its_key(explain: Callable[..., str]) -> None:
    for statement in (tasks.read(), trash.delete(False), tasks.change(frozenset({"toggled"}), False, False)):
        plan = explain(statement, user_id="'u7'", id=CATEGORY_ID, updated_at="'2030-01-01Z'")
        assert "Index Scan using pk_task" in plan
        assert "Seq Scan" not in plan.replace("Seq Scan on category", "")
