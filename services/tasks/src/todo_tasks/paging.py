"""Pages: where a list begins and ends, and the Link header (RFC 8288) to what follows.

Task: T-020 · Spec: plan.md#tasks-api
"""

import json
from functools import lru_cache
from typing import Annotated, NamedTuple
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from fastapi import Response
from pydantic import Field

from todo_service.problems import FieldError, Problem
from todo_tasks.cursors import Cursor, CursorKeys
from todo_tasks.database import Rows
from todo_tasks.inputs import JSON, Flag, Query, Whole, other_names
from todo_tasks.profile import Envelope, Profile

MAX_PAGE = 1_000
"""A list without `limit` is whole up to this many; most front ends read one answer and no Link."""
MAX_OFFSET = 2**31 - 1

Limit = Annotated[Whole, Field(ge=1, le=MAX_PAGE)]
Offset = Annotated[Whole, Field(ge=0, le=MAX_OFFSET)]
PageNumber = Annotated[Whole, Field(ge=1, le=MAX_OFFSET // MAX_PAGE)]

PAGE_PARAMETERS = other_names({"limit": ("page_size", "pageSize"), "offset": ("skip",)})
"""What the parameters of a page may also be called."""

_BEGINNINGS = {"cursor": None, "offset": 0, "page": 1}
"""The parameters that say where a page begins, and their values for the beginning."""


class PageQuery(Query):
    """Which part of a list: `limit` rows, from where `cursor`, `offset` or `page` (the first is 1) says."""

    other_names = PAGE_PARAMETERS

    limit: Limit = MAX_PAGE
    offset: Offset = 0
    page: PageNumber = 1
    cursor: str | None = None
    count: Flag = False

    @property
    def start(self) -> int:
        """How many rows come before the page. Raises Problem 422 where its beginning is said twice."""
        given = [name for name, first in _BEGINNINGS.items() if getattr(self, name) != first]
        if len(given) > 1:
            detail = f"cannot be given beside {given[0]}"
            errors = [FieldError(detail, parameter=given[1])]
            raise Problem(422, f"{given[1]} {detail}.", code="validation_failed", errors=errors)
        return self.offset or (self.page - 1) * self.limit


class Place(NamedTuple):
    """Which part of which list is answered: what was asked, in whose query string; `keys` sign its cursors,
    which hold for the list that `list_` stands for, and take their value from a row's `member`.
    """

    query: PageQuery
    query_string: bytes
    keys: CursorKeys
    list_: bytes
    member: str


def answer(rows: Rows, place: Place, envelope: Envelope | None) -> Response:
    """The answer with a page, as a JSON array or in its envelope. `rows`: one more than the limit where there
    is a next page, and counted where the envelope says so.
    """
    headers = {}
    cursor = None
    if rows and "total" in rows[0].keys():
        headers["X-Total-Count"] = str(rows[0]["total"])
    texts: list[str] = [row["json"] for row in rows if row["json"] is not None]
    if len(texts) > place.query.limit:
        del texts[place.query.limit :]
        last = json.loads(texts[-1])
        cursor = Cursor(last[place.member], UUID(last["id"])).encode(place.keys, place.list_)
        headers["Link"] = next_link(place.query_string, cursor)
    items = f"[{','.join(texts)}]"
    if envelope is None:
        return Response(items, headers=headers, media_type=JSON)
    total = int(rows[0]["total"]) if envelope.counts else 0
    return Response(_around(envelope, items, total, place.query, cursor), headers=headers, media_type=JSON)


def _around(envelope: Envelope, items: str, total: int, query: PageQuery, cursor: str | None) -> str:
    start = None if query.cursor else query.start
    places = {
        "total": total,
        "limit": query.limit,
        "offset": start,
        "page": None if start is None else start // query.limit + 1,
        "pages": -(-total // query.limit),
        "next_cursor": cursor,
    }
    return envelope.around(items=items, **{name: json.dumps(value) for name, value in places.items()})


def deleted(id_: UUID, profile: Profile) -> Response:
    """The answer to a DELETE that was carried out."""
    if profile.deleted is None:
        return Response(status_code=204)
    return Response(profile.deleted.around(id=f'"{id_}"'), media_type=JSON)


def next_link(query_string: bytes, cursor: str) -> str:
    """The Link header to the page after `cursor`: the same query, continued.

    A relative reference of nothing but a query (RFC 3986 §4.2): it holds whatever path the client used, and
    `Host` is never believed.
    """
    return f'<?{_same_list(query_string)}cursor={cursor}>; rel="next"'


@lru_cache(maxsize=512)
def _same_list(query_string: bytes) -> str:
    """The query without what says where a page begins, to be continued."""
    pairs = parse_qsl(query_string.decode("ascii"))
    kept = [pair for pair in pairs if PAGE_PARAMETERS.get(pair[0], pair[0]) not in _BEGINNINGS]
    return f"{urlencode(kept)}&" if kept else ""
