"""The statements of the trash: into it, out of it, and out of the world. Each names the user.

Task: T-018 · Spec: plan.md#statements
"""

from functools import lru_cache

from sqlalchemy import null, update

from todo_tasks.expiry import expired_rows, users_with_expired
from todo_tasks.profile import DEFAULT, Profile
from todo_tasks.statement import Statement
from todo_tasks.tasks.models import Task
from todo_tasks.tasks.statements import IN_TRASH, NOW, THIS, answered, fits

_task = Task.metadata.tables["task"]
_changed = {"updated_at": NOW, "version": _task.c.version + 1}


@lru_cache
def delete(conditional: bool) -> Statement:
    """Put a task into the trash. `conditional`: as of `statements.change`. Rows: 0 or 1 of (id)."""
    return Statement.of(
        update(_task).where(*fits(THIS, conditional)).values(deleted_at=NOW, **_changed).returning(_task.c.id)
    )


@lru_cache
def restore(kept: bool, profile: Profile = DEFAULT) -> Statement:
    """Take a task out of the trash. `kept`: as of `statements.change`. Rows: 0 or 1 of (json, version)."""
    restored = update(_task).where(IN_TRASH).values(deleted_at=null(), **_changed).returning(*_task.c)
    return answered(restored.cte("restored"), kept, profile)


@lru_cache
def users_with_old() -> Statement:
    """As `expiry.users_with_expired`, for the trash."""
    return users_with_expired(_task, _task.c.deleted_at)


@lru_cache
def delete_old() -> Statement:
    """As `expiry.expired_rows`, for the trash."""
    return expired_rows(_task, _task.c.deleted_at)
