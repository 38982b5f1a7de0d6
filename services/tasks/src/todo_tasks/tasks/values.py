"""From what a client sent to the parameters of a statement. Ids and times are made here, by the service.

Task: T-020 · Spec: plan.md#tasks-api
"""

from datetime import UTC, datetime

from uuid6 import uuid7

from todo_tasks.categories.models import name_key
from todo_tasks.tasks.models import Status
from todo_tasks.tasks.schemas import TaskCreate, TaskQuery, TaskUpdate
from todo_tasks.tasks.statements import FILTERS, CategorySource, Change, Filter

Values = dict[str, object]

DEFAULT_PRIORITY = "medium"
_LIKE = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})


def of_new(task: TaskCreate, user_id: str) -> tuple[CategorySource, Values]:
    """Where the category comes from, and the parameters of `statements.create`."""
    now = datetime.now(UTC)
    status: Status = "completed" if task.completed and task.status == "pending" else task.status
    values: Values = {
        "user_id": user_id,
        "id": uuid7(),
        "title": task.title,
        "description": task.description,
        "status": status,
        "completed_at": now if status == "completed" else None,
        "priority": task.priority or DEFAULT_PRIORITY,
        "tags": task.tags or [],
        "due_date": task.due_date and task.due_date.text,
        "due_at": task.due_date and task.due_date.ends_at,
        # Milliseconds: a new task comes last, and there is room between any two for one that is moved.
        "position": float(int(now.timestamp() * 1000)) if task.position is None else task.position,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    if task.category is not None:
        return "name", values | _category(task.category, now)
    if task.category_id is not None:
        return "id", values | {"category_id": task.category_id}
    return "none", values


def of_change(task: TaskUpdate) -> tuple[frozenset[Change], Values]:
    """What changes, and the parameters of `statements.change` but for the user and the task's id."""
    now = datetime.now(UTC)
    sent = task.model_fields_set
    changes: set[Change] = set()
    values: Values = {"updated_at": now}
    simple: dict[Change, object] = {
        "title": task.title,
        "description": task.description,
        "priority": task.priority or DEFAULT_PRIORITY,
        "tags": task.tags or [],
        "position": task.position,
        "status": task.status,
        "completed": task.completed,
        "category_id": task.category_id,
    }
    for name, value in simple.items():
        if name in sent:
            changes.add(name)
            values[name] = value
    if "due_date" in sent:
        changes.add("due_date")
        values["due_date"] = task.due_date and task.due_date.text
        values["due_at"] = task.due_date and task.due_date.ends_at
    if "category" in sent:
        changes.add("category_cleared" if task.category is None else "category_name")
        if task.category is not None:
            values |= _category(task.category, now)
    return frozenset(changes), values


def of_query(query: TaskQuery) -> tuple[frozenset[Filter], Values]:
    """The filters of a list that are in use, and their parameters, which have the filters' names."""
    asked: dict[Filter, object] = {
        "status": query.status,
        "completed": query.completed,
        "priority": query.priority,
        "category_key": query.category and name_key(query.category),
        "category_id": query.category_id,
        "tag": query.tag,
        "due_before": query.due_before and query.due_before.starts_at,
        "due_after": query.due_after and query.due_after.ends_at,
        "words": [f"%{word.translate(_LIKE)}%" for word in (query.search or "").split()] or None,
    }
    filters = frozenset(name for name in FILTERS if asked[name] is not None)
    return filters, {name: asked[name] for name in filters}


def _category(name: str, now: datetime) -> Values:
    return {
        "new_category_id": uuid7(),
        "category_name": name,
        "category_key": name_key(name),
        "category_at": now,
    }
