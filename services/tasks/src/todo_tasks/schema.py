"""The schema's state: what revision it has, whether this code fits it, and how to bring it there.

Task: T-017 · Spec: plan.md#migrations
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, column, exc, func, inspect, select, table

from todo_tasks.migrations import HEAD, VERSION_TABLE

if TYPE_CHECKING:
    from alembic.config import Config

LOCK = 7_063_105_174_310_912_417
"""The advisory lock that one migration at a time holds; any number that nobody else uses."""

RETRY_S = 0.1
"""How often a migration looks whether another one is done."""

_log = logging.getLogger(__name__)
# It lists its plugins at every start; what it did to the schema is said here.
logging.getLogger("alembic").setLevel(logging.WARNING)


def revision(connection: Connection) -> str | None:
    """The schema's revision; None where there is none yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))
    return found


def misfit(connection: Connection) -> str | None:
    """A sentence that says why this code cannot serve on the schema; None where it can."""
    found = revision(connection)
    if found == HEAD:
        return None
    if found is None:
        return "The database has no tables of this service yet: run `todo-tasks migrate`."
    return (
        f"The database's schema is at revision {found} and this version needs {HEAD}: "
        "run `todo-tasks migrate`, or start the version that fits the schema."
    )


def upgrade(engine: Engine) -> None:
    """Bring the schema to HEAD, a revision at a time. Several at once wait for each other, and one that was
    killed goes on where it was.
    """
    with one_at_a_time(engine), engine.connect() as connection:
        found = revision(connection)
        connection.rollback()
        if found == HEAD:
            _log.info("schema is at revision %s: nothing to do", HEAD)
            return
        # Loading Alembic takes longer than everything else here: only where there is something to do.
        from alembic import command

        try:
            command.upgrade(configuration(connection), HEAD)
        except exc.PendingRollbackError as error:
            # Alembic's last words on a lost connection; the loss itself is what they were said over.
            raise error.__context__ if isinstance(error.__context__, exc.OperationalError) else error
        _log.info("schema brought from revision %s to %s", found or "none", HEAD)


def downgrade(engine: Engine, target: str) -> None:
    """Take the schema back to a revision, `base` for none. What the later ones added is lost."""
    from alembic import command

    with one_at_a_time(engine), engine.connect() as connection:
        command.downgrade(configuration(connection), target)


def script(revisions: str = f"base:{HEAD}") -> str:
    """The SQL of migrations, to be read; what they do in Python is not in it."""
    from alembic import command

    written = StringIO()
    made = configuration(None)
    made.output_buffer = written
    command.upgrade(made, revisions, sql=True)
    return written.getvalue()


@contextmanager
def one_at_a_time(engine: Engine) -> Iterator[None]:
    """Hold the lock, in a transaction of a connection of its own, which means the same behind a pooler. Who
    does not get it asks again: waiting for it would be a statement under way, for whose end CREATE INDEX
    CONCURRENTLY waits in turn.
    """
    while True:
        with engine.begin() as connection:
            if connection.scalar(select(func.pg_try_advisory_xact_lock(LOCK))):
                yield
                return
        time.sleep(RETRY_S)


def configuration(connection: Connection | None) -> "Config":
    """Alembic's configuration for this connection's database, or for none; there is no file of it."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made
