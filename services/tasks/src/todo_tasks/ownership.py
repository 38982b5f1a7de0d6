"""Ties rows to their users: a foreign key to Better Auth's `"user"(id)` with ON DELETE CASCADE, wherever that
table is in the same database.

The table may come later than ours, so this is repeated at every `migrate`. Each step is safe on live tables:
the key is added NOT VALID (a brief lock) and validated afterwards (readers and writers go on).

Task: T-017 · Spec: plan.md#migrations
"""

import logging
from typing import Any

from sqlalchemy import Connection, Engine, Row, TextClause, exc, text

OWNED = ("category", "task", "idempotency_key")
TIES = {table_name: f"fk_{table_name}_user" for table_name in OWNED}
"""The names of the foreign keys, by table."""
LOCK_TIMEOUT = "5s"

_log = logging.getLogger(__name__)

_USER_ID_TYPE = text(
    "SELECT format_type(a.atttypid, a.atttypmod) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
    """WHERE c.oid = to_regclass('"user"') AND c.relkind IN ('r', 'p') """
    "AND a.attname = 'id' AND NOT a.attisdropped"
)
_FOUND = text(
    "SELECT conname, convalidated FROM pg_constraint WHERE contype = 'f' AND conname = ANY(:names) "
    """AND confrelid = to_regclass('"user"') AND connamespace = current_schema()::regnamespace"""
)


def untied(connection: Connection) -> str | None:
    """Why rows are not tied to users, as a sentence; None where they are, or could be."""
    type_ = connection.scalar(_USER_ID_TYPE)
    if type_ is None:
        return 'There is no table "user" with an id in this database, so tasks outlive their deleted users.'
    if type_ != "text" and not type_.startswith("character varying"):
        return f'"user".id is {type_}, not text, so tasks are not tied to users and outlive deleted ones.'
    return None


def tie(engine: Engine) -> bool:
    """Make and validate the foreign keys that are missing; safe to repeat. The log says how it is.

    Returns whether every row is tied. Rows of users that do not exist are left as they are and counted.
    """
    with engine.connect() as connection:
        reason = untied(connection)
    if reason:
        _log.warning("%s", reason)
        return False
    tied = all([_tie(engine, table_name) for table_name in OWNED])
    if tied:
        _log.info('rows are tied to "user"(id): deleting a user deletes their tasks')
    return tied


def describe(connection: Connection) -> str:
    """How rows are tied, as one sentence for the log of a starting service."""
    reason = untied(connection)
    if reason:
        return reason
    found = connection.execute(_FOUND, {"names": list(TIES.values())}).all()
    if len(found) < len(OWNED):
        return 'Rows are not tied to "user"(id) yet: run `todo-tasks migrate`.'
    if not all(row.convalidated for row in found):
        return 'New rows are tied to "user"(id); some older ones belong to users that do not exist.'
    return 'Rows are tied to "user"(id): deleting a user deletes their tasks.'


def _tie(engine: Engine, table_name: str) -> bool:
    name = TIES[table_name]
    foreign_key = 'FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE'
    try:
        found = _find(engine, name)
        if found is None:
            with engine.begin() as connection:
                connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
                # The lock that adding the key takes, taken first: of several migrations at once, one adds it.
                connection.execute(text(f"LOCK TABLE {table_name} IN SHARE ROW EXCLUSIVE MODE"))
                if connection.execute(_FOUND, {"names": [name]}).one_or_none() is None:
                    connection.execute(
                        text(f"ALTER TABLE {table_name} ADD CONSTRAINT {name} {foreign_key} NOT VALID")
                    )
        if found is None or not found.convalidated:
            with engine.begin() as connection:
                connection.execute(text(f"ALTER TABLE {table_name} VALIDATE CONSTRAINT {name}"))
    except exc.IntegrityError:
        with engine.connect() as connection:
            count = connection.scalar(_orphans(table_name))
        _log.warning(
            'table %s: rows of %d users that are not in "user" are left as they are; new rows are tied',
            table_name,
            count,
        )
        return False
    except (exc.OperationalError, exc.ProgrammingError) as error:
        _log.warning('table %s is not tied to "user"(id): %s', table_name, _why(error))
        return False
    return True


def _find(engine: Engine, name: str) -> Row[Any] | None:
    with engine.connect() as connection:
        return connection.execute(_FOUND, {"names": [name]}).one_or_none()


def _orphans(table_name: str) -> TextClause:
    return text(
        f"SELECT count(DISTINCT user_id) FROM {table_name} t "
        'WHERE NOT EXISTS (SELECT FROM "user" u WHERE u.id = t.user_id)'
    )


def _why(error: exc.DBAPIError) -> str:
    reasons = {
        "42501": "this role may not refer to that table (GRANT REFERENCES)",
        "42830": 'nothing says that "user".id is unique',
        "42P16": "it is on one node of the cluster only; run `todo-tasks migrate --distribute`",
        "55P03": "another transaction holds one of the tables; run `todo-tasks migrate` again",
    }
    return reasons.get(getattr(error.orig, "pgcode", ""), "the database refused it")
