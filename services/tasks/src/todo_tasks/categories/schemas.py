"""What clients send and get for categories: `CategoryCreate`, `CategoryUpdate`, `CategoryQuery`,
`CategoryPublic`.

Task: T-021 · Spec: plan.md#categories-and-stats
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from todo_tasks.categories.models import MAX_COLOR, MAX_NAME
from todo_tasks.describe import without_defaults
from todo_tasks.inputs import Body, other_names
from todo_tasks.paging import PageQuery

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME)]
Color = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_COLOR)]

READ_ONLY = frozenset({"id", "user_id", "task_count", "created_at", "updated_at"})
OTHER_NAMES = other_names(
    {
        "user_id": ("userId",),
        "task_count": ("taskCount",),
        "created_at": ("createdAt",),
        "updated_at": ("updatedAt",),
    }
)


class CategoryCreate(Body):
    """A new category. `color`: what the front end makes of it, such as `#ff8800`."""

    read_only = READ_ONLY
    other_names = OTHER_NAMES

    name: Name
    color: Color | None = None


class CategoryUpdate(Body):
    """The fields to change; absent ones keep their values (RFC 7396), null clears `color`."""

    read_only = READ_ONLY
    other_names = OTHER_NAMES
    # The defaults stand for nothing: what was not sent is not in `model_fields_set`.
    model_config = ConfigDict(json_schema_extra=without_defaults)

    name: Name = ""
    color: Color | None = None


class CategoryQuery(PageQuery):
    """Which part of the categories, in the order of their names."""


class CategoryPublic(BaseModel):
    """A category on the wire. `task_count` leaves out the trash."""

    id: UUID
    user_id: str
    name: str
    color: str | None
    task_count: int
    created_at: datetime
    updated_at: datetime
