"""The statement that counts a user's tasks.

Task: T-018 · Spec: plan.md#statements
"""

from functools import lru_cache

from sqlalchemy import and_, bindparam, func, select

from todo_tasks.categories.models import Category
from todo_tasks.profile import DEFAULT, Profile
from todo_tasks.statement import Statement
from todo_tasks.tasks.models import Task
from todo_tasks.tasks.statements import LIVE
from todo_tasks.wire import Members, json_text

_task = Task.metadata.tables["task"]
_category = Category.metadata.tables["category"]


@lru_cache
def stats(profile: Profile = DEFAULT) -> Statement:
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
        .where(LIVE)
        .group_by(_task.c.category_id)
        .cte("per_category")
    )
    named = select(_category.c.name, _category.c.name_key, _category.c.id).where(
        _category.c.user_id == bindparam("user_id", type_=_category.c.user_id.type)
    )
    names = named.subquery("names")
    members = [names.c.name.label("category"), per.c.category_id, per.c.total, per.c.completed]
    counted = (
        select(*profile.written(members))
        .select_from(per.outerjoin(names, names.c.id == per.c.category_id))
        .order_by(names.c.name_key.asc())
        .subquery("counted")
    )
    by_category = select(func.coalesce(func.json_agg(counted.table_valued()), func.json_build_array()))
    sums: Members = [func.coalesce(func.sum(per.c[name]), 0).label(name) for name in counts]
    sums.append(by_category.scalar_subquery().label("by_category"))
    total = select(*profile.written(sums)).select_from(per)
    _, json = json_text(total)
    return Statement.of(select(json))
