import base64
import json
from uuid import UUID

import pytest
from httpx import AsyncClient
from hypothesis import given
from hypothesis import strategies as st

from todo_service.problems import Problem
from todo_tasks.paging import Cursor

ID = "01a20e5d-d6bc-7550-8af4-da3e8cca6a93"


def encoded(*fields: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(fields)).encode()).decode().rstrip("=")


@given(
    st.text(),
    st.booleans(),
    st.one_of(st.none(), st.text(), st.floats(allow_nan=False, allow_infinity=False)),
)
def test_a_cursor_comes_back_as_it_was(sort: str, descending: bool, value: str | float | None) -> None:
    cursor = Cursor(sort, descending, value, UUID(ID))
    if isinstance(value, str) and "\0" in value:
        return
    assert Cursor.decode(cursor.encode(), sort, descending) == cursor


@given(st.text(max_size=200))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(Problem) as refused:
        Cursor.decode(text, "title", False)
    assert refused.value.status == 422


BAD = [
    "x",
    "=",
    "====",
    "%",
    encoded(),
    encoded("created_at", True, "2030-01-01T00:00:00Z", "no id"),
    encoded("created_at", True, "2030-01-01T00:00:00Z", 5),
    encoded("created_at", True, "no instant", ID),
    encoded("created_at", True, "0001-01-01T00:00:00+23:59", ID),
    encoded("created_at", True, None, ID),
    encoded("created_at", True, True, ID),
    encoded("created_at", True, 5, ID),
    encoded("created_at", True, [1], ID),
    encoded("created_at", True, "2030-01-01T00:00:00Z", ID.upper()),
    encoded("created_at", True, "2030-01-01T00:00:00Z", ID, "more"),
    encoded("created_at", False, "2030-01-01T00:00:00Z", ID),
    encoded("updated_at", True, "2030-01-01T00:00:00Z", ID),
    "W" * 5000,
    "[" * 3000,
    base64.urlsafe_b64encode(b"[" * 40_000).decode(),
    base64.urlsafe_b64encode(b'{"2": 1, "3": 2}').decode(),
]


@pytest.mark.parametrize("cursor", BAD)
async def test_a_cursor_that_is_not_this_lists_is_422(client: AsyncClient, cursor: str) -> None:
    response = await client.get("/api/tasks", params={"cursor": cursor})
    assert response.status_code == 422
    assert response.json()["errors"][0]["parameter"] == "cursor"


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("sort_by=title", "\0"),
        ("sort_by=title", "\ud800"),
        ("sort_by=position", float("nan")),
        ("sort_by=position", float("inf")),
        ("sort_by=position", "5"),
        ("sort_by=due_date", "2030-02-30"),
    ],
)
async def test_a_forged_value_is_422(client: AsyncClient, query: str, value: object) -> None:
    cursor = encoded(query.partition("=")[2], False, value, ID)
    assert (await client.get(f"/api/tasks?{query}&cursor={cursor}")).status_code == 422


@pytest.mark.parametrize("path", ["/api/tasks", "/api/categories"])
async def test_an_offset_beside_a_cursor_is_422(client: AsyncClient, path: str) -> None:
    response = await client.get(f"{path}?cursor=x&offset=1")
    assert response.json()["errors"] == [{"parameter": "offset", "detail": "cannot be given beside cursor"}]
