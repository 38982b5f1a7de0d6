"""Every statement on tasks. Each names the user; ids and times are parameters that the service makes.

Task: T-018 · Spec: plan.md#statements
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    FromClause,
    Text,
    and_,
    any_,
    bindparam,
    case,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql.selectable import CTE, NamedFromClause

from todo_tasks.categories import statements as categories
from todo_tasks.categories.models import Category
from todo_tasks.statement import Statement
from todo_tasks.tasks.models import Task
from todo_tasks.tasks.sorting import SORTS
from todo_tasks.wire import Members, instant, json_text, page

_task = Task.metadata.tables["task"]
_category = Category.metadata.tables["category"]

_its = {name: bindparam(name, type_=kind.type) for name, kind in _task.c.items()}
"""A parameter for each column, of the column's name and type."""
_now = _its["updated_at"]
_completed = bindparam("completed", type_=Boolean())

_live = and_(_task.c.user_id == _its["user_id"], _task.c.deleted_at.is_(null()))
_this = and_(_task.c.id == _its["id"], _live)


def _wire(task: FromClause, category: ColumnElement[Any]) -> Members:
    """The members of a task on the wire, in their order."""
    t = task.c
    return [
        t.id,
        t.user_id,
        t.title,
        t.description,
        t.status,
        (t.status == "completed").label("completed"),
        instant(t.completed_at).label("completed_at"),
        t.priority,
        category.label("category"),
        t.category_id,
        t.tags,
        t.due_date,
        t.position,
        t.version,
        instant(t.created_at).label("created_at"),
        instant(t.updated_at).label("updated_at"),
    ]


def _with_category(task: FromClause) -> FromClause:
    return task.outerjoin(
        _category, and_(_category.c.user_id == task.c.user_id, _category.c.id == task.c.category_id)
    )


def _answer(task: NamedFromClause, wanted: CTE | None = None) -> Statement:
    """The task's JSON text and its version. `wanted`: a category that this statement may just have made,
    which its own reading of the table cannot see.
    """
    name: ColumnElement[Any] = _category.c.name
    source = _with_category(task)
    if wanted is not None:
        source = source.outerjoin(wanted, wanted.c.id == task.c.category_id)
        name = func.coalesce(name, wanted.c.name)
    wire, json = json_text(select(*_wire(task, name)).select_from(source))
    return Statement.of(select(json, wire.c.version))


@lru_cache
def read() -> Statement:
    """One task. Rows: 0 or 1 of (json, version)."""
    return _answer(select(_task).where(_this).subquery("found"))


Filter = Literal[
    "status",
    "completed",
    "priority",
    "category_key",
    "category_id",
    "tag",
    "due_before",
    "due_after",
    "words",
]

_text_of_task = _task.c.title + "\n" + func.coalesce(_task.c.description, "")

