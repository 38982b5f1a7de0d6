import ssl
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from todo_tasks import database_url

NEON = (
    "postgresql://ada:p%40ss@ep-x-pooler.eu.example:5433/neondb"
    "?sslmode=require&channel_binding=require&options=project%3Dx&connect_timeout=10&application_name=mine"
    "&keepalives=1&gssencmode=disable&target_session_attrs=read-write"
)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_each_spelling_of_the_scheme_is_read(scheme: str) -> None:
    url = f"{scheme}://ada@db.example/todo"
    assert database_url.words(url) == {"user": "ada", "host": "db.example", "dbname": "todo"}


def test_words_of_libpq_do_not_reach_the_server_as_settings() -> None:
    assert database_url.asyncpg_arguments(NEON, "todo-tasks") == {
        "user": "ada",
        "password": "p@ss",
        "host": ["ep-x-pooler.eu.example"],
        "port": 5433,
        "database": "neondb",
        "timeout": 10.0,
        # libpq sends these two to the server as well.
        "server_settings": {"application_name": "mine", "options": "project=x"},
        "dsn": "postgresql:///?sslmode=require&target_session_attrs=read-write",
    }


def test_without_words_little_is_passed_on() -> None:
    assert database_url.asyncpg_arguments("postgres://", "todo-tasks") == {
        "server_settings": {"application_name": "todo-tasks"},
        "dsn": "postgresql://",
    }


def test_several_hosts_are_passed_on_with_their_ports() -> None:
    arguments = database_url.asyncpg_arguments("postgresql://a:1,[::1]:2/todo", "x")
    assert (arguments["host"], arguments["port"]) == (["a", "::1"], [1, 2])


def test_the_systems_certificates_are_used_where_libpq_would() -> None:
    arguments = database_url.asyncpg_arguments("postgresql://a/todo?sslrootcert=system&sslmode=require", "x")
    context = arguments["ssl"]
    assert isinstance(context, ssl.SSLContext)
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert arguments["dsn"] == "postgresql://"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "todo",
        "mysql://a:hunter2@b/c",
        "postgresql://a:hunter2@b:port/c",
        "postgresql://a:hunter2@b/c?sslmod=require",
        "postgresql://a:hunter2%zz@b/c",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        database_url.words(url)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"dbname": "nowhere"}, "its database or user does not exist on the server"),
        ({"sslmode": "require"}, "no agreement on TLS with the server"),
        ({"port": "1"}, "nothing answers there"),
    ],
)
def test_why_there_is_no_connection_is_said_in_words_of_ours(
    server_url: str, words: dict[str, str], reason: str
) -> None:
    with pytest.raises(psycopg2.OperationalError) as refused:
        psycopg2.connect(make_dsn(server_url, **words))
    assert database_url.reason(refused.value) == reason


def test_a_lock_that_somebody_holds_is_not_taken_for_a_database_that_is_away(url: str) -> None:
    with closing(psycopg2.connect(url)) as holder, closing(psycopg2.connect(url)) as late:
        holder.cursor().execute("LOCK TABLE task")
        late.cursor().execute("SET lock_timeout = '1ms'")
        with pytest.raises(psycopg2.OperationalError) as refused:
            late.cursor().execute("LOCK TABLE task")
    assert database_url.reason(refused.value) == "another transaction holds what is needed; try again later"
