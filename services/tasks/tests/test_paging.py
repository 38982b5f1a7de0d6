import re
from collections.abc import Callable

import pytest
from httpx import AsyncClient, Response

ClientOf = Callable[..., AsyncClient]


async def create(client: AsyncClient, count: int, **members: object) -> None:
    for number in range(count):
        await client.post("/api/tasks", json={"title": f"task {number}", **members})


def cursor_of(response: Response) -> str:
    match = re.search(r"cursor=([^&>]+)", response.headers["link"])
    assert match, response.headers
    return match[1]


@pytest.mark.parametrize("cursor", ["x", "=", "%25", "W" * 5000, "é", "%00"])
@pytest.mark.parametrize("path", ["/api/tasks", "/api/categories"])
async def test_a_cursor_that_nobody_gave_out_is_422(client: AsyncClient, path: str, cursor: str) -> None:
    response = await client.get(f"{path}?cursor={cursor}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["parameter"] == "cursor"


async def test_a_cursor_holds_for_its_user_order_and_filters_only(client_of: ClientOf) -> None:
    ada, eve = client_of(), client_of()
    for client in (ada, eve):
        await create(client, 3, tags=["t"])
    query = "sort_by=title&tag=t"
    cursor = cursor_of(await ada.get(f"/api/tasks?{query}&limit=1"))
    assert len((await ada.get(f"/api/tasks?{query}&cursor={cursor}")).json()) == 2
    # What does not change the list may change: its names, the size of a page, the count.
    for same in (
        "sort=title&order=asc&tag=t",
        f"{query}&limit=2",
        f"{query}&count=true",
        "sortBy=title&tag=t",
    ):
        assert (await ada.get(f"/api/tasks?{same}&cursor={cursor}")).status_code == 200
    for other in (
        "sort_by=title",
        "sort_by=title&tag=u",
        "tag=t",
        f"{query}&order=desc",
        f"{query}&deleted=true",
        f"{query}&search=task",
        "sort_by=position&tag=t",
    ):
        assert (await ada.get(f"/api/tasks?{other}&cursor={cursor}")).status_code == 422, other
    assert (await eve.get(f"/api/tasks?{query}&cursor={cursor}")).status_code == 422
    assert (await ada.get(f"/api/categories?cursor={cursor}")).status_code == 422


@pytest.mark.parametrize("path", ["/api/tasks", "/api/categories"])
@pytest.mark.parametrize(
    ("query", "parameter", "detail"),
    [
        ("cursor=x&offset=1", "offset", "cannot be given beside cursor"),
        ("cursor=x&page=2", "page", "cannot be given beside cursor"),
        ("skip=1&page=2", "page", "cannot be given beside offset"),
    ],
)
async def test_a_beginning_that_is_said_twice_is_422(
    client: AsyncClient, path: str, query: str, parameter: str, detail: str
) -> None:
    response = await client.get(f"{path}?{query}")
    assert response.json()["errors"] == [{"parameter": parameter, "detail": detail}]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=2&page=1", ["task 4", "task 3"]),
        ("limit=2&page=2", ["task 2", "task 1"]),
        ("page_size=2&page=3", ["task 0"]),
        ("pageSize=2&page=4", []),
        ("page=2", []),
        ("limit=2&skip=3", ["task 1", "task 0"]),
        ("page_size=1", ["task 4"]),
        ("page=2147483", []),
    ],
)
async def test_a_page_is_found_by_its_number_or_by_what_is_skipped(
    client: AsyncClient, query: str, expected: list[str]
) -> None:
    await create(client, 5)
    response = await client.get(f"/api/tasks?{query}")
    assert [task["title"] for task in response.json()] == expected


@pytest.mark.parametrize("query", ["skip=1&limit=2", "page=2&page_size=2"])
async def test_the_next_page_follows_the_one_before_however_that_was_found(
    client: AsyncClient, query: str
) -> None:
    await create(client, 6)
    whole = [task["title"] for task in (await client.get("/api/tasks")).json()]
    first = await client.get(f"/api/tasks?{query}")
    second = await client.get(f"/api/tasks?limit=2&cursor={cursor_of(first)}")
    end = whole.index(first.json()[-1]["title"])
    assert [task["title"] for task in second.json()] == whole[end + 1 : end + 3]
