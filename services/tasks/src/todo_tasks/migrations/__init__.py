"""The schema's revisions, and the one that this code needs.

Task: T-017 · Spec: plan.md#migrations
"""

VERSION_TABLE = "todo_tasks_version"
"""Alembic's table; named so that other owners of the database keep theirs."""

HEAD = "0003"
"""Alembic's newest revision. Written here, so that a service that starts need not load Alembic to know it."""

LOCK_TIMEOUT = "5s"
"""How long a migration waits for a table that others use: while it waits, they wait behind it."""


def limit_locks() -> None:
    """For the rest of a revision's transaction: better give up, and be started again, than stop others."""
    from alembic import op

    op.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
