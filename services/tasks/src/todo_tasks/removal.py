"""Deletes all that is kept of one user, whom the issuer has deleted: for where no foreign key does it.

Task: T-053 · Spec: plan.md#commands
"""

from dataclasses import dataclass

from sqlalchemy import Engine, delete, select

from todo_tasks.categories.models import Category
from todo_tasks.idempotency.models import IdempotencyKey
from todo_tasks.tasks.models import Task
from todo_tasks.transfer.load import exists
from todo_tasks.transfer.progress import Progress

BATCH = 500

# Tasks before the categories that they refer to.
_TABLES = [
    model.metadata.tables[name]
    for model, name in ((IdempotencyKey, "idempotency_key"), (Task, "task"), (Category, "category"))
]


class StillThere(Exception):
    """The issuer has this user; nothing was deleted."""


@dataclass(frozen=True, slots=True)
class Removed:
    """How many rows were deleted."""

    answers: int
    tasks: int
    categories: int


def remove(engine: Engine, user_id: str, progress: Progress) -> Removed:
    """Delete the user's rows, a batch in each transaction: what was interrupted can be repeated. Raises
    StillThere where the issuer's table of users, in the same database, has the user.
    """
    with engine.connect() as connection:
        if exists(connection, user_id):
            raise StillThere
    counts = []
    for table in _TABLES:
        (id_,) = (column for column in table.primary_key if column.name != "user_id")
        its = table.c.user_id == user_id
        chosen = select(id_).where(its).limit(BATCH).cte("chosen")
        statement = delete(table).where(its, id_.in_(select(chosen.c[id_.name]))).returning(id_)
        count = 0
        while True:
            with engine.begin() as connection:
                deleted = len(connection.execute(statement).all())
            count += deleted
            progress.advance(deleted)
            if deleted < BATCH:
                break
        counts.append(count)
    return Removed(*counts)
