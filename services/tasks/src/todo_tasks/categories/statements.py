"""Every statement on categories. Each names the user; ids and times are parameters that the service makes.

Task: T-018 · Spec: plan.md#statements
"""

from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Text,
    Update,
    Uuid,
    and_,
    bindparam,
    func,
    insert,
    null,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.selectable import CTE

from todo_tasks.categories.models import Category
from todo_tasks.idempotency import statements as idempotency
from todo_tasks.profile import DEFAULT, Profile
from todo_tasks.statement import Statement
from todo_tasks.tasks.models import Task
from todo_tasks.wire import Members, instant, json_text, page

_category = Category.metadata.tables["category"]
_task = Task.metadata.tables["task"]

_its = {name: bindparam(name, type_=kind.type) for name, kind in _category.c.items()}
"""A parameter for each column, of the column's name and type."""
_user_id = _its["user_id"]
_mine = _category.c.user_id == _user_id
_this = and_(_mine, _category.c.id == _its["id"])


def find_or_create(stored: FromClause | None = None) -> CTE:
    """Part of a statement on a task: the user's category of a name (id, name), made where it is missing.

    `stored`: make it only where this has a row. Parameters: `new_category_id`, `category_name`,
    `category_key`, `category_at`.
    """
    values: dict[str, ColumnElement[Any]] = {
        "user_id": _user_id,
        "id": bindparam("new_category_id", type_=Uuid()),
        "name": bindparam("category_name", type_=Text()),
        "name_key": bindparam("category_key", type_=Text()),
        "created_at": bindparam("category_at", type_=_category.c.created_at.type),
        "updated_at": bindparam("category_at", type_=_category.c.created_at.type),
    }
    rows = select(*(value.label(name) for name, value in values.items()))
    if stored is not None:
        rows = rows.select_from(stored)
    return (
        upsert(_category)
        .from_select(list(values), rows)
        # A write that changes nothing: unlike DO NOTHING, it returns the row that is there, and locks it
        # against being deleted before the task refers to it.
        .on_conflict_do_update(
            index_elements=[_category.c.user_id, _category.c.name_key], set_={"name": _category.c.name}
        )
        .returning(_category.c.id, _category.c.name)
        .cte("wanted")
    )


def _wire(category: FromClause, profile: Profile) -> Members:
    """The members of a category on the wire, in their order."""
    c = category.c
    count = select(func.count()).where(
        _task.c.user_id == _user_id, _task.c.category_id == c.id, _task.c.deleted_at.is_(null())
    )
    members = [
        c.id,
        c.user_id,
        c.name,
        c.color,
        count.scalar_subquery().label("task_count"),
        instant(c.created_at).label("created_at"),
        instant(c.updated_at).label("updated_at"),
    ]
    return profile.written(members)


@lru_cache
def list_(continues: bool, counted: bool, profile: Profile = DEFAULT) -> Statement:
    """A page in the order of the names. Rows as of `wire.page`. `continues`: after `after_key`
    and `after_id`."""
    key, id_ = _category.c.name_key, _category.c.id
    rows = select(_category).where(_mine).order_by(key, id_)
    if continues:
        after = tuple_(bindparam("after_key", type_=Text()), bindparam("after_id", type_=Uuid()))
        rows = rows.where(tuple_(key, id_) > after)
    return page(rows, lambda chosen: _wire(chosen, profile), select(id_).where(_mine) if counted else None)


def select_json(profile: Profile = DEFAULT) -> Select[str]:
    """The expression of `read`, for a session."""
    found = select(_category).where(_this).subquery("found")
    wire, json = json_text(select(*_wire(found, profile)))
    return select(json).select_from(wire)


@lru_cache
def read(profile: Profile = DEFAULT) -> Statement:
    """One category. Rows: 0 or 1 of (json)."""
    return Statement.of(select_json(profile))


@lru_cache
def create(kept: bool, profile: Profile = DEFAULT) -> Statement:
    """A new category. `kept`: the answer is, as of `idempotency.statements.kept`. Rows: 1 of (json)."""
    made = insert(_category).values(_its).returning(_category).cte("made")
    _, json = json_text(select(*_wire(made, profile)))
    return idempotency.kept(select(json), _user_id, _its["id"]) if kept else Statement.of(select(json))


def touch_tasks(category: Category, now: datetime) -> Update:
    """For a session: move on the versions of the category's tasks, since its name is part of them."""
    its_tasks = and_(_task.c.user_id == category.user_id, _task.c.category_id == category.id)
    return update(_task).where(its_tasks).values(version=_task.c.version + 1, updated_at=now)


def detach_tasks(category: Category, now: datetime) -> Update:
    """For a session: take the tasks out of the category, those in the trash included."""
    return touch_tasks(category, now).values(category_id=null())
