"""The embedded server: data that survives, a password that is asked for, and nothing left running."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg2
import pytest
from todo_stack.databases import drop_database, has_table, require_answer
from todo_stack.errors import StackError
from todo_stack.postgres import Postgres, temporary


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run one statement in a transaction of its own."""
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One server for the tests that do not stop it."""
    with TemporaryDirectory() as directory, Postgres(Path(directory), durable=False) as running:
        yield running


def test_data_is_there_after_a_restart(tmp_path: Path) -> None:
    with Postgres(tmp_path / "data") as first:
        query(first.create_database("todo"), "CREATE TABLE kept AS SELECT 7 AS value")
    with Postgres(tmp_path / "data") as second:
        assert query(second.create_database("todo"), "SELECT value FROM kept") == [(7,)]


def test_data_is_there_after_the_server_was_killed(
    tmp_path: Path, eventually: Callable[[Callable[[], bool]], bool]
) -> None:
    with Postgres(tmp_path / "data") as first:
        query(first.create_database("todo"), "CREATE TABLE kept AS SELECT 7 AS value")
        (pid,) = query(first.url, "SELECT pg_read_file('postmaster.pid', 0, 20)")[0]
        postmaster = psutil.Process(int(str(pid).split()[0]))
        family = [postmaster, *postmaster.children(recursive=True)]
        postmaster.kill()
        assert eventually(lambda: not any(map(alive, family)))
    with Postgres(tmp_path / "data") as second:
        assert query(second.create_database("todo"), "SELECT value FROM kept") == [(7,)]


def test_nothing_is_left_running(tmp_path: Path) -> None:
    others = set(psutil.Process().children(recursive=True))  # of fixtures that live longer
    with Postgres(tmp_path / "data", durable=False):
        family = set(psutil.Process().children(recursive=True)) - others
        assert any(process.name() == "postgres" for process in family)
    assert not any(map(alive, family))


def test_a_cluster_that_was_made_halfway_is_made_again(tmp_path: Path) -> None:
    unfinished = tmp_path / "data" / "cluster.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with Postgres(tmp_path / "data", durable=False) as server:
        assert server.is_ready()


def test_a_cluster_of_another_version_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with Postgres(tmp_path / "data", durable=False):
        pass
    (tmp_path / "data" / "cluster" / "PG_VERSION").write_text("16\n")
    with pytest.raises(StackError, match="made by PostgreSQL 16 and this is 18"):
        Postgres(tmp_path / "data").__enter__()


def test_a_connection_without_the_password_is_refused(server: Postgres) -> None:
    without = server.url.replace(server.url.split(":")[2].split("@")[0], "")
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(without).close()


def test_the_password_is_readable_by_nobody_else(server: Postgres) -> None:
    assert stat.S_IMODE((server.data_dir / "password").stat().st_mode) == 0o600


def test_upper_and_lower_case_are_unicodes(server: Postgres) -> None:
    assert query(server.url, "SELECT lower('ÄŠÉ'), upper('ñж')") == [("äšé", "ÑЖ")]


def test_making_a_database_twice_keeps_what_is_in_it(server: Postgres) -> None:
    url = server.create_database('odd "name"')
    query(url, 'CREATE TABLE "user" (id text)')
    assert server.create_database('odd "name"') == url
    assert has_table(url, '"user"') and not has_table(server.url, '"user"')
    drop_database(server.url, 'odd "name"')
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        psycopg2.connect(url).close()


def test_a_temporary_database_is_made_on_a_given_server_and_dropped(server: Postgres) -> None:
    with temporary(server.url) as url:
        assert query(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
        lingering = psycopg2.connect(url)  # A session that is left open does not keep the database.
    lingering.close()
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        psycopg2.connect(url).close()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda url: url.replace("postgres:", "postgres:wrong"), "user name or password"),
        (
            lambda url: url.replace("postgresql:", "postgresql+psycopg2:").removesuffix("postgres") + "none",
            "does not exist",
        ),
        (lambda url: "postgresql://me:hunter2@127.0.0.1:1/todo", "connection refused"),
        (lambda url: "postgresql://me:hunter2@host.invalid/todo", "host name is unknown"),
        (lambda url: "postgresql://me:hunter2/with/slashes@host.invalid/todo", "cannot be connected to"),
        (lambda url: "mysql://me:hunter2@127.0.0.1/todo", "not a PostgreSQL URL"),
        (lambda url: url + "?sslmode=require", "TLS"),
    ],
)
def test_a_database_that_does_not_answer_is_named_without_its_password(
    server: Postgres, change: Callable[[str], str], sentence: str
) -> None:
    with pytest.raises(StackError, match=sentence) as refusal:
        require_answer(change(server.url), "DATABASE_URL")
    text = str(refusal.value)
    assert text.startswith("DATABASE_URL") and text.count("\n") == 0
    assert "hunter2" not in text and "wrong" not in text and "@" not in text.replace("user:password@host", "")


def test_a_database_that_answers_is_accepted(server: Postgres) -> None:
    require_answer(server.url, "DATABASE_URL")


def alive(process: psutil.Process) -> bool:
    """Say whether a process runs; one that waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
