"""The rows, in the product's own tables and in the peers', on a real PostgreSQL.

Task: T-032 · Spec: plan.md#yardstick
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from todo_bench import data
from todo_bench.builds import make_peer_tables
from todo_bench.data import Layout
from todo_stack.postgres import temporary


@pytest.fixture(scope="module")
def product() -> Iterator[str]:
    """A database with the product's schema, and 10 users in it."""
    with temporary() as url:
        data.add_users(url, 10)
        data.add_users(url, 10)
        command = [sys.executable, "-m", "todo_tasks", "migrate"]
        subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, check=True, capture_output=True)
        yield url


@pytest.fixture(scope="module")
def peer() -> Iterator[str]:
    """A database with the peers' schema."""
    with temporary() as url:
        make_peer_tables(url)
        yield url


@pytest.mark.parametrize("layout", ["product", "peer"])
def test_every_build_has_the_same_rows(layout: Layout, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(layout)
    data.fill(url, layout, 1000)
    rows = select(url, "SELECT id::text, user_id FROM task ORDER BY created_at")
    assert len(rows) == 1000
    # The first user's oldest task, then the second one's; at the end the last one's newest.
    assert rows[0] == (str(data.task_id(1, 0)), data.user_id(1))
    assert rows[1] == (str(data.task_id(2, 0)), data.user_id(2))
    assert rows[-1] == (str(data.task_id(10, 99)), data.user_id(10))
    categories = select(url, "SELECT DISTINCT name FROM task JOIN category ON category.id = category_id")
    assert len(categories) == data.CATEGORIES_PER_USER
    assert select(url, "SELECT count(*) FROM task WHERE completed_at IS NOT NULL") == [(340,)]


@pytest.mark.parametrize("layout", ["product", "peer"])
def test_filling_puts_the_rows_back(layout: Layout, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(layout)
    data.fill(url, layout, 200)
    select(url, "DELETE FROM task WHERE version = 1 RETURNING id")
    data.fill(url, layout, 300)
    assert select(url, "SELECT count(*), count(DISTINCT user_id) FROM task") == [(300, 3)]


def select(url: str, statement: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url)) as database, database, database.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()
