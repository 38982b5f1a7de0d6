"""What holds for every statement and every key, so that rows can be distributed by user."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from todo_tasks.categories import statements as categories
from todo_tasks.statement import Statement
from todo_tasks.idempotency import statements as idempotency
from todo_tasks.tasks import lists, stats, trash
from todo_tasks.tasks import statements as tasks
from todo_tasks.tasks.sorting import SORTS
from todo_tasks.tasks.lists import Continues, Shape


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


def test_every_statement_names_the_user_for_every_table_it_reads_or_writes() -> None:
    for statement in every_statement():
        text = statement.text
        # The user's parameter, or a join on a column that is bound to it.
        user = f"${statement.parameters.index('user_id') + 1}::VARCHAR"
        named = re.findall(rf"(\w+)\.user_id = (?:{re.escape(user)}|\w+\.user_id)", text)
        used = Counter(re.findall(r"(?:FROM|JOIN|UPDATE) (task|category|idempotency_key)\b", text))
        assert used <= Counter(named), text
        for inserted in re.findall(r"INSERT INTO \w+ \(user_id[^)]*\) (?:VALUES \(|SELECT )(\S+?),? ", text):
            assert inserted == user, text


def test_no_statement_makes_times_or_ids_or_needs_one_node() -> None:
    for statement in every_statement():
        text = statement.text.lower()
        assert not re.search(
            r"\b(now|clock_timestamp|current_timestamp|gen_random_uuid|uuidv7|random)\b", text
        )
        assert not re.search(r"values \([^)]*\bselect\b", text)


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


TABLES = ["task", "category", "idempotency_key"]

Execute = Callable[..., list[tuple[object, ...]]]


def test_the_user_leads_every_key_and_index(url: str, execute: Execute) -> None:
    indexes = execute(
        url,
        "SELECT i.indexrelid::regclass::text, a.attname FROM pg_index i "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
        "WHERE i.indrelid = ANY(%s::regclass[])",
        TABLES,
    )
    assert len(indexes) == 9
    assert {leading for _, leading in indexes} == {"user_id"}
    foreign = execute(
        url,
        "SELECT c.conname, a.attname, b.attname FROM pg_constraint c "
        "JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] "
        "JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1] "
        "WHERE c.contype = 'f' AND c.conrelid = ANY(%s::regclass[])",
        TABLES,
    )
    assert foreign == [("fk_task_category", "user_id", "user_id")]
