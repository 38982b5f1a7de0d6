from collections.abc import Callable

import pytest
from httpx import AsyncClient

ClientOf = Callable[..., AsyncClient]

ROUTES = [
    ("GET", "/api/tasks/{task}", None),
    ("PUT", "/api/tasks/{task}", {"title": "mine now"}),
    ("PATCH", "/api/tasks/{task}", {"title": "mine now", "category": "Made"}),
    ("PATCH", "/api/tasks/{task}", {}),
    ("DELETE", "/api/tasks/{task}", None),
    ("PATCH", "/api/tasks/{task}/complete", None),
    ("POST", "/api/tasks/{task}/complete", {"completed": True}),
    ("PATCH", "/api/tasks/{task}/toggle", None),
    ("POST", "/api/tasks/{task}/toggle", None),
    ("PATCH", "/api/tasks/{task}/uncomplete", None),
    ("POST", "/api/tasks/{task}/uncomplete", None),
    ("POST", "/api/tasks/{task}/restore", None),
    ("HEAD", "/api/tasks/{task}", None),
    ("HEAD", "/api/categories/{category}", None),
    ("GET", "/api/categories/{category}", None),
    ("PUT", "/api/categories/{category}", {"name": "mine now"}),
    ("PATCH", "/api/categories/{category}", {"color": "red"}),
    ("DELETE", "/api/categories/{category}", None),
]
NOWHERE = "01a20e5d-d6bc-7550-8af4-da3e8cca6a93"
MALFORMED = ["x", "1", NOWHERE.replace("-", ""), f"{{{NOWHERE}}}", NOWHERE + "0", "%00", "%C3%A9"]


@pytest.mark.parametrize(("method", "path", "json"), ROUTES)
async def test_another_users_id_is_as_one_that_does_not_exist(
    client_of: ClientOf, method: str, path: str, json: dict[str, object] | None
) -> None:
    ada = client_of()
    eve = client_of()
    task = (await ada.post("/api/tasks", json={"title": "Ada's", "category": "Home"})).json()
    state = [(await ada.get(where)).content for where in ("/api/tasks", "/api/categories", "/api/stats")]

    async def ask(task_id: str, category_id: str) -> tuple[int, bytes, list[str]]:
        where = path.format(task=task_id, category=category_id)
        response = await eve.request(method, where, json=json, headers={"X-Request-Id": "same"})
        return response.status_code, response.content, sorted(response.headers)

    others = await ask(task["id"], task["category_id"])
    assert others[0] == 404
    assert others == await ask(NOWHERE, NOWHERE)
    for malformed in MALFORMED:
        assert others == await ask(malformed, malformed)
    assert state == [
        (await ada.get(where)).content for where in ("/api/tasks", "/api/categories", "/api/stats")
    ]
    assert (await eve.get("/api/categories")).json() == []


async def test_lists_and_counts_hold_the_users_own(client_of: ClientOf) -> None:
    ada = client_of()
    eve = client_of()
    task = (await ada.post("/api/tasks", json={"title": "Ada's", "category": "Home"})).json()
    for query in ("", f"?category_id={task['category_id']}", "?category=Home", "?search=Ada&count=true"):
        response = await eve.get(f"/api/tasks{query}")
        assert response.json() == []
        assert response.headers.get("x-total-count", "0") == "0"
    assert (await eve.get("/api/categories?count=true")).headers["x-total-count"] == "0"
    assert (await eve.get("/api/stats")).json()["total"] == 0


async def test_another_users_category_cannot_be_used(client_of: ClientOf) -> None:
    ada = client_of()
    eve = client_of()
    task = (await ada.post("/api/tasks", json={"title": "Ada's", "category": "Home"})).json()
    refused = await eve.post("/api/tasks", json={"title": "x", "category_id": task["category_id"]})
    assert refused.status_code == 422
    made = (await eve.post("/api/tasks", json={"title": "x", "category": "Home"})).json()
    assert made["category_id"] != task["category_id"]


async def test_a_user_id_in_a_body_decides_nothing(client_of: ClientOf) -> None:
    ada = client_of()
    eve = client_of()
    user_id = ada.headers["x-user-id"]
    made = (await eve.post("/api/tasks", json={"title": "x", "user_id": user_id})).json()
    assert made["user_id"] == eve.headers["x-user-id"]
    assert (await ada.get("/api/tasks")).json() == []
