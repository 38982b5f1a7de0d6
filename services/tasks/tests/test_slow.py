import asyncio
import logging
import re
from collections.abc import Callable

import pytest

from todo_tasks.categories import statements as categories
from todo_tasks.database import Database
from todo_tasks.settings import TasksSettings
from todo_tasks.slow import report, summary
from todo_tasks.tasks import statements, stats, trash


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (statements.read().text, "SELECT task SELECT category"),
        (statements.create("none", False).text, "INSERT task SELECT category"),
        (statements.change(frozenset({"title"}), False, False).text, "UPDATE task SELECT category"),
        (trash.delete_old().text, "SELECT task DELETE task"),
        (categories.read().text, "SELECT task SELECT category"),
        ("SELECT 'INSERT INTO a'", "SELECT"),
    ],
)
def test_a_statement_is_called_by_its_operations_and_tables(text: str, expected: str) -> None:
    assert summary(text) == expected


def test_only_what_takes_long_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    report("SELECT 1", 0.499, 0.5)
    report("SELECT 1", 0.5, 0.5)
    assert caplog.messages == ["slow statement: SELECT (500 ms)"]


async def test_slow_statements_are_logged_on_both_ways_without_values(
    url: str, settings_of: Callable[..., TasksSettings], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    given = settings_of(url, slow_query_ms=1)
    database = Database(given)
    database._slow_s = 0.0  # every statement is slow
    await database.open()
    await database.read(stats.stats(), {"user_id": "hunter2", "now": None})

    def session() -> None:
        with database.sessions() as session:
            session.connection().exec_driver_sql("SELECT pg_sleep(0.02), %s", ("hunter2",))

    await asyncio.to_thread(session)
    await database.close()
    assert re.search(r"slow statement: SELECT task SELECT category \(\d+ ms\)", caplog.text)
    assert re.search(r"slow statement: SELECT \(\d\d+ ms\)", caplog.text)
    assert "hunter2" not in caplog.text
