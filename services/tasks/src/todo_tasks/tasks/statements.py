"""The statements that read, create and change one task. Each names the user; ids and times are parameters
that the service makes.

Task: T-018 · Spec: plan.md#statements
"""

from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    FromClause,
    Integer,
    all_,
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
from todo_tasks.idempotency import statements as idempotency
from todo_tasks.profile import DEFAULT, Profile
from todo_tasks.statement import Statement
from todo_tasks.tasks.models import Task
from todo_tasks.wire import Members, instant, json_text

_task = Task.metadata.tables["task"]
_category = Category.metadata.tables["category"]

_its = {name: bindparam(name, type_=kind.type) for name, kind in _task.c.items()}
"""A parameter for each column, of the column's name and type."""
_completed = bindparam("completed", type_=Boolean())
NOW = _its["updated_at"]

_mine = _task.c.user_id == _its["user_id"]
LIVE = and_(_mine, _task.c.deleted_at.is_(null()))
TRASHED = and_(_mine, _task.c.deleted_at.is_not(null()))
"""The user's tasks: those outside the trash, which alone are there for all else, and those in it."""
THIS = and_(_task.c.id == _its["id"], LIVE)
IN_TRASH = and_(_task.c.id == _its["id"], TRASHED)
"""One task, by its id: outside the trash, and in it."""


def wire(task: FromClause, category: ColumnElement[Any], profile: Profile) -> Members:
    """The members of a task on the wire, in their order."""
    t = task.c
    members = [
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
    return profile.written(members, of_task=True)


def with_category(task: FromClause) -> FromClause:
    """Tasks, each with its category if it has one."""
    return task.outerjoin(
        _category, and_(_category.c.user_id == task.c.user_id, _category.c.id == task.c.category_id)
    )


def answered(task: NamedFromClause, kept: bool, profile: Profile, wanted: CTE | None = None) -> Statement:
    """The task's JSON text and its version. `wanted`: a category that this statement may just have made,
    which its own reading of the table cannot see. `kept`: as of `change`.
    """
    name: ColumnElement[Any] = _category.c.name
    source = with_category(task)
    if wanted is not None:
        source = source.outerjoin(wanted, wanted.c.id == task.c.category_id)
        name = func.coalesce(name, wanted.c.name)
    row, json = json_text(select(*wire(task, name, profile)).select_from(source))
    answer = select(json, row.c.version)
    return idempotency.kept(answer, _its["user_id"], _its["id"]) if kept else Statement.of(answer)


def fits(task: ColumnElement[bool], conditional: bool) -> list[ColumnElement[bool]]:
    """The conditions of a write: which task, and whether it is of a version that the request is meant for
    (`Preconditions.parameters`). The row is locked when they are asked, so that no other write comes between.
    """
    if not conditional:
        return [task]
    match = bindparam("match", type_=ARRAY(Integer()))
    none_match = bindparam("none_match", type_=ARRAY(Integer()))
    version = _task.c.version
    return [task, or_(match.is_(null()), version == any_(match)), version != all_(none_match)]


@lru_cache
def read(profile: Profile = DEFAULT) -> Statement:
    """One task. Rows: 0 or 1 of (json, version)."""
    return answered(select(_task).where(THIS).subquery("found"), False, profile)


CategorySource = Literal["none", "id", "name"]
"""Where a new task's category comes from: it has none, its id is given, or its name is found or created."""


@lru_cache
def create(category: CategorySource, kept: bool, profile: Profile = DEFAULT) -> Statement:
    """A new task. `kept`: as of `change`. Rows: 1 of (json, version)."""
    values: dict[str, ColumnElement[Any]] = {**_its, "deleted_at": null()}
    if category == "none":
        values["category_id"] = null()
    if category != "name":
        made = insert(_task).values(values).returning(_task).cte("made")
        return answered(made, kept, profile)
    wanted = categories.find_or_create()
    values["category_id"] = wanted.c.id
    rows = select(*(value.label(name) for name, value in values.items())).select_from(wanted)
    made = insert(_task).from_select(list(values), rows).returning(_task).cte("made")
    return answered(made, kept, profile, wanted)


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
def change(
    changes: frozenset[Change], conditional: bool, kept: bool, profile: Profile = DEFAULT
) -> Statement:
    """Change a task; the version moves on only where something differs. Rows: 0 or 1 of (json, version).

    `conditional`: only where the preconditions hold, as of `fits`. `kept`: the answer is kept for a request
    that may be repeated, as of `idempotency.statements.kept`.
    """
    new: dict[str, ColumnElement[Any]] = {
        name: _its[name]
        for name in ("title", "description", "priority", "tags", "position", "due_date")
        if name in changes
    }
    if "due_date" in new:
        new["due_at"] = _its["due_at"]
    if changes & {"status", "completed", "toggled"}:
        status = new["status"] = _new_status(changes)
        new["completed_at"] = case((status == "completed", func.coalesce(_task.c.completed_at, NOW)))
    conditions = fits(THIS, conditional)
    wanted = None
    if "category_name" in changes:
        # Locked, so that no category is made for a task which another request deletes or changes meanwhile.
        stored = select(_task).where(*conditions).with_for_update()
        wanted = categories.find_or_create(stored.subquery("stored"))
        conditions.append(wanted.c.id.is_not(null()))
    if changes & {"category_name", "category_id", "category_cleared"}:
        new["category_id"] = _new_category(changes, null() if wanted is None else wanted.c.id)
    differs = or_(*(_task.c[name].is_distinct_from(value) for name, value in new.items()))
    new |= {
        name: _its[name] for name in ("title_key", "description_key") if name.removesuffix("_key") in changes
    }
    statement = (
        update(_task)
        .where(*conditions)
        .values(
            **new,
            version=_task.c.version + case((differs, literal(1)), else_=literal(0)),
            updated_at=case((differs, NOW), else_=_task.c.updated_at),
        )
        .returning(*_task.c)
    )
    return answered(statement.cte("changed"), kept, profile, wanted)


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
