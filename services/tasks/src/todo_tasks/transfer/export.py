"""Writes all that a user has to a file, as of one moment and in bounded memory.

Task: T-053 · Spec: plan.md#commands
"""

from datetime import UTC, datetime
from typing import Any, TextIO

from sqlalchemy import Engine, Row, select

from todo_tasks.categories.models import Category
from todo_tasks.tasks.models import Task
from todo_tasks.tasks.statements import with_category
from todo_tasks.transfer.formats import CsvWriter, Format, write_json
from todo_tasks.transfer.progress import Progress
from todo_tasks.transfer.records import CategoryRecord, TaskRecord

BATCH = 500

_category = Category.metadata.tables["category"]
_task = Task.metadata.tables["task"]


def export(engine: Engine, user_id: str, format_: Format, out: TextIO, progress: Progress) -> None:
    """Write the user's categories (not to CSV) and tasks, the trash included, each in the order of ids."""
    write_csv = CsvWriter(out).write if format_ == "csv" else None
    # One snapshot for both tables; the rows come through a cursor, a batch at a time.
    options = {"isolation_level": "REPEATABLE READ", "yield_per": BATCH}
    with engine.connect().execution_options(**options) as connection:
        if write_csv is None:
            categories = select(_category).where(_category.c.user_id == user_id).order_by(_category.c.id)
            for batch in connection.execute(categories).partitions():
                for row in batch:
                    write_json(CategoryRecord.model_construct(**_members(row, CategoryRecord)), out)
                progress.advance(len(batch))
        tasks = (
            select(_task, _category.c.name.label("category"))
            .select_from(with_category(_task))
            .where(_task.c.user_id == user_id)
            .order_by(_task.c.id)
        )
        for batch in connection.execute(tasks).partitions():
            for row in batch:
                task = TaskRecord.model_construct(**_members(row, TaskRecord))
                if write_csv is None:
                    write_json(task, out)
                else:
                    write_csv(task)
            progress.advance(len(batch))


def _members(row: Row[Any], record: type[CategoryRecord] | type[TaskRecord]) -> dict[str, Any]:
    """A row's columns that its record has, times in UTC whatever the session's time zone."""
    return {
        name: value.astimezone(UTC) if isinstance(value, datetime) else value
        for name, value in row._mapping.items()
        if name in record.model_fields
    }
