"""The trash's index, the folded texts that are searched, and the answers kept for repeated requests.

Task: T-017 · Spec: plan.md#migrations
"""

import sqlalchemy as sa
from alembic import op

from todo_tasks.folding import key

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BATCH = 1_000


def upgrade() -> None:
    """Add the columns, fill them for the tasks that are there, and make the index and the table."""
    op.add_column("task", sa.Column("title_key", sa.Text()))
    op.add_column("task", sa.Column("description_key", sa.Text()))
    _fold_all(op.get_bind())
    op.create_index(
        "ix_task_user_id_deleted_at",
        "task",
        ["user_id", "deleted_at"],
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("answer_id", sa.Uuid(), nullable=False),
        sa.Column("answer_version", sa.Integer()),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "key", name="pk_idempotency_key"),
        sa.CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name=op.f("ck_idempotency_key_user_id")),
        sa.CheckConstraint("char_length(key) BETWEEN 1 AND 255", name=op.f("ck_idempotency_key_key")),
    )
    op.create_index("ix_idempotency_key_user_id_created_at", "idempotency_key", ["user_id", "created_at"])


def downgrade() -> None:
    """Drop what `upgrade` made. Kept answers are lost, so a repeated request may be carried out again."""
    op.drop_table("idempotency_key")
    op.drop_index("ix_task_user_id_deleted_at", table_name="task")
    op.drop_column("task", "description_key")
    op.drop_column("task", "title_key")


def _fold_all(connection: sa.Connection) -> None:
    """In the order of the primary key, a batch at a time: the service folds, the database cannot."""
    columns = ("user_id", "id", "title", "title_key", "description", "description_key")
    table = sa.table("task", *(sa.column(name) for name in columns))
    task = table.c
    place = sa.tuple_(task.user_id, task.id)
    batch = sa.select(task.user_id, task.id, task.title, task.description).order_by(task.user_id, task.id)
    write = (
        sa.update(table)
        .where(task.user_id == sa.bindparam("its_user"), task.id == sa.bindparam("its_id"))
        .values(title_key=sa.bindparam("its_title"), description_key=sa.bindparam("its_description"))
    )
    rows = connection.execute(batch.limit(_BATCH)).all()
    while rows:
        connection.execute(
            write,
            [
                {
                    "its_user": row.user_id,
                    "its_id": row.id,
                    "its_title": key(row.title),
                    "its_description": key(row.description),
                }
                for row in rows
            ],
        )
        last = sa.tuple_(sa.literal(rows[-1].user_id), sa.literal(rows[-1].id, sa.Uuid()))
        rows = connection.execute(batch.where(place > last).limit(_BATCH)).all()
