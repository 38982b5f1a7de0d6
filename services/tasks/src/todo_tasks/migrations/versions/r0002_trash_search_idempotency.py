"""The folded texts that are searched, and the answers kept for repeated requests: columns and a table, empty.

Task: T-017 · Spec: plan.md#migrations
"""

import sqlalchemy as sa
from alembic import op

from todo_tasks.migrations import limit_locks

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add nullable columns, which rewrites nothing, and make the table."""
    limit_locks()
    op.add_column("task", sa.Column("title_key", sa.Text()))
    op.add_column("task", sa.Column("description_key", sa.Text()))
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
    limit_locks()
    op.drop_table("idempotency_key")
    op.drop_column("task", "description_key")
    op.drop_column("task", "title_key")
