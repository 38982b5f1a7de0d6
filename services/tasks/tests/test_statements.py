"""What holds for every statement and every key, so that rows can be distributed by user."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator

import psycopg2
import pytest

from todo_tasks.categories import statements as categories
from todo_tasks.statement import Statement
from todo_tasks.idempotency import statements as idempotency
from todo_tasks.tasks import lists, stats, trash
from todo_tasks.tasks import statements as tasks
from todo_tasks.tasks.sorting import SORTS
from todo_tasks.tasks.lists import Continues, Shape

Execute = Callable[..., list[tuple[object, ...]]]

TABLES = ["task", "category", "idempotency_key"]


def is_cluster(url: str, execute: Execute) -> bool:
    """Whether the tables are distributed: the tests are run so, too (`nox -s distributed`)."""
    return execute(url, "SELECT count(*) FROM pg_extension WHERE extname = 'citus'") == [(1,)]


def every_statement() -> Iterator[Statement]:
    yield tasks.read()
    yield stats.stats()
    yield idempotency.find()
    yield idempotency.delete_old()
    yield trash.delete_old()
    for flag in (False, True):
        yield trash.delete(flag)
        yield trash.restore(flag)
        yield categories.create(flag)
    for source in ("none", "id", "name"):
        yield tasks.create(source, kept=False)
        yield tasks.create(source, kept=True)
    changes = ["title", "due_date", "status", "completed", "category_id", "category_name", "tags"]
    for count in range(1, len(changes) + 1):
        for chosen in itertools.combinations(changes, count):
            yield tasks.change(frozenset(chosen), conditional=count % 2 == 0, kept=count % 3 == 0)
    yield tasks.change(frozenset({"toggled"}), conditional=True, kept=True)
    yield tasks.change(frozenset({"category_cleared", "category_id"}), conditional=False, kept=False)
    filters = frozenset(lists.FILTERS)
    places: list[Continues | None] = [None, "from_value", "from_null"]
    for sort, descending, place, counted in itertools.product(SORTS, (False, True), places, (False, True)):
        for deleted in (False, True):
            yield lists.list_(Shape(filters, sort, descending, place, counted, deleted))
    for name in lists.FILTERS:
        yield lists.list_(Shape(frozenset({name})))
    yield categories.read()
    for continues, counted in itertools.product((False, True), (False, True)):
        yield categories.list_(continues, counted)


def names_the_user(statement: Statement) -> bool:
    """Whether a statement says whose rows it means, for every table that it reads or writes."""
    text = statement.text
    # The user's parameter, or a join on a column that is bound to it.
    user = f"${statement.parameters.index('user_id') + 1}::VARCHAR"
    named = re.findall(rf"(\w+)\.user_id = (?:{re.escape(user)}|\w+\.user_id)", text)
    used = Counter(re.findall(r"(?:FROM|JOIN|UPDATE) (task|category|idempotency_key)\b", text))
    inserted = re.findall(r"INSERT INTO \w+ \(user_id[^)]*\) (?:VALUES \(|SELECT )(\S+?),? ", text)
    return used <= Counter(named) and set(inserted) <= {user}


def is_made_by_the_service(statement: Statement) -> bool:
    """Whether times and ids are parameters, and rows are inserted without asking for others in VALUES."""
    text = statement.text.lower()
    made_by_sql = r"\b(now|clock_timestamp|current_timestamp|gen_random_uuid|uuidv7|random)\b"
    return not re.search(made_by_sql, text) and not re.search(r"values \([^)]*\bselect\b", text)


def test_every_statement_names_the_user_for_every_table_it_reads_or_writes() -> None:
    assert [statement.text for statement in every_statement() if not names_the_user(statement)] == []


def test_no_statement_makes_times_or_ids_or_needs_one_node() -> None:
    assert [statement.text for statement in every_statement() if not is_made_by_the_service(statement)] == []


REFUSED_STATEMENTS = {
    "a join across users": (
        "SELECT task.id FROM task JOIN category ON category.id = task.category_id "
        "WHERE task.user_id = $1::VARCHAR"
    ),
    "a join of two users": (
        "SELECT task.id FROM task JOIN category ON category.name = task.title "
        "WHERE task.user_id = $1::VARCHAR AND category.user_id = 'another'"
    ),
    "rows of every user held": "SELECT task.id FROM task FOR UPDATE",
    "another user's row inserted": (
        "INSERT INTO idempotency_key (user_id, key, fingerprint, answer_id, answer, created_at) "
        "VALUES ((SELECT 'another'), 'k', '', '01a20e5d-d6bc-7550-8af4-da3e8cca6a93', '', '2030-01-01Z')"
    ),
    "a row that asks for others": (
        "INSERT INTO idempotency_key (user_id, key, fingerprint, answer_id, answer, created_at) "
        "VALUES ($1::VARCHAR, 'k', '', '01a20e5d-d6bc-7550-8af4-da3e8cca6a93', "
        "(SELECT title FROM task WHERE task.user_id = $1::VARCHAR), '2030-01-01Z')"
    ),
    "a time made where the row is": (
        "UPDATE task SET updated_at = coalesce(task.completed_at, now()) WHERE task.user_id = $1::VARCHAR"
    ),
}


@pytest.mark.parametrize("text", REFUSED_STATEMENTS.values(), ids=REFUSED_STATEMENTS)
def test_a_statement_that_a_cluster_refuses_is_refused_here(url: str, execute: Execute, text: str) -> None:
    statement = Statement(text, ("user_id",), "")
    assert not (names_the_user(statement) and is_made_by_the_service(statement))
    if is_cluster(url, execute):
        with pytest.raises(psycopg2.Error, match="distributed|repartition|subqueries|IMMUTABLE"):
            execute(url, text.replace("$1::VARCHAR", "'ada'"))


def test_a_constant_is_written_into_the_text_and_a_value_is_not() -> None:
    statement = tasks.change(frozenset({"toggled"}), conditional=False, kept=False)
    assert "'completed'" in statement.text
    assert sorted(statement.parameters) == ["id", "updated_at", "user_id"]
    assert statement.arguments({"id": 1, "updated_at": 2, "user_id": 3, "more": 4}) == [
        {"id": 1, "updated_at": 2, "user_id": 3}[name] for name in statement.parameters
    ]


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        tasks.read().arguments({"id": 1})


def test_a_shape_is_compiled_once() -> None:
    assert lists.list_(Shape(frozenset({"tag"}))) is lists.list_(Shape(frozenset({"tag"})))


LEADING = (
    "SELECT i.indexrelid::regclass::text, a.attname FROM pg_index i "
    "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
    "WHERE i.indrelid = ANY(%s::regclass[])"
)
FOREIGN = (
    "SELECT c.conname, a.attname, b.attname FROM pg_constraint c "
    "JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] "
    "JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1] "
    "WHERE c.contype = 'f' AND c.conrelid = ANY(%s::regclass[])"
)
DEFAULTS = "SELECT adrelid::regclass::text FROM pg_attrdef WHERE adrelid = ANY(%s::regclass[])"


def test_the_user_leads_every_key_and_index(url: str, execute: Execute) -> None:
    indexes = execute(url, LEADING, TABLES)
    assert len(indexes) == 9
    assert {leading for _, leading in indexes} == {"user_id"}
    assert execute(url, FOREIGN, TABLES) == [("fk_task_category", "user_id", "user_id")]


def test_no_column_has_a_default(url: str, execute: Execute) -> None:
    assert execute(url, DEFAULTS, TABLES) == []


REFUSED_KEYS = [
    "CREATE UNIQUE INDEX ON category (name_key)",
    "ALTER TABLE category ADD UNIQUE (name_key)",
    "ALTER TABLE task ADD EXCLUDE (title WITH =)",
    "ALTER TABLE task ADD COLUMN number bigserial",
]


@pytest.mark.parametrize("text", REFUSED_KEYS)
def test_a_key_that_a_cluster_refuses_is_refused_here(url: str, text: str) -> None:
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_extension WHERE extname = 'citus'")
        if cursor.fetchone() == (1,):
            with pytest.raises(psycopg2.errors.FeatureNotSupported):
                cursor.execute(text)
        else:
            cursor.execute("TRUNCATE task, category")  # what other tests left would refuse a key, too
            cursor.execute(text)
            cursor.execute(LEADING, [TABLES])
            leading = {column for _, column in cursor.fetchall()}
            cursor.execute(DEFAULTS, [TABLES])
            assert leading != {"user_id"} or cursor.fetchall()
    connection.rollback()
    connection.close()
