"""Texts that were there before are folded, and the trash has its index; both while the service works on the
table.

Task: T-017 · Spec: plan.md#migrations
"""

import sqlalchemy as sa
from alembic import op

from todo_tasks.folding import key

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BATCH = 1_000
_INDEX = "ix_task_user_id_deleted_at"


def upgrade() -> None:
    """Every step stands by itself and may be repeated: a migration that was killed begins again here."""
    with op.get_context().autocommit_block():
        if not op.get_context().as_sql:  # the service folds, SQL cannot
            _fold_all(op.get_bind())
        # One that was interrupted is left behind, invalid.
        op.drop_index(_INDEX, table_name="task", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            _INDEX,
            "task",
            ["user_id", "deleted_at"],
            postgresql_where=sa.text("deleted_at IS NOT NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    """Drop the index; folded texts harm nobody."""
    with op.get_context().autocommit_block():
        op.drop_index(_INDEX, table_name="task", if_exists=True, postgresql_concurrently=True)


def _fold_all(connection: sa.Connection) -> None:
    """In the order of the primary key, in batches; each row is held from its reading to its writing, which is
    the time that one batch takes.
    """
    columns = ("user_id", "id", "title", "title_key", "description", "description_key")
    table = sa.table("task", *(sa.column(name) for name in columns))
    task = table.c
    place = sa.tuple_(task.user_id, task.id)
    batch = sa.select(task.user_id, task.id, task.title, task.description).order_by(task.user_id, task.id)
    batch = batch.limit(_BATCH).with_for_update()
    write = (
        sa.update(table)
        .where(task.user_id == sa.bindparam("its_user"), task.id == sa.bindparam("its_id"))
        .values(title_key=sa.bindparam("its_title"), description_key=sa.bindparam("its_description"))
    )
    after: sa.ColumnElement[bool] = sa.true()
    while True:
        # `connection` commits by itself here: a transaction of the batch's own is said in SQL.
        connection.exec_driver_sql("BEGIN")
        rows = connection.execute(batch.where(after)).all()
        folded = [
            {
                "its_user": row.user_id,
                "its_id": row.id,
                "its_title": key(row.title),
                "its_description": key(row.description),
            }
            for row in rows
        ]
        if changed := [row for row in folded if row["its_title"] or row["its_description"]]:
            connection.execute(write, changed)
        connection.exec_driver_sql("COMMIT")
        if not rows:
            return
        after = place > sa.tuple_(sa.literal(rows[-1].user_id), sa.literal(rows[-1].id, sa.Uuid()))
