from collections.abc import Callable

import pytest
from httpx import AsyncClient

Execute = Callable[..., list[tuple[object, ...]]]
NOWHERE = "01a20e5d-d6bc-7550-8af4-da3e8cca6a93"


async def create(client: AsyncClient, **members: object) -> dict[str, object]:
    task: dict[str, object] = (await client.post("/api/tasks", json={"title": "x", **members})).json()
    return task


async def ids(client: AsyncClient, query: str = "") -> list[object]:
    response = await client.get(f"/api/tasks{query}")
    assert response.status_code == 200, response.text
    return [task["id"] for task in response.json()]


async def test_a_deleted_task_is_in_the_trash_and_nowhere_else(client: AsyncClient) -> None:
    kept, deleted = await create(client), await create(client, category="Home", tags=["t"])
    await client.delete(f"/api/tasks/{deleted['id']}")
    assert await ids(client) == await ids(client, "?deleted=false") == [kept["id"]]
    (trashed,) = (await client.get("/api/tasks?deleted=true")).json()
    assert trashed == deleted | {"version": 2, "updated_at": trashed["updated_at"]}
    assert (await client.get("/api/stats")).json()["total"] == 1


async def test_the_trash_is_filtered_sorted_and_paged_as_a_list_is(client: AsyncClient) -> None:
    for title in ("a", "b", "c"):
        task = await create(client, title=title, tags=["t"] if title != "b" else [])
        await client.delete(f"/api/tasks/{task['id']}")
    response = await client.get("/api/tasks?deleted=true&tag=t&sort_by=title&limit=1&count=true")
    assert ([task["title"] for task in response.json()], response.headers["x-total-count"]) == (["a"], "2")
    query = response.headers["link"].partition("<")[2].partition(">")[0]
    assert [task["title"] for task in (await client.get(f"/api/tasks{query}")).json()] == ["c"]


async def test_a_restored_task_is_as_it_was_but_for_its_version(client: AsyncClient) -> None:
    task = await create(client, category="Home", due_date="2030-01-31", completed=True)
    await client.delete(f"/api/tasks/{task['id']}")
    response = await client.post(f"/api/tasks/{task['id']}/restore")
    assert (response.status_code, response.headers["etag"]) == (200, '"3"')
    restored = response.json()
    assert restored == task | {"version": 3, "updated_at": restored["updated_at"]}
    assert restored["updated_at"] > task["updated_at"]
    assert await ids(client) == [task["id"]]
    assert await ids(client, "?deleted=true") == []


async def test_a_task_whose_category_was_deleted_comes_back_without_it(client: AsyncClient) -> None:
    task = await create(client, category="Home")
    await client.delete(f"/api/tasks/{task['id']}")
    await client.delete(f"/api/categories/{task['category_id']}")
    assert (await client.post(f"/api/tasks/{task['id']}/restore")).json()["category"] is None


async def test_only_what_is_in_the_trash_can_be_restored(client: AsyncClient) -> None:
    task = await create(client)
    refused = await client.post(f"/api/tasks/{task['id']}/restore")
    assert (refused.status_code, refused.json()["detail"]) == (409, "The task is not in the trash.")
    assert (await client.get(f"/api/tasks/{task['id']}")).json() == task
    assert (await client.post(f"/api/tasks/{NOWHERE}/restore")).status_code == 404
    assert (await client.post("/api/tasks/x/restore")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/toggle"), ("POST", "/complete")],
)
async def test_a_task_in_the_trash_can_only_be_restored(client: AsyncClient, method: str, path: str) -> None:
    task = await create(client)
    await client.delete(f"/api/tasks/{task['id']}")
    before = (await client.get("/api/tasks?deleted=true")).content
    for json in ({"title": "y", "category": "Made"}, {}):
        body = json if method in ("PUT", "PATCH") else None
        response = await client.request(method, f"/api/tasks/{task['id']}{path}", json=body)
        assert response.status_code == 404
    assert (await client.get("/api/tasks?deleted=true")).content == before
    assert (await client.get("/api/categories")).json() == []


async def test_the_version_that_a_client_had_before_is_stale_after(client: AsyncClient) -> None:
    task = await create(client)
    path = f"/api/tasks/{task['id']}"
    await client.delete(path, headers={"If-Match": '"1"'})
    await client.post(f"{path}/restore")
    assert (await client.patch(path, json={"title": "y"}, headers={"If-Match": '"1"'})).status_code == 412
