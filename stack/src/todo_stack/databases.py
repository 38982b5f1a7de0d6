"""Making, dropping and looking at databases on a PostgreSQL server that runs already.

Task: T-002 · Spec: plan.md#embedded-postgresql
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg2
from psycopg2 import errors, sql
from psycopg2.extensions import connection

from todo_stack.errors import StackError

CONNECT_S = 10
"""Long enough for a serverless compute that has to wake up."""


def libpq_url(url: str) -> str:
    """Return SQLAlchemy's `postgresql+driver://` as the `postgresql://` that everything else reads."""
    scheme, separator, rest = url.partition("://")
    return scheme.partition("+")[0] + separator + rest


@contextmanager
def _connected(url: str) -> Iterator[connection]:
    # psycopg2's own context manager ends the transaction and leaves the connection open.
    opened = psycopg2.connect(libpq_url(url), connect_timeout=CONNECT_S)
    opened.autocommit = True
    try:
        yield opened
    finally:
        opened.close()


def create_database(url: str, name: str) -> str:
    """Make the database `name` on the server of `url` where it is missing, and return the URL of it.

    Raises `StackError` when the user of `url` may not.
    """
    with _connected(url) as server, server.cursor() as cursor:
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
        if not cursor.rowcount:
            try:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            except errors.InsufficientPrivilege:
                raise StackError(f"The user of the database may not make another one ({name}).") from None
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(name)}"))


def drop_database(url: str, name: str) -> None:
    """Drop the database `name` on the server of `url`, sessions in it included; a missing one is no error."""
    with _connected(url) as server, server.cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def has_table(url: str, name: str) -> bool:
    """Say whether `name`, quoted where it has to be, is a table that the database's search path finds."""
    with _connected(url) as database, database.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (name,))
        return cursor.fetchone() == (True,)


_REASONS = {
    "password authentication failed": "the server refused its user name or password",
    "no password supplied": "the server wants a password and it has none",
    "does not exist": "its database or user does not exist on the server",
    "connection refused": "nothing answers there (connection refused)",
    "could not translate host name": "its host name is unknown",
    "timeout expired": f"nothing answers there within {CONNECT_S} seconds",
    "timed out": f"nothing answers there within {CONNECT_S} seconds",
    "ssl": "no agreement on TLS with the server",
}


def require_answer(url: str, setting: str) -> None:
    """Raise `StackError` naming `setting` when the database at `url` cannot be connected to.

    The sentence is never libpq's own: it repeats parts of a URL that it misread, a password among them.
    """
    if urlsplit(libpq_url(url)).scheme not in ("postgres", "postgresql"):
        raise StackError(f"{setting} is not a PostgreSQL URL (postgresql://user:password@host/database).")
    try:
        with _connected(url):
            pass
    except psycopg2.Error as error:
        text = str(error).lower()
        reason = next(
            (words for sign, words in _REASONS.items() if sign in text), "it cannot be connected to"
        )
        raise StackError(f"{setting}: {reason}.") from None
