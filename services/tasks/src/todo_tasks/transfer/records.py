"""A user's categories and tasks as records of a file: every fact that is kept of them but what follows from
the others, and whose they are.

Task: T-053 · Spec: plan.md#commands
"""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from todo_tasks import folding
from todo_tasks.categories.models import MAX_COLOR, MAX_NAME
from todo_tasks.tasks import due_dates
from todo_tasks.tasks.models import MAX_DESCRIPTION, MAX_TAG, MAX_TAGS, MAX_TITLE, Priority, Status


def _due_date(text: str) -> str:
    due_dates.parse(text)
    return text


def _name(text: str) -> str:
    if text != text.strip():
        raise ValueError("must not begin or end with space")
    return text


CategoryName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME), AfterValidator(_name)]


class Record(BaseModel):
    """The base of both: no members but the known ones, none with another type."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class CategoryRecord(Record):
    """A category."""

    type: Literal["category"] = "category"
    id: UUID
    name: CategoryName
    color: Annotated[str, StringConstraints(min_length=1, max_length=MAX_COLOR)] | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime

    def row(self, user_id: str) -> dict[str, object]:
        """The table's row."""
        own = self.model_dump(exclude={"type"})
        return own | {"user_id": user_id, "name_key": folding.fold(self.name)}


class TaskRecord(Record):
    """A task, those in the trash (`deleted_at`) included. `category_id`: of a category that comes before it
    in the file, or that the user has; `category`, in a CSV file: the name instead.
    """

    type: Literal["task"] = "task"
    id: UUID
    title: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TITLE)]
    description: Annotated[str, StringConstraints(max_length=MAX_DESCRIPTION)] | None = None
    status: Status = "pending"
    completed_at: AwareDatetime | None = None
    priority: Priority = "medium"
    category_id: UUID | None = None
    category: CategoryName | None = None
    tags: Annotated[list[Annotated[str, StringConstraints(max_length=MAX_TAG)]], Field(max_length=MAX_TAGS)]
    due_date: Annotated[str, AfterValidator(_due_date)] | None = None
    position: float
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1
    created_at: AwareDatetime
    updated_at: AwareDatetime
    deleted_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _completed(self) -> "TaskRecord":
        if (self.status == "completed") != (self.completed_at is not None):
            raise ValueError("completed_at must be there for a completed task, and for no other")
        if self.category is not None and self.category_id is not None:
            raise ValueError("category and category_id cannot be given together")
        return self

    def row(self, user_id: str, category_id: UUID | None) -> dict[str, object]:
        """The table's row, in that category."""
        own = self.model_dump(exclude={"type", "category"})
        return own | {
            "user_id": user_id,
            "title_key": folding.key(self.title),
            "description_key": folding.key(self.description),
            "category_id": category_id,
            "due_at": due_dates.parse(self.due_date).ends_at if self.due_date else None,
        }
