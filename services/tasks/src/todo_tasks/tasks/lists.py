"""The statements of a list of tasks, one for each combination of filters, order and place. Each names the
user.

Task: T-018 · Spec: plan.md#statements
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from sqlalchemy import ARRAY, Boolean, ColumnElement, Text, and_, any_, bindparam, func, select

from todo_tasks.categories.models import Category
from todo_tasks.profile import DEFAULT, Profile
from todo_tasks.statement import Statement
from todo_tasks.tasks.models import Task
from todo_tasks.tasks.sorting import SORTS
from todo_tasks.tasks.statements import LIVE, TRASHED, wire, with_category
from todo_tasks.wire import page

_task = Task.metadata.tables["task"]
_category = Category.metadata.tables["category"]
_its = {name: bindparam(name, type_=kind.type) for name, kind in _task.c.items()}

Filter = Literal[
    "status",
    "completed_by_status",
    "completed",
    "priority",
    "category_key",
    "category_id",
    "tag",
    "due_before",
    "due_after",
    "words",
]

_is_completed = _task.c.status == "completed"
_searched = (
    func.coalesce(_task.c.title_key, _task.c.title)
    + "\n"
    + func.coalesce(_task.c.description_key, _task.c.description, "")
)

FILTERS: dict[Filter, ColumnElement[bool]] = {
    "status": _task.c.status == _its["status"],
    "completed_by_status": _is_completed == bindparam("completed_by_status", type_=Boolean()),
    "completed": _is_completed == bindparam("completed", type_=Boolean()),
    "priority": _task.c.priority == _its["priority"],
    "category_key": _task.c.category_id.in_(
        select(_category.c.id).where(
            _category.c.user_id == _its["user_id"],
            _category.c.name_key == bindparam("category_key", type_=Text()),
        )
    ),
    "category_id": _task.c.category_id == _its["category_id"],
    "tag": bindparam("tag", type_=Text()) == any_(_task.c.tags),
    "due_before": _task.c.due_at < bindparam("due_before", type_=_task.c.due_at.type),
    "due_after": _task.c.due_at > bindparam("due_after", type_=_task.c.due_at.type),
    "words": _searched.like(func.all(bindparam("words", type_=ARRAY(Text())))),
}
"""What each filter of a list asks of a task."""

Continues = Literal["from_value", "from_null"]
"""After a row that has a value in the order's column, or after one that has none."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What makes one list's statement another's: not the values, which are parameters."""

    filters: frozenset[Filter] = frozenset()
    sort: str = "created_at"
    descending: bool = True
    continues: Continues | None = None
    counted: bool = False
    deleted: bool = False

    def continued(self, continues: Continues) -> "Shape":
        """The same list, from a row on."""
        return replace(self, continues=continues)


@lru_cache(maxsize=512)
def list_(shape: Shape, profile: Profile = DEFAULT) -> Statement:
    """A page. Rows: (json) in order; counted: (json, total) and at least one row, whose json may be null."""
    matching = and_(TRASHED if shape.deleted else LIVE, *(FILTERS[name] for name in sorted(shape.filters)))
    sort = SORTS[shape.sort]
    wanted = matching
    if shape.continues:
        wanted = and_(matching, sort.after(shape.descending, shape.continues == "from_null"))
    rows = (
        select(_task, _category.c.name.label("category"))
        .select_from(with_category(_task))
        .where(wanted)
        .order_by(*sort.order(shape.descending))
    )
    counted = select(_task.c.id).where(matching) if shape.counted else None
    return page(rows, lambda chosen: wire(chosen, chosen.c.category, profile), counted)