FILTERS: dict[Filter, ColumnElement[bool]] = {
    "status": _task.c.status == _its["status"],
    "completed": (_task.c.status == "completed") == _completed,
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
    "words": _text_of_task.ilike(func.all(bindparam("words", type_=ARRAY(Text())))),
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


@lru_cache(maxsize=512)
def list_(shape: Shape) -> Statement:
    """A page. Rows: (json) in order; counted: (json, total) and at least one row, whose json may be null."""
    matching = and_(_live, *(FILTERS[name] for name in sorted(shape.filters)))
    sort = SORTS[shape.sort]
    wanted = matching
    if shape.continues:
        wanted = and_(matching, sort.after(shape.descending, shape.continues == "from_null"))
    rows = (
        select(_task, _category.c.name.label("category"))
        .select_from(_with_category(_task))
        .where(wanted)
        .order_by(*sort.order(shape.descending))
    )
    counted = select(_task.c.id).where(matching) if shape.counted else None
    return page(rows, lambda chosen: _wire(chosen, chosen.c.category), counted)


CategorySource = Literal["none", "id", "name"]
"""Where a new task's category comes from: it has none, its id is given, or its name is found or created."""


@lru_cache
def create(category: CategorySource) -> Statement:
    """A new task. Rows: 1 of (json, version)."""
    values: dict[str, ColumnElement[Any]] = {**_its, "deleted_at": null()}
    if category == "none":
        values["category_id"] = null()
    if category != "name":
        made = insert(_task).values(values).returning(_task).cte("made")
        return _answer(made)
    wanted = categories.find_or_create()
    values["category_id"] = wanted.c.id
    rows = select(*(value.label(name) for name, value in values.items())).select_from(wanted)
    made = insert(_task).from_select(list(values), rows).returning(_task).cte("made")
    return _answer(made, wanted)


Change = Literal[
    "title",
    "description",
    "priority",
    "tags",
    "position",
    "due_date",
    "status",
    "completed",
    "toggled",
    "category_id",
    "category_name",
    "category_cleared",
]
"""What an update may say. `category_name`: found or created; `category_cleared`: its name is null."""


@lru_cache(maxsize=512)
def change(changes: frozenset[Change]) -> Statement:
    """Change a task; the version moves on only where something differs. Rows: 0 or 1 of (json, version)."""
    new: dict[str, ColumnElement[Any]] = {
        name: _its[name]
        for name in ("title", "description", "priority", "tags", "position", "due_date")
        if name in changes
    }
    if "due_date" in new:
        new["due_at"] = _its["due_at"]
    if changes & {"status", "completed", "toggled"}:
        status = new["status"] = _new_status(changes)
        new["completed_at"] = case((status == "completed", func.coalesce(_task.c.completed_at, _now)))
    wanted = None
    if "category_name" in changes:
        wanted = categories.find_or_create(select(_task).where(_this).subquery("stored"))
    if changes & {"category_name", "category_id", "category_cleared"}:
        new["category_id"] = _new_category(changes, null() if wanted is None else wanted.c.id)
    differs = or_(*(_task.c[name].is_distinct_from(value) for name, value in new.items()))
    statement = (
        update(_task)
        .where(_this if wanted is None else and_(_this, wanted.c.id.is_not(null())))
        .values(
            **new,
            version=_task.c.version + case((differs, literal(1)), else_=literal(0)),
            updated_at=case((differs, _now), else_=_task.c.updated_at),
        )
        .returning(*_task.c)
    )
    return _answer(statement.cte("changed"), wanted)


def _new_status(changes: frozenset[Change]) -> ColumnElement[Any]:
    """Where `status` and `completed` disagree, the one that differs from the stored task wins."""
    stored = _task.c.status
    if "toggled" in changes:
        return case((stored == "completed", literal("pending")), else_=literal("completed"))
    if "completed" not in changes:
        return _its["status"]
    by_completed = case(
        (_completed, literal("completed")), (stored == "completed", literal("pending")), else_=stored
    )
    if "status" not in changes:
        return by_completed
    return case((stored != _its["status"], _its["status"]), else_=by_completed)


def _new_category(changes: frozenset[Change], named: ColumnElement[Any]) -> ColumnElement[Any]:
    """Where the category's name and its id disagree, the one that differs from the stored task wins."""
    if "category_id" not in changes:
        return named
    if changes.isdisjoint({"category_name", "category_cleared"}):
        return _its["category_id"]
    stored = _task.c.category_id
    return case((stored.is_distinct_from(named), named), else_=_its["category_id"])


@lru_cache
def delete() -> Statement:
    """Put a task into the trash. Rows: 0 or 1 of (id)."""
    return Statement.of(
        update(_task)
        .where(_this)
        .values(deleted_at=_now, updated_at=_now, version=_task.c.version + 1)
        .returning(_task.c.id)
    )


@lru_cache
def stats() -> Statement:
    """Counts of the user's tasks. Rows: 1 of (json)."""
    status = _task.c.status
    overdue = and_(status != "completed", _task.c.due_at < bindparam("now", type_=_task.c.due_at.type))
    counts = {
        "total": func.count(),
        **{name: func.count().filter(status == name) for name in ("pending", "in_progress", "completed")},
        "overdue": func.count().filter(overdue),
    }
    per = (
        select(_task.c.category_id, *(count.label(name) for name, count in counts.items()))
        .where(_live)
        .group_by(_task.c.category_id)
        .cte("per_category")
    )
    named = select(_category.c.name, _category.c.name_key, _category.c.id).where(
        _category.c.user_id == _its["user_id"]
    )
    names = named.subquery("names")
    counted = (
        select(names.c.name.label("category"), per.c.category_id, per.c.total, per.c.completed)
        .select_from(per.outerjoin(names, names.c.id == per.c.category_id))
        .order_by(names.c.name_key.asc())
        .subquery("counted")
    )
    by_category = select(func.coalesce(func.json_agg(counted.table_valued()), func.json_build_array()))
    sums = [func.coalesce(func.sum(per.c[name]), 0).label(name) for name in counts]
    total = select(*sums, by_category.scalar_subquery().label("by_category")).select_from(per)
    _, json = json_text(total)
    return Statement.of(select(json))
