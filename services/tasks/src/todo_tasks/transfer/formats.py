"""Records as the lines of a file: JSON lines, which lose nothing, and CSV, for spreadsheets, with the tasks
alone and their categories' names.

Task: T-053 · Spec: plan.md#commands
"""

import csv
import json
from collections.abc import Iterator
from typing import BinaryIO, Literal, TextIO, TypeVar

from pydantic import ValidationError

from todo_service.problems import Problem
from todo_tasks import strict_json
from todo_tasks.transfer.records import CategoryRecord, TaskRecord

Format = Literal["jsonl", "csv"]
R = TypeVar("R", CategoryRecord, TaskRecord)
Read = Iterator[tuple[int, CategoryRecord | TaskRecord | str]]
"""Line numbers, from 1, each with its record, or with what is wrong with it."""

MAX_LINE = 1_048_576
"""Bytes; no record is half as long, however it is escaped."""
COLUMNS = (
    *("id", "title", "description", "status", "completed_at", "priority", "category", "tags", "due_date"),
    *("position", "version", "created_at", "updated_at", "deleted_at"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
"""What a spreadsheet may take a cell for more than text by, and the mark that says it is text."""
_TEXTS = frozenset({"title", "description", "category", "due_date"})


def write_json(record: CategoryRecord | TaskRecord, out: TextIO) -> None:
    """One line."""
    left_out = {"category"} if isinstance(record, TaskRecord) else set()
    out.write(record.model_dump_json(exclude=left_out) + "\n")


def read_json(file: BinaryIO) -> Read:
    """Lines of JSON; empty ones are passed over."""
    for number, line in _lines(file):
        if len(line) > MAX_LINE:
            yield number, f"is longer than {MAX_LINE} bytes"
            return
        if not line.strip():
            continue
        try:
            value = strict_json.parse(line.strip())
        except Problem as problem:
            yield number, _without_line(problem.detail)
            continue
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "category":
            yield number, _checked(CategoryRecord, value)
        elif kind == "task":
            yield number, _checked(TaskRecord, value)
        else:
            yield number, 'is not an object with the type "category" or "task"'


class CsvWriter:
    """Writes the header at once, and tasks as they come."""

    def __init__(self, out: TextIO) -> None:
        self._writer = csv.writer(out)
        self._writer.writerow(COLUMNS)

    def write(self, task: TaskRecord) -> None:
        """One row. Texts that a spreadsheet would run as a formula begin with an apostrophe."""
        members = task.model_dump(mode="json")
        members["tags"] = json.dumps(task.tags, ensure_ascii=False)
        self._writer.writerow([_cell(name, members[name]) for name in COLUMNS])


def read_csv(file: BinaryIO) -> Read:
    """Rows of CSV under a header. An empty cell is an absent value. Stops at what is no CSV."""
    number = 0

    def texts() -> Iterator[str]:
        nonlocal number
        for number, line in _lines(file):
            if len(line) > MAX_LINE:
                raise ValueError(f"is longer than {MAX_LINE} bytes")
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            if "\0" in text:
                raise ValueError("holds NUL")
            yield text

    try:
        rows = csv.reader(texts(), strict=True)
        header = next(rows, None)
        unknown = [name for name in header or [] if name not in COLUMNS]
        if not header or unknown or len(set(header)) < len(header):
            yield 1, f"is not a header of columns out of {', '.join(COLUMNS)}"
            return
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                yield number, f"has {len(row)} cells, and the header {len(header)}"
            else:
                yield number, _task(dict(zip(header, row, strict=True)))
    except UnicodeDecodeError:
        yield number, "is not UTF-8"
    except (csv.Error, ValueError) as error:
        yield number, str(error)


def _task(cells: dict[str, str]) -> TaskRecord | str:
    members: dict[str, object] = {
        name: _text(cell) if name in _TEXTS else cell for name, cell in cells.items() if cell
    }
    try:
        members["tags"] = json.loads(cells.get("tags") or "[]")
    except (ValueError, RecursionError):
        return "tags is not a JSON list"
    return _checked(TaskRecord, members)


def _cell(name: str, value: object) -> object:
    return f"'{value}" if name in _TEXTS and isinstance(value, str) and value.startswith(_FORMULA) else value


def _text(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA) else cell


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        yield number, line


def _checked(model: type[R], members: object) -> R | str:
    try:
        return model.model_validate(members)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:60]
        return f"{where}: {first['msg']}".removeprefix(": ").replace("Value error, ", "")


def _without_line(detail: str) -> str:
    """strict_json speaks of a body and of its lines; a line of a file is all there is here."""
    return (
        detail.replace("The body", "it").replace("of the body", "of it").partition(": line 1")[0].rstrip(".")
    )
