"""The table of tasks.

Task: T-016 · Spec: plan.md#tables
"""

from datetime import datetime
from typing import Literal, Optional, get_args
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    Text,
    text,
)
from sqlmodel import Field, Relationship

from todo_tasks.categories.models import Category
from todo_tasks.tables import Table

Status = Literal["pending", "in_progress", "completed"]
Priority = Literal["low", "medium", "high", "urgent"]
STATUSES: tuple[str, ...] = get_args(Status)
PRIORITIES: tuple[str, ...] = get_args(Priority)
"""From the least to the most urgent."""

MAX_TITLE = 200
MAX_DESCRIPTION = 10_000
MAX_TAGS = 20
MAX_TAG = 50


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


class Task(Table, table=True):
    """A user's task. `due_date` keeps the text it was given, `due_at` the instant it sorts by. `title_key`
    and `description_key` are the folded texts, null where folding changes nothing. `deleted_at` set: in the
    trash. `version` counts the changes, from 1.
    """

    __tablename__ = "task"
    __table_args__ = (
        # No action on delete: deleting a category detaches its tasks first, and says so in their versions.
        ForeignKeyConstraint(["user_id", "category_id"], ["category.user_id", "category.id"]),
        CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name="user_id"),
        CheckConstraint(f"char_length(title) BETWEEN 1 AND {MAX_TITLE}", name="title"),
        CheckConstraint(f"char_length(description) <= {MAX_DESCRIPTION}", name="description"),
        CheckConstraint(_one_of("status", STATUSES), name="status"),
        CheckConstraint("(status = 'completed') = (completed_at IS NOT NULL)", name="completed_at"),
        CheckConstraint(_one_of("priority", PRIORITIES), name="priority"),
        CheckConstraint(
            f"cardinality(tags) <= {MAX_TAGS} "
            f"AND char_length(array_to_string(tags, '')) <= {MAX_TAGS * MAX_TAG}",
            name="tags",
        ),
        CheckConstraint("(due_date IS NULL) = (due_at IS NULL)", name="due_at"),
        CheckConstraint("position > '-infinity' AND position < 'infinity'", name="position"),
        CheckConstraint("version >= 1", name="version"),
        # The plain list; newest first.
        Index(None, "user_id", "created_at", "id", postgresql_where=text("deleted_at IS NULL")),
        # What is due, and the count of what is overdue.
        Index(None, "user_id", "due_at", "id", postgresql_where=text("deleted_at IS NULL")),
        # The tasks of a category, and the foreign key; the trash included, since it refers to categories too.
        Index(None, "user_id", "category_id"),
        # The trash: listed, and purged of what is old.
        Index(None, "user_id", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
    )

    user_id: str = Field(primary_key=True, sa_type=Text)
    id: UUID = Field(primary_key=True)
    title: str = Field(sa_type=Text)
    title_key: str | None = Field(default=None, sa_type=Text)
    description: str | None = Field(default=None, sa_type=Text)
    description_key: str | None = Field(default=None, sa_type=Text)
    status: Status = Field(default="pending", sa_type=Text)
    completed_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    priority: Priority = Field(default="medium", sa_type=Text)
    category_id: UUID | None = Field(default=None)
    tags: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    due_date: str | None = Field(default=None, sa_type=Text)
    due_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    position: float = Field(sa_type=Double)
    version: int = Field(default=1, sa_type=Integer)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))
    deleted_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))

    category: Optional["Category"] = Relationship(
        back_populates="tasks",
        # Only category_id is the relationship's to write: user_id belongs to the primary key.
        sa_relationship_kwargs={
            "primaryjoin": "and_(Category.user_id == Task.user_id, Category.id == foreign(Task.category_id))"
        },
    )
