"""Reads a file of records into what a user has, all of it or nothing.

Ids are kept. What is there already, by its id, stays as it is, so that a file can be imported again, and adds
only what is missing. A category whose name the user has already is taken to be that one.

Task: T-053 · Spec: plan.md#commands
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Engine, column, exc, select, table
from sqlalchemy.dialects.postgresql import insert
from uuid6 import uuid7

from todo_tasks import constraints, ownership
from todo_tasks.categories.models import Category
from todo_tasks.tasks.models import Task
from todo_tasks.transfer.formats import Read
from todo_tasks.transfer.progress import Progress
from todo_tasks.transfer.records import CategoryRecord, TaskRecord

BATCH = 500
MAX_FAULTS = 20

_category = Category.metadata.tables["category"]
_task = Task.metadata.tables["task"]
_user = table("user", column("id"))


class Refused(Exception):
    """Nothing was imported. `reasons`: why, a sentence each."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = tuple(reasons)


@dataclass(slots=True)
class Imported:
    """How many were added, and how many records were of what is there already."""

    categories: int = 0
    tasks: int = 0
    there_already: int = 0


def load(engine: Engine, user_id: str, records: Read, progress: Progress) -> Imported:
    """Import in one transaction. Raises Refused, naming the first `MAX_FAULTS` lines that are wrong, and for
    a user that does not exist (where the issuer's table of users is in the same database).
    """
    try:
        with engine.begin() as connection:
            if exists(connection, user_id) is False:
                raise Refused(["There is no such user."])
            return _Import(connection, user_id, progress).run(records)
    except (exc.IntegrityError, exc.InternalError) as error:
        name = constraints.violated_in(error)
        if name is None and isinstance(error, exc.InternalError):
            raise
        if name in ownership.TIES.values():
            raise Refused(["There is no such user."]) from None
        raise Refused(["Something else changed the same categories meanwhile; please try again."]) from None


def exists(connection: Connection, user_id: str) -> bool | None:
    """Whether the issuer has this user; None where that cannot be known here."""
    if ownership.untied(connection) is not None:
        return None
    return connection.scalar(select(_user.c.id).where(_user.c.id == user_id)) is not None


class _Import:
    """One import. `_known`: the category that each of the file's ids stands for; None: there is none."""

    def __init__(self, connection: Connection, user_id: str, progress: Progress) -> None:
        self._connection = connection
        self._user_id = user_id
        self._progress = progress
        self._known: dict[UUID, UUID | None] = {}
        self._named: dict[str, UUID] = {}
        self._faults: list[str] = []
        self._imported = Imported()

    def run(self, records: Read) -> Imported:
        batch: list[tuple[int, TaskRecord]] = []
        for number, record in records:
            if isinstance(record, str):
                self._fault(number, record)
            elif isinstance(record, CategoryRecord):
                self._add_category(record)
                self._progress.advance(1)
            else:
                batch.append((number, record))
            if len(batch) == BATCH:
                self._add_tasks(batch)
                batch.clear()
        self._add_tasks(batch)
        if self._faults:
            raise Refused(self._faults)
        return self._imported

    def _fault(self, number: int, detail: str) -> None:
        self._faults.append(f"Line {number}: {detail}.")
        if len(self._faults) == MAX_FAULTS:
            raise Refused([*self._faults, "There may be more."])

    def _add_category(self, record: CategoryRecord) -> None:
        row = record.row(self._user_id)
        stored = self._stored_category(_category.c.id == record.id)
        if stored is None:
            stored = self._category_named(str(row["name_key"]), row)
        else:
            self._imported.there_already += 1
        self._known[record.id] = stored

    def _category_named(self, key: str, row: dict[str, object]) -> UUID:
        """The id of the user's category of this folded name, made of `row` where it is missing."""
        made = insert(_category).values(row).on_conflict_do_nothing().returning(_category.c.id)
        id_: UUID | None = self._connection.scalar(made)
        if id_ is not None:
            self._imported.categories += 1
            return id_
        found = self._stored_category(_category.c.name_key == key)
        if found is None:
            raise Refused(["Something else changed the same categories meanwhile; please try again."])
        self._imported.there_already += 1
        return found

    def _stored_category(self, which: ColumnElement[bool]) -> UUID | None:
        return self._connection.scalar(
            select(_category.c.id).where(_category.c.user_id == self._user_id, which)
        )

    def _add_tasks(self, batch: list[tuple[int, TaskRecord]]) -> None:
        ids = [record.id for _, record in batch]
        stored = select(_task.c.id).where(_task.c.user_id == self._user_id, _task.c.id.in_(ids))
        there = set(self._connection.scalars(stored))
        rows: dict[UUID, dict[str, Any]] = {}
        for number, record in batch:
            if record.id in there or record.id in rows:
                continue
            category_id = self._category_of(record)
            if category_id is None and record.category_id is not None:
                self._fault(number, "its category is neither before it in the file nor there already")
            else:
                rows[record.id] = record.row(self._user_id, category_id)
        # With faults there is nothing to import any more, only more faults to find.
        if rows and not self._faults:
            statement = insert(_task).on_conflict_do_nothing(index_elements=[_task.c.user_id, _task.c.id])
            added = self._connection.scalars(statement.returning(_task.c.id), list(rows.values())).all()
            self._imported.tasks += len(added)
            self._imported.there_already += len(batch) - len(added)
        elif not self._faults:
            self._imported.there_already += len(batch)
        self._progress.advance(len(batch))

    def _category_of(self, record: TaskRecord) -> UUID | None:
        if record.category_id is not None:
            if record.category_id not in self._known:
                self._known[record.category_id] = self._stored_category(_category.c.id == record.category_id)
            return self._known[record.category_id]
        if record.category is None:
            return None
        now = datetime.now(UTC)
        made = CategoryRecord(id=uuid7(), name=record.category, created_at=now, updated_at=now)
        row = made.row(self._user_id)
        key = str(row["name_key"])
        if key not in self._named:
            found = self._stored_category(_category.c.name_key == key)
            self._named[key] = found or self._category_named(key, row)
        return self._named[key]
