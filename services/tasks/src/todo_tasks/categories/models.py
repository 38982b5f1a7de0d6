"""The table of categories.

Task: T-016 · Spec: plan.md#tables
"""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, Text, UniqueConstraint
from sqlmodel import Field, Relationship

from todo_tasks.tables import Table

if TYPE_CHECKING:
    from todo_tasks.tasks.models import Task

MAX_NAME = 100
MAX_COLOR = 50


class Category(Table, table=True):
    """A user's category. `name_key` is the folded name."""

    __tablename__ = "category"
    __table_args__ = (
        UniqueConstraint("user_id", "name_key"),
        CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name="user_id"),
        CheckConstraint(f"char_length(name) BETWEEN 1 AND {MAX_NAME}", name="name"),
        CheckConstraint(f"char_length(color) BETWEEN 1 AND {MAX_COLOR}", name="color"),
    )

    user_id: str = Field(primary_key=True, sa_type=Text)
    id: UUID = Field(primary_key=True)
    name: str = Field(sa_type=Text)
    name_key: str = Field(sa_type=Text)
    color: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))

    tasks: list["Task"] = Relationship(
        back_populates="category", sa_relationship_kwargs={"passive_deletes": "all"}
    )
