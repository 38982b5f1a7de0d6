"""Tables and wire models."""

from datetime import UTC, datetime
from typing import Optional
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, Column, DateTime, Text
from sqlmodel import Field, Relationship, SQLModel


def now() -> datetime:
    return datetime.now(UTC)


class Category(SQLModel, table=True):
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: str = Field(index=True)
    name: str
    tasks: list["Task"] = Relationship(back_populates="category")


class TaskBase(SQLModel):
    title: str = Field(min_length=1, max_length=200)
    description: str | None = None
    priority: str = "medium"
    category_id: UUID | None = Field(default=None, foreign_key="category.id")
    due_date: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    position: float = 0


class Task(TaskBase, table=True):
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: str = Field(index=True)
    status: str = "pending"
    completed: bool = False
    completed_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    tags: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    version: int = 1
    created_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    category: Optional["Category"] = Relationship(back_populates="tasks")

    @property
    def category_name(self) -> str | None:
        return self.category.name if self.category else None


class TaskCreate(TaskBase):
    tags: list[str] = []


class TaskPublic(TaskBase):
    id: UUID
    user_id: str
    status: str
    completed: bool
    completed_at: datetime | None
    category: str | None = Field(validation_alias="category_name")
    tags: list[str]
    version: int
    created_at: datetime
    updated_at: datetime
