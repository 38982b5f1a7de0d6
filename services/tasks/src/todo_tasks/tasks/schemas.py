"""What clients send and get for tasks: `TaskCreate`, `TaskUpdate`, `TaskQuery`, `TaskPublic`, `StatsPublic`.

Task: T-020 · Spec: plan.md#tasks-api
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from todo_tasks.categories.models import MAX_NAME
from todo_tasks.describe import without_defaults
from todo_tasks.inputs import Body, Flag, canonical_uuid
from todo_tasks.paging import PageQuery
from todo_tasks.tasks import due_dates, names
from todo_tasks.tasks.models import MAX_DESCRIPTION, MAX_TAG, MAX_TAGS, MAX_TITLE, Priority, Status

MAX_SEARCH = 200

StatusFilter = Literal["pending", "in_progress", "completed", "all", "active", "incomplete", "done"]
SortBy = Literal[
    "created_at",
    "updated_at",
    "due_date",
    "completed_at",
    "priority",
    "status",
    "title",
    "position",
    "-created_at",
    "-updated_at",
    "-due_date",
    "-completed_at",
    "-priority",
    "-status",
    "-title",
    "-position",
]


def _nothing_if_empty(value: object) -> object:
    """Forms send "" for what was left empty."""
    return None if value == "" else value


def _nothing_if_blank(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _sort(value: object) -> object:
    """Ours for the client's name of an order, the `-` before it kept."""
    if not isinstance(value, str):
        return value
    name = value.removeprefix("-")
    return value[: len(value) - len(name)] + names.SORTS.get(name, name)


def _tags(tags: list[str]) -> list[str]:
    """Trimmed, the first of equal ones kept in its place, empty ones dropped."""
    distinct = list(dict.fromkeys(tag for tag in tags if tag))
    if len(distinct) > MAX_TAGS:
        raise ValueError(f"must have at most {MAX_TAGS} tags")
    return distinct


def _id(value: object) -> UUID:
    found = canonical_uuid(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be the id of one of your categories")
    return found


def _due_date(value: object) -> due_dates.DueDate:
    if not isinstance(value, str):
        raise ValueError("must be text")
    return due_dates.parse(value)


_date_schema = WithJsonSchema(
    {"type": "string", "description": "An RFC 3339 date or date-time.", "examples": ["2030-01-31"]}
)
_id_schema = WithJsonSchema({"type": "string", "format": "uuid"})

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TITLE)]
Description = Annotated[
    Annotated[str, StringConstraints(max_length=MAX_DESCRIPTION)] | None, BeforeValidator(_nothing_if_empty)
]
CategoryName = Annotated[
    Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME)] | None,
    BeforeValidator(_nothing_if_blank),
]
CategoryId = Annotated[
    Annotated[UUID, BeforeValidator(_id), _id_schema] | None, BeforeValidator(_nothing_if_empty)
]
Tags = Annotated[
    list[Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_TAG)]],
    AfterValidator(_tags),
]
When = Annotated[due_dates.DueDate, BeforeValidator(_due_date), _date_schema]
DueDate = Annotated[When | None, BeforeValidator(_nothing_if_empty)]

READ_ONLY = frozenset({"id", "user_id", "completed_at", "version", "created_at", "updated_at"})


class TaskCreate(Body):
    """A new task. `status` and `completed` are two spellings of one fact, and so are `category` (found or
    created by its name) and `category_id` (must be one of yours): where they disagree, the first named wins,
    unless it says no more than its default.
    """

    read_only = READ_ONLY
    other_names = names.MEMBERS

    title: Title
    description: Description = None
    status: Status = "pending"
    completed: bool | None = None
    priority: Priority | None = "medium"
    category: CategoryName = None
    category_id: CategoryId = None
    tags: Tags | None = Field(default_factory=list)
    due_date: DueDate = None
    position: float | None = None


class TaskUpdate(Body):
    """The fields to change; absent ones keep their values (RFC 7396). Null clears `description`, `category`,
    `category_id`, `due_date` and `tags`, and puts `priority` back to its default.

    Where two spellings of one fact disagree, the one that differs from the stored task wins.
    """

    read_only = READ_ONLY
    other_names = names.MEMBERS
    # The defaults stand for nothing: what was not sent is not in `model_fields_set`.
    model_config = ConfigDict(json_schema_extra=without_defaults)

    title: Title = ""
    description: Description = None
    status: Status = "pending"
    completed: bool = False
    priority: Priority | None = None
    category: CategoryName = None
    category_id: CategoryId = None
    tags: Tags | None = None
    due_date: DueDate = None
    position: float = 0


class Completion(Body):
    """`completed` set: that, however often it is sent; absent: the other of what it was."""

    other_names = names.MEMBERS
    # Front ends send the whole task here.
    model_config = ConfigDict(extra="ignore")

    completed: bool | None = None


class TaskQuery(PageQuery):
    """Which tasks, in which order, how many. Filters given together must all hold.

    `status`: also `all`, `active` or `incomplete` (not completed), and `done`. `category`: a name, without
    regard to case. `due_before` and `due_after` exclude the day or instant that they name. `search`: every
    word must occur in title or description, without regard to case. `deleted`: those in the trash instead.
    `sort_by`: with `-` before it, descending; `order`: by default the newest and the most urgent first, else
    ascending; what has no value comes last.
    """

    other_names = names.PARAMETERS

    status: Annotated[StatusFilter, BeforeValidator(_lowered)] | None = None
    completed: Flag | None = None
    priority: Priority | None = None
    category: Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_NAME)] | None = None
    category_id: Annotated[
        Annotated[UUID, BeforeValidator(_id), _id_schema] | None,
        WithJsonSchema({"anyOf": [{"type": "string", "format": "uuid"}, {"const": ""}]}),
    ] = None
    tag: Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_TAG)] | None = None
    due_before: When | None = None
    due_after: When | None = None
    search: Annotated[str, StringConstraints(max_length=MAX_SEARCH)] | None = None
    deleted: Flag = False
    sort_by: Annotated[SortBy, BeforeValidator(_sort)] = "created_at"
    order: Annotated[Literal["asc", "desc"], BeforeValidator(_lowered)] | None = None

    @property
    def sort(self) -> str:
        """The name of the order."""
        return self.sort_by.removeprefix("-")

    @property
    def direction(self) -> Literal["asc", "desc"] | None:
        """The direction that was asked for; `order` says more than a `-`."""
        return self.order or ("desc" if self.sort_by.startswith("-") else None)


class TaskPublic(BaseModel):
    """A task on the wire. `due_date` comes back in the form it was given."""

    id: UUID
    user_id: str
    title: str
    description: str | None
    status: Status
    completed: bool
    completed_at: datetime | None
    priority: Priority
    category: str | None
    category_id: UUID | None
    tags: list[str]
    due_date: str | None
    position: float
    version: int
    created_at: datetime
    updated_at: datetime


class CategoryCount(BaseModel):
    """How many of a category's tasks there are; `category` null: of those without one."""

    category: str | None
    category_id: UUID | None
    total: int
    completed: int


class StatsPublic(BaseModel):
    """Counts of a user's tasks: `total` = `pending` + `in_progress` + `completed`. Overdue: due, and not
    completed; a date is overdue when its day has ended in UTC.
    """

    total: int
    pending: int
    in_progress: int
    completed: int
    overdue: int
    by_category: list[CategoryCount]
