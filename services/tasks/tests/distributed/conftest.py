"""A real cluster, the one at `DISTRIBUTED_URL`, instead of one server. What the tests make there is in
schemas of their own, and dropped again.

The tests of the files that contract.txt names run here once more, each as it stands: they take their `url`
from the folder that they are collected in.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg2
import pytest

from todo_tasks.settings import TasksSettings

SECRET = "a-secret-of-the-tests-long-enough-for-HS256"
TESTS = Path(__file__).parent.parent
MIGRATE = [sys.executable, "-m", "todo_tasks", "migrate", "--distribute"]


MANY_TASKS = """
INSERT INTO task (user_id, id, title, status, priority, tags, position, version, created_at, updated_at)
SELECT 'user ' || n % 200, gen_random_uuid(), 'x', 'pending', 'low', '{}', 0, 1, moment, moment
FROM generate_series(1, 20000) n,
    LATERAL (SELECT timestamptz '2030-01-01Z' + n * interval '1 minute' AS moment) moments;
ANALYZE task;
"""


class Contract(pytest.File):
    """The tests of the files that a file names, a line each."""

    def collect(self) -> Iterator[pytest.Module]:
        for name in self.path.read_text().split():
            yield pytest.Module.from_parent(self, path=TESTS / name)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.File | None:
    if file_path.name == "contract.txt" and os.environ.get("DISTRIBUTED_URL"):
        return Contract.from_parent(parent, path=file_path)
    return None


NOT_THERE = {
    "test_while_the_first_is_under_way_a_repetition_is_409": (
        "Citus does not take a transaction's lock_timeout to the node where the lock is: it waits, and is 503"
    ),
}
"""What cannot hold on a cluster, and why."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.name in NOT_THERE and any(isinstance(parent, Contract) for parent in item.iter_parents()):
            item.add_marker(pytest.mark.skip(NOT_THERE[item.name]))


def migrate(url: str) -> subprocess.CompletedProcess[str]:
    """What an operator runs."""
    environment = os.environ | {"DATABASE_URL": url, "DATABASE_DIRECT_URL": url}
    return subprocess.run(MIGRATE, env=environment, capture_output=True, text=True, timeout=100)


@contextmanager
def own_schema(cluster_url: str) -> Iterator[str]:
    """The URL of a schema that nothing is in, on which everything then happens."""
    name = f"todo_test_{secrets.token_hex(6)}"
    connection = psycopg2.connect(cluster_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {name}")
        parts = urlsplit(cluster_url)
        words = dict(parse_qsl(parts.query))
        words["options"] = f"{words.get('options', '')} -c search_path={name}".strip()
        yield parts._replace(query=urlencode(words, quote_via=quote)).geturl()
        cursor.execute(f"DROP SCHEMA {name} CASCADE")
    connection.close()


@contextmanager
def distributed_schema(cluster_url: str) -> Iterator[str]:
    """The same, with the tables, distributed by user."""
    with own_schema(cluster_url) as url:
        migrated = migrate(url)
        assert migrated.returncode == 0, migrated.stderr
        yield url


@pytest.fixture(scope="session")
def cluster_url() -> str:
    url = os.environ.get("DISTRIBUTED_URL")
    if not url:
        pytest.skip("no cluster is there (DISTRIBUTED_URL)")
    return url


@pytest.fixture(scope="session")
def url(cluster_url: str) -> Iterator[str]:
    """The tables, distributed by user, without a table of users."""
    with distributed_schema(cluster_url) as url:
        yield url


@pytest.fixture(scope="session")
def filled_url(cluster_url: str) -> Iterator[str]:
    """Tables with so many tasks that a shard's index is worth its while."""
    with distributed_schema(cluster_url) as url:
        with psycopg2.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute(MANY_TASKS)
        connection.close()
        yield url


@pytest.fixture
def empty_url(cluster_url: str) -> Iterator[str]:
    with own_schema(cluster_url) as url:
        yield url


@pytest.fixture
def settings_of() -> Callable[..., TasksSettings]:
    """As for all tests; many requests at once wait longer: a write takes several steps between nodes."""

    def make(url: str, **more: object) -> TasksSettings:
        given = {"database_url": url, "identity_secret": (SECRET,), "database_connect_timeout_s": 60}
        return TasksSettings.model_validate(given | more)

    return make


@pytest.fixture
def a_lock_is_awaited(execute: Callable[..., list[tuple[object, ...]]]) -> Callable[[str], bool]:
    """As for all tests; the lock is on a node."""
    return lambda url: execute(url, "SELECT 1 FROM citus_lock_waits") != []


@pytest.fixture
def distribute() -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs `todo-tasks migrate --distribute` on a URL."""
    return migrate
