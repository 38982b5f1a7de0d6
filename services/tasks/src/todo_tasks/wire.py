"""How a row becomes the JSON text of an answer: PostgreSQL writes it, from here comes how.

Task: T-018 · Spec: plan.md#statements
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Integer, Select, Text, bindparam, cast, func, select, true
from sqlalchemy.sql.selectable import Subquery

from todo_tasks.statement import Statement

Members = list[ColumnElement[Any]]


def instant(column: ColumnElement[Any]) -> ColumnElement[str]:
    """A timestamptz as RFC 3339 text in UTC, to the microsecond, whatever the session's time zone."""
    return func.to_char(func.timezone("UTC", column), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"', type_=Text)


def json_text(rows: Select[Any]) -> tuple[Subquery, ColumnElement[str]]:
    """A row source, and its row as the text of a JSON object whose members are the columns' labels.

    `row_to_json` over a subquery and one row an object: measured as fast as an array aggregated in SQL, and
    the end of a page can be told from its rows.
    """
    wire = rows.subquery("wire")
    return wire, cast(func.row_to_json(wire.table_valued()), Text).label("json")


def page(
    rows: Select[Any], members: Callable[[FromClause], Members], matching: Select[Any] | None
) -> Statement:
    """A page of `rows` (in their order), written only once they are chosen. Parameters: `limit`, `offset`.

    Rows: (json); with `matching`, whose rows are counted: (json, total), and at least one row, whose json may
    be null.
    """
    limited = rows.limit(bindparam("limit", type_=Integer())).offset(bindparam("offset", type_=Integer()))
    wire, json = json_text(select(*members(limited.subquery("page"))))
    written = select(json).select_from(wire)
    if matching is None:
        return Statement.of(written)
    total = select(func.count().label("total")).select_from(matching.subquery("matching")).subquery("counted")
    page_rows = written.subquery("rows")
    return Statement.of(
        select(page_rows.c.json, total.c.total).select_from(total.outerjoin(page_rows, true()))
    )
