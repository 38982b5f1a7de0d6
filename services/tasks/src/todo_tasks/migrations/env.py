"""What Alembic runs for every command: this service's tables and its own version table, nobody else's.

Task: T-017 · Spec: plan.md#migrations
"""

from alembic import context

from todo_tasks import ownership
from todo_tasks.migrations import VERSION_TABLE
from todo_tasks.tasks.models import Task


def is_ours(name: str | None, kind: str, parents: object) -> bool:
    """Whether something found in the database is this service's to change. The database has other owners, and
    the ties to users are `todo_tasks.ownership`'s.
    """
    if kind == "table":
        return name in Task.metadata.tables
    return kind != "foreign_key_constraint" or name not in ownership.TIES.values()


if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql",
        target_metadata=Task.metadata,
        version_table=VERSION_TABLE,
        transaction_per_migration=True,
    )
else:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Task.metadata,
        version_table=VERSION_TABLE,
        include_name=is_ours,
        compare_type=True,
        # So that a revision may end its transaction in between (`autocommit_block`).
        transaction_per_migration=True,
    )
with context.begin_transaction():
    context.run_migrations()
