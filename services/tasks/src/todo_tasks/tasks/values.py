"""From what a client sent to the parameters of a statement. Ids and times are made here, by the service.

Task: T-020 · Spec: plan.md#tasks-api
"""

import json
from datetime import UTC, datetime
from functools import lru_cache

from uuid6 import uuid7

from todo_tasks import folding
from todo_tasks.tasks.models import Status
from todo_tasks.tasks.names import COMPLETED_BY_STATUS
from todo_tasks.tasks.schemas import TaskCreate, TaskQuery, TaskUpdate
from todo_tasks.tasks.lists import FILTERS, Filter, Shape
from todo_tasks.tasks.sorting import SORTS
from todo_tasks.tasks.statements import CategorySource, Change

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
        "title_key": folding.key(task.title),
        "description": task.description,
        "description_key": folding.key(task.description),
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
    if "title" in sent:
        values["title_key"] = folding.key(task.title)
    if "description" in sent:
        values["description_key"] = folding.key(task.description)
    if "due_date" in sent:
        changes.add("due_date")
        values["due_date"] = task.due_date and task.due_date.text
        values["due_at"] = task.due_date and task.due_date.ends_at
    if "category" in sent:
        changes.add("category_cleared" if task.category is None else "category_name")
        if task.category is not None:
            values |= _category(task.category, now)
    return frozenset(changes), values


def of_query(query: TaskQuery, user_id: str) -> tuple[Shape, Values, bytes]:
    """The statement of a list, the parameters of its filters, which have the filters' names, and what a
    cursor of this list is bound to.
    """
    shape, parameters, bound = _asked(query)
    return shape, dict(parameters), f"{json.dumps(user_id)} {bound}".encode()


@lru_cache(maxsize=512)
def _asked(query: TaskQuery) -> tuple[Shape, Values, str]:
    """What `of_query` gives, but for the user."""
    words = folding.fold(query.search or "").split()
    is_word = query.status in COMPLETED_BY_STATUS
    asked: dict[Filter, object] = {
        "status": None if is_word else query.status,
        "completed_by_status": COMPLETED_BY_STATUS[query.status] if query.status and is_word else None,
        "completed": query.completed,
        "priority": query.priority,
        "category_key": query.category and folding.fold(query.category),
        "category_id": query.category_id,
        "tag": query.tag,
        "due_before": query.due_before and query.due_before.starts_at,
        "due_after": query.due_after and query.due_after.ends_at,
        "words": [f"%{word.translate(_LIKE)}%" for word in words] or None,
    }
    filters = frozenset(name for name in FILTERS if asked[name] is not None)
    parameters: Values = {str(name): asked[name] for name in filters}
    sort = SORTS[query.sort]
    descending = sort.descending if query.direction is None else query.direction == "desc"
    shape = Shape(filters, query.sort, descending, counted=query.count, deleted=query.deleted)
    bound = ["tasks", query.sort, descending, query.deleted, sorted(parameters.items())]
    return shape, parameters, json.dumps(bound, default=str)


def _category(name: str, now: datetime) -> Values:
    return {
        "new_category_id": uuid7(),
        "category_name": name,
        "category_key": folding.fold(name),
        "category_at": now,
    }
