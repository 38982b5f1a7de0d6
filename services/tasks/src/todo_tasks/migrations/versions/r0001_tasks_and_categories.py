"""Tasks and categories of a user.

Task: T-017 · Spec: plan.md#migrations
"""

import sqlalchemy as sa
from alembic import op

from todo_tasks.migrations import limit_locks

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables. The tie to the users' table is made by `todo_tasks.ownership`, since that table may
    come later or never.
    """
    limit_locks()
    op.create_table(
        "category",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("color", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_category"),
        sa.UniqueConstraint("user_id", "name_key", name="uq_category_user_id_name_key"),
        sa.CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name=op.f("ck_category_user_id")),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 100", name=op.f("ck_category_name")),
        sa.CheckConstraint("char_length(color) BETWEEN 1 AND 50", name=op.f("ck_category_color")),
    )
    op.create_table(
        "task",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("category_id", sa.Uuid()),
        sa.Column("tags", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("due_date", sa.Text()),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("position", sa.Double(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_task"),
        sa.ForeignKeyConstraint(
            ["user_id", "category_id"], ["category.user_id", "category.id"], name="fk_task_category"
        ),
        sa.CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name=op.f("ck_task_user_id")),
        sa.CheckConstraint("char_length(title) BETWEEN 1 AND 200", name=op.f("ck_task_title")),
        sa.CheckConstraint("char_length(description) <= 10000", name=op.f("ck_task_description")),
        sa.CheckConstraint("status IN ('pending', 'in_progress', 'completed')", name=op.f("ck_task_status")),
        sa.CheckConstraint(
            "(status = 'completed') = (completed_at IS NOT NULL)", name=op.f("ck_task_completed_at")
        ),
        sa.CheckConstraint("priority IN ('low', 'medium', 'high', 'urgent')", name=op.f("ck_task_priority")),
        sa.CheckConstraint(
            "cardinality(tags) <= 20 AND char_length(array_to_string(tags, '')) <= 1000",
            name=op.f("ck_task_tags"),
        ),
        sa.CheckConstraint("(due_date IS NULL) = (due_at IS NULL)", name=op.f("ck_task_due_at")),
        sa.CheckConstraint("position > '-infinity' AND position < 'infinity'", name=op.f("ck_task_position")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_task_version")),
    )
    live = sa.text("deleted_at IS NULL")
    op.create_index(
        "ix_task_user_id_created_at_id", "task", ["user_id", "created_at", "id"], postgresql_where=live
    )
    op.create_index("ix_task_user_id_due_at_id", "task", ["user_id", "due_at", "id"], postgresql_where=live)
    op.create_index("ix_task_user_id_category_id", "task", ["user_id", "category_id"])


def downgrade() -> None:
    """Drop both tables, and with them every task."""
    limit_locks()
    op.drop_table("task")
    op.drop_table("category")
