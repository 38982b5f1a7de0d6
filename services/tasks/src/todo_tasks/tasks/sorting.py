"""The orders of a list of tasks, and where a page continues in each.

Task: T-020 · Spec: plan.md#tasks-api
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Uuid, and_, bindparam, case, func, null, or_, tuple_

from todo_tasks.cursors import Cursor
from todo_tasks.folding import fold
from todo_tasks.tasks import due_dates
from todo_tasks.tasks.models import PRIORITIES, STATUSES, Task

_task = Task.metadata.tables["task"].c


def _itself(value: ColumnElement[Any]) -> ColumnElement[Any]:
    return value


def _rank(values: tuple[str, ...]) -> Callable[[ColumnElement[Any]], ColumnElement[Any]]:
    return lambda value: case({name: rank for rank, name in enumerate(values)}, value=value, else_=-1)


def _instant(value: str | float) -> datetime:
    return due_dates.parse(str(value)).ends_at


def _folded(value: str | float) -> str:
    return fold(str(value))


@dataclass(frozen=True, slots=True)
class Sort:
    """One order. `key` makes of a column, or of a value like the column's, what is compared; `read` makes
    that value of the wire's (a page's last row tells where the next begins). Nulls come last either way.
    """

    column: ColumnElement[Any]
    wire: str
    read: Callable[[str | float], object]
    key: Callable[[ColumnElement[Any]], ColumnElement[Any]] = _itself
    descending: bool = False
    nullable: bool = False

    def order(self, descending: bool) -> list[ColumnElement[Any]]:
        """ORDER BY; the id makes it total."""
        key, id_ = self.key(self.column), _task.id
        if not descending:
            # Ascending is PostgreSQL's order of an index, nulls last included.
            return [key.asc(), id_.asc()]
        return [key.desc().nulls_last() if self.nullable else key.desc(), id_.desc()]

    def after(self, descending: bool, from_null: bool) -> ColumnElement[bool]:
        """WHERE: the rows after the one with `after_value` and `after_id`; `from_null`: it has no value."""
        key = self.key(self.column)
        last_id = bindparam("after_id", type_=Uuid())
        if from_null:
            return and_(key.is_(null()), _task.id < last_id if descending else _task.id > last_id)
        last = tuple_(self.key(bindparam("after_value", type_=self.column.type)), last_id)
        row = tuple_(key, _task.id)
        rest = row < last if descending else row > last
        return or_(rest, key.is_(null())) if self.nullable else rest

    def position(self, cursor: Cursor) -> dict[str, object]:
        """The parameters of `after`; without `after_value` where the row has no value."""
        if cursor.value is None:
            return {"after_id": cursor.id}
        return {"after_id": cursor.id, "after_value": self.read(cursor.value)}


SORTS = {
    "created_at": Sort(_task.created_at, "created_at", _instant, descending=True),
    "updated_at": Sort(_task.updated_at, "updated_at", _instant, descending=True),
    "due_date": Sort(_task.due_at, "due_date", _instant, nullable=True),
    "completed_at": Sort(_task.completed_at, "completed_at", _instant, descending=True, nullable=True),
    "priority": Sort(_task.priority, "priority", str, key=_rank(PRIORITIES), descending=True),
    "status": Sort(_task.status, "status", str, key=_rank(STATUSES)),
    "title": Sort(func.coalesce(_task.title_key, _task.title), "title", _folded),
    "position": Sort(_task.position, "position", float),
}
"""Newest first is the default order, as most todo pages show it."""
