"""Pages: the opaque cursor that continues a list, and the Link header (RFC 8288) that carries it.

Task: T-020 · Spec: plan.md#tasks-api
"""

import base64
import json
from dataclasses import dataclass
from typing import Annotated, NoReturn
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from fastapi import Response
from pydantic import Field

from todo_service.problems import FieldError, Problem
from todo_tasks.database import Rows
from todo_tasks.inputs import Whole

MAX_PAGE = 1_000
"""A list without `limit` is whole up to this many; most front ends read one answer and no Link."""

Limit = Annotated[Whole, Field(ge=1, le=MAX_PAGE)]
Offset = Annotated[Whole, Field(ge=0, le=2**31 - 1)]


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page: the sort it belongs to, its value there (None for null) and its id."""

    sort: str
    descending: bool
    value: str | float | None
    id: UUID

    def encode(self) -> str:
        """As it goes into a URL."""
        fields = [self.sort, self.descending, self.value, str(self.id)]
        return (
            base64.urlsafe_b64encode(json.dumps(fields, separators=(",", ":")).encode()).decode().rstrip("=")
        )

    @classmethod
    def decode(cls, text: str, sort: str, descending: bool) -> "Cursor":
        """Read a cursor of a list in this sort. Raises Problem 422 for any other text."""
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            fields = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            value, id_ = fields[2], UUID(fields[3])
            # A lone surrogate cannot be encoded, and PostgreSQL holds no NUL.
            well_formed = not isinstance(value, str) or b"\0" not in value.encode()
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            refuse_cursor()
        if fields != [sort, descending, value, str(id_)] or not well_formed:
            refuse_cursor()
        if isinstance(value, bool) or not isinstance(value, str | float | int | None):
            refuse_cursor()
        return cls(sort, descending, value, id_)


def refuse_cursor() -> NoReturn:
    """Raises the Problem of a cursor that is not one of this list's."""
    detail = "is not a cursor of this list in this order"
    raise Problem(
        422, f"cursor {detail}.", code="invalid_cursor", errors=[FieldError(detail, parameter="cursor")]
    )


def refuse_both(cursor: str, offset: int) -> None:
    """Raises Problem 422 where an offset is given beside a cursor, which says already where to begin."""
    if offset:
        detail = "cannot be given beside cursor"
        errors = [FieldError(detail, parameter="offset")]
        raise Problem(422, f"offset {detail}.", code="validation_failed", errors=errors)


def answer(rows: Rows, limit: int, query_string: bytes, sort: str, descending: bool, member: str) -> Response:
    """The answer with a page as a JSON array. `rows`: one more than `limit` where there is a next page; its
    cursor takes its value from the `member` of the last row.
    """
    headers = {}
    if rows and "total" in rows[0].keys():
        headers["X-Total-Count"] = str(rows[0]["total"])
    texts: list[str] = [row["json"] for row in rows if row["json"] is not None]
    if len(texts) > limit:
        del texts[limit:]
        last = json.loads(texts[-1])
        cursor = Cursor(sort, descending, last[member], UUID(last["id"]))
        headers["Link"] = next_link(query_string, cursor.encode())
    return Response(f"[{','.join(texts)}]", headers=headers, media_type="application/json")


def next_link(query_string: bytes, cursor: str) -> str:
    """The Link header to the page after `cursor`: the same query, continued.

    A relative reference of nothing but a query (RFC 3986 §4.2): it holds whatever path the client used, and
    `Host` is never believed.
    """
    kept = [pair for pair in parse_qsl(query_string.decode("ascii")) if pair[0] not in ("cursor", "offset")]
    return f'<?{urlencode([*kept, ("cursor", cursor)])}>; rel="next"'
