import asyncio
import re
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient


async def create(client: AsyncClient, name: str = "Home", **members: object) -> dict[str, Any]:
    response = await client.post("/api/categories", json={"name": name, **members})
    assert response.status_code == 201, response.text
    category: dict[str, Any] = response.json()
    return category


async def test_a_category_is_created(client: AsyncClient) -> None:
    response = await client.post("/api/categories", json={"name": "  Home ", "color": "#ff8800"})
    assert response.status_code == 201
    category = response.json()
    assert response.headers["location"] == f"/api/categories/{category['id']}"
    assert UUID(category["id"]).version == 7
    assert category == {
        "id": category["id"],
        "user_id": client.headers["x-user-id"],
        "name": "Home",
        "color": "#ff8800",
        "task_count": 0,
        "created_at": category["created_at"],
        "updated_at": category["created_at"],
    }
    assert (await client.get(f"/api/categories/{category['id']}")).json() == category
    assert (await client.get("/api/categories")).json() == [category]


@pytest.mark.parametrize("name", ["Straße", "STRASSE", "strasse", " Straße "])
async def test_a_name_is_taken_once_without_regard_to_case(client: AsyncClient, name: str) -> None:
    await create(client, "Straße")
    other = await create(client, "Other")
    refused = [
        await client.post("/api/categories", json={"name": name}),
        await client.patch(f"/api/categories/{other['id']}", json={"name": name}),
    ]
    for response in refused:
        assert response.status_code == 409
        assert response.json()["errors"] == [{"pointer": "/name", "detail": "is taken"}]
    assert [c["name"] for c in (await client.get("/api/categories")).json()] == ["Other", "Straße"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_category_is_changed_and_its_tasks_with_it(client: AsyncClient, method: str) -> None:
    category = await create(client, color="red")
    task = (await client.post("/api/tasks", json={"title": "x", "category": "home"})).json()
    path = f"/api/categories/{category['id']}"
    changed = (await client.request(method, path, json={"name": "House"})).json()
    assert changed == category | {"name": "House", "task_count": 1, "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > category["updated_at"]
    moved = (await client.get(f"/api/tasks/{task['id']}")).json()
    assert (moved["category"], moved["version"]) == ("House", 2)
    # The name in another case is the same category, by a new name.
    assert (await client.request(method, path, json={"name": "HOUSE"})).json()["name"] == "HOUSE"
    cleared = (await client.request(method, path, json={"color": None})).json()
    assert (cleared["name"], cleared["color"]) == ("HOUSE", None)
    # A colour is no part of a task.
    assert (await client.get(f"/api/tasks/{task['id']}")).json()["version"] == 3
    assert (await client.request(method, path, json={})).json() == cleared
    assert (await client.request(method, path, json=cleared)).json() == cleared


async def test_deleting_a_category_keeps_its_tasks_without_it(client: AsyncClient) -> None:
    category = await create(client)
    kept = (await client.post("/api/tasks", json={"title": "kept", "category": "Home"})).json()
    binned = (await client.post("/api/tasks", json={"title": "binned", "category": "Home"})).json()
    await client.delete(f"/api/tasks/{binned['id']}")
    assert (await client.get(f"/api/categories/{category['id']}")).json()["task_count"] == 1
    response = await client.delete(f"/api/categories/{category['id']}")
    assert (response.status_code, response.content) == (204, b"")
    assert (await client.get("/api/categories")).json() == []
    task = (await client.get(f"/api/tasks/{kept['id']}")).json()
    assert (task["category"], task["category_id"], task["version"]) == (None, None, 2)
    assert (await client.delete(f"/api/categories/{category['id']}")).status_code == 404


async def test_deleting_a_category_while_tasks_join_it_loses_no_task(client: AsyncClient) -> None:
    for _ in range(5):
        category = await create(client)
        by_name, by_id = {"title": "n", "category": "Home"}, {"title": "i", "category_id": category["id"]}
        answers = await asyncio.gather(
            *(client.post("/api/tasks", json=json) for json in (by_name, by_id) * 4),
            client.delete(f"/api/categories/{category['id']}"),
        )
        assert answers[-1].status_code == 204
        assert {answer.status_code for answer in answers[:-1:2]} == {201}
        assert {answer.status_code for answer in answers[1:-1:2]} <= {201, 422}
        listed = {task["id"]: task for task in (await client.get("/api/tasks")).json()}
        for answer in answers[:-1]:
            if answer.status_code == 201:
                assert listed[answer.json()["id"]]["category_id"] != category["id"]
        for left in (await client.get("/api/categories")).json():
            await client.delete(f"/api/categories/{left['id']}")


async def test_categories_are_paged_in_the_order_of_their_names(client: AsyncClient) -> None:
    for name in ["b", "A", "ä", "C", "d"]:
        await create(client, name)
    names, query = [], "?limit=2&count=true"
    while query:
        response = await client.get(f"/api/categories{query}")
        assert response.headers["x-total-count"] == "5"
        names += [category["name"] for category in response.json()]
        link = re.fullmatch(r'<(.*)>; rel="next"', response.headers.get("link", ""))
        query = link[1] if link else ""
    assert names == ["A", "b", "C", "d", "ä"]
    assert [c["name"] for c in (await client.get("/api/categories?offset=3")).json()] == ["d", "ä"]
