import asyncio
import re
from uuid import UUID

import pytest
from httpx import AsyncClient, Response

CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


async def create(client: AsyncClient, **members: object) -> dict[str, object]:
    response = await client.post("/api/tasks", json={"title": "A task", **members})
    assert response.status_code == 201, response.text
    task: dict[str, object] = response.json()
    return task


async def titles(client: AsyncClient, query: str = "") -> list[str]:
    response = await client.get(f"/api/tasks{query}")
    assert response.status_code == 200, response.text
    return [task["title"] for task in response.json()]


async def test_a_task_is_created_with_the_defaults(client: AsyncClient) -> None:
    response = await client.post("/api/tasks", json={"title": "  Buy milk "})
    assert response.status_code == 201
    task = response.json()
    assert response.headers["location"] == f"/api/tasks/{task['id']}"
    assert response.headers["etag"] == '"1"'
    assert response.headers["content-type"] == "application/json"
    assert UUID(task["id"]).version == 7
    assert CREATED.fullmatch(task["created_at"])
    assert task["updated_at"] == task["created_at"]
    assert list(task) == [
        "id",
        "user_id",
        "title",
        "description",
        "status",
        "completed",
        "completed_at",
        "priority",
        "category",
        "category_id",
        "tags",
        "due_date",
        "position",
        "version",
        "created_at",
        "updated_at",
    ]
    rest = {name: task[name] for name in task if name not in ("id", "position", "created_at", "updated_at")}
    assert rest == {
        "user_id": client.headers["x-user-id"],
        "title": "Buy milk",
        "description": None,
        "status": "pending",
        "completed": False,
        "completed_at": None,
        "priority": "medium",
        "category": None,
        "category_id": None,
        "tags": [],
        "due_date": None,
        "version": 1,
    }


async def test_every_member_that_is_sent_comes_back(client: AsyncClient) -> None:
    sent = {
        "title": 'Überraschung 🎉 für "Ada" \\ <b>',
        "description": "one\ntwo\t三",
        "status": "in_progress",
        "priority": "urgent",
        "category": "Straße",
        "tags": [" a ", "b", "a", ""],
        "due_date": "2030-01-31",
        "position": 1.5,
    }
    task = await create(client, **sent)
    assert {name: task[name] for name in sent} == sent | {"tags": ["a", "b"]}
    read = await client.get(f"/api/tasks/{task['id']}")
    assert read.json() == task
    assert read.headers["etag"] == '"1"'
    assert (await client.get("/api/tasks")).json() == [task]


@pytest.mark.parametrize(
    "sent",
    [
        "2030-01-31",
        "2030-01-31T15:00:00Z",
        "2030-01-31T15:00:00.123456+05:30",
        "2030-01-31T15:00",
        "1900-01-01",
    ],
)
async def test_a_due_date_comes_back_in_the_form_it_was_given(client: AsyncClient, sent: str) -> None:
    assert (await create(client, due_date=sent))["due_date"] == sent


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"completed": True}, "completed"),
        ({"completed": False}, "pending"),
        ({"status": "completed"}, "completed"),
        ({"status": "completed", "completed": False}, "completed"),
        ({"status": "pending", "completed": True}, "completed"),
        ({"status": "in_progress", "completed": False}, "in_progress"),
        ({"completed": None}, "pending"),
    ],
)
async def test_status_and_completed_of_a_new_task_are_one_fact(
    client: AsyncClient, sent: dict[str, object], status: str
) -> None:
    task = await create(client, **sent)
    assert task["status"] == status
    assert task["completed"] is (status == "completed")
    assert (task["completed_at"] is not None) is (status == "completed")


@pytest.mark.parametrize(
    ("stored", "sent", "status"),
    [
        ("pending", {"completed": True}, "completed"),
        ("completed", {"completed": False}, "pending"),
        ("in_progress", {"completed": False}, "in_progress"),
        ("pending", {"status": "pending", "completed": True}, "completed"),
        ("completed", {"status": "completed", "completed": False}, "pending"),
        ("pending", {"status": "completed", "completed": False}, "completed"),
        ("completed", {"status": "pending", "completed": True}, "pending"),
        ("completed", {"status": "in_progress"}, "in_progress"),
    ],
)
async def test_where_status_and_completed_disagree_the_one_that_differs_from_the_stored_task_wins(
    client: AsyncClient, stored: str, sent: dict[str, object], status: str
) -> None:
    task = await create(client, status=stored)
    changed = (await client.patch(f"/api/tasks/{task['id']}", json=sent)).json()
    assert changed["status"] == status
    assert changed["completed"] is (status == "completed")
    assert (changed["completed_at"] is not None) is (status == "completed")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_only_the_fields_that_are_sent_change(client: AsyncClient, method: str) -> None:
    task = await create(client, description="kept", tags=["x"], due_date="2030-01-01", category="Home")
    response = await client.request(method, f"/api/tasks/{task['id']}", json={"title": "New"})
    assert response.status_code == 200
    assert response.headers["etag"] == '"2"'
    changed = response.json()
    assert changed["updated_at"] > task["updated_at"]
    assert changed == task | {"title": "New", "version": 2, "updated_at": changed["updated_at"]}


async def test_a_change_that_changes_nothing_is_not_a_new_version(client: AsyncClient) -> None:
    task = await create(client, tags=["x"], due_date="2030-01-01", category="Home", completed=True)
    for method in ("PUT", "PATCH"):
        response = await client.request(method, f"/api/tasks/{task['id']}", json=task)
        assert response.json() == task
    assert (await client.patch(f"/api/tasks/{task['id']}", json={})).json() == task


async def test_null_clears_what_can_be_cleared(client: AsyncClient) -> None:
    task = await create(
        client, description="d", tags=["x"], due_date="2030-01-01", category="Home", priority="low"
    )
    nothing = dict.fromkeys(["description", "due_date", "category", "tags", "priority"])
    changed = (await client.patch(f"/api/tasks/{task['id']}", json=nothing)).json()
    cleared: dict[str, object] = {
        "description": None,
        "due_date": None,
        "category": None,
        "category_id": None,
        "tags": [],
    }
    assert changed == task | cleared | {
        "priority": "medium",
        "version": 2,
        "updated_at": changed["updated_at"],
    }


async def test_empty_texts_of_a_form_are_null(client: AsyncClient) -> None:
    task = await create(client, description="", due_date="", category=" ", category_id="")
    assert [task[name] for name in ("description", "due_date", "category", "category_id")] == [None] * 4


async def test_read_only_members_are_ignored(client: AsyncClient) -> None:
    lies = {
        "id": "00000000-0000-7000-8000-000000000000",
        "user_id": "mallory",
        "version": 99,
        "created_at": "1999-01-01T00:00:00Z",
        "updated_at": 5,
        "completed_at": None,
    }
    task = await create(client, **lies)
    assert task["user_id"] == client.headers["x-user-id"]
    assert task["version"] == 1
    changed = (await client.put(f"/api/tasks/{task['id']}", json=lies)).json()
    assert changed == task


async def test_a_deleted_task_is_gone(client: AsyncClient) -> None:
    task = await create(client)
    response = await client.delete(f"/api/tasks/{task['id']}")
    assert (response.status_code, response.content) == (204, b"")
    assert await titles(client) == []
    for method, path in [("GET", ""), ("DELETE", ""), ("POST", "/complete"), ("POST", "/uncomplete")]:
        assert (await client.request(method, f"/api/tasks/{task['id']}{path}")).status_code == 404
    assert (await client.patch(f"/api/tasks/{task['id']}", json={"title": "x"})).status_code == 404
    assert (await client.patch(f"/api/tasks/{task['id']}", json={"category": "Made"})).status_code == 404
    assert (await client.get("/api/categories")).json() == []


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("word", ["complete", "toggle"])
async def test_complete_without_a_body_toggles(client: AsyncClient, method: str, word: str) -> None:
    task = await create(client, status="in_progress")
    path = f"/api/tasks/{task['id']}/{word}"
    done = (await client.request(method, path)).json()
    assert (done["status"], done["completed"], done["version"]) == ("completed", True, 2)
    assert done["completed_at"] == done["updated_at"]
    response = await client.request(method, path, json={"title": "other members are ignored"})
    assert response.headers["etag"] == '"3"'
    undone = response.json()
    assert (undone["status"], undone["completed_at"], undone["title"]) == ("pending", None, "A task")


async def test_complete_with_a_body_sets_however_often_it_is_sent(client: AsyncClient) -> None:
    task = await create(client)
    path = f"/api/tasks/{task['id']}/complete"
    first = (await client.patch(path, json={"completed": True})).json()
    assert first["completed"] is True
    assert (await client.patch(path, json={"completed": True})).json() == first
    assert (await client.post(path, json={"completed": False})).json()["completed"] is False


async def test_uncomplete_sets_however_often_it_is_sent(client: AsyncClient) -> None:
    task = await create(client, completed=True)
    path = f"/api/tasks/{task['id']}/uncomplete"
    first = (await client.post(path)).json()
    assert (first["status"], first["version"]) == ("pending", 2)
    assert (await client.patch(path)).json() == first


async def test_concurrent_toggles_are_all_carried_out(client: AsyncClient) -> None:
    task = await create(client)
    path = f"/api/tasks/{task['id']}/toggle"
    answers = await asyncio.gather(*(client.post(path) for _ in range(21)))
    assert {answer.status_code for answer in answers} == {200}
    after = (await client.get(f"/api/tasks/{task['id']}")).json()
    assert (after["version"], after["completed"]) == (22, True)


async def test_a_category_is_found_or_made_by_its_name(client: AsyncClient) -> None:
    first = await create(client, category=" Ärzte ")
    second = await create(client, category="ÄRZTE")
    assert (first["category"], second["category"]) == ("Ärzte", "Ärzte")
    assert first["category_id"] == second["category_id"]
    third = await create(client)
    changed = (await client.patch(f"/api/tasks/{third['id']}", json={"category": "New"})).json()
    assert changed["category"] == "New"
    again = (await client.patch(f"/api/tasks/{third['id']}", json={"category": "new"})).json()
    assert again == changed
    names = [category["name"] for category in (await client.get("/api/categories")).json()]
    assert names == ["New", "Ärzte"]


async def test_concurrent_tasks_share_the_category_they_make(client: AsyncClient) -> None:
    tasks = await asyncio.gather(*(create(client, category="Shared") for _ in range(16)))
    assert len({task["category_id"] for task in tasks}) == 1


async def test_a_category_is_chosen_by_its_id(client: AsyncClient) -> None:
    home = (await create(client, category="Home"))["category_id"]
    task = await create(client, category_id=home)
    assert (task["category"], task["category_id"]) == ("Home", home)
    other = await create(client)
    changed = (await client.patch(f"/api/tasks/{other['id']}", json={"category_id": home})).json()
    assert changed["category"] == "Home"
    assert (await client.patch(f"/api/tasks/{other['id']}", json={"category_id": None})).json()[
        "category"
    ] is None


async def test_where_category_and_its_id_disagree_the_one_that_differs_from_the_stored_task_wins(
    client: AsyncClient,
) -> None:
    home = (await create(client, category="Home"))["category_id"]
    work = (await create(client, category="Work"))["category_id"]
    task = await create(client, category="Home")
    path = f"/api/tasks/{task['id']}"
    by_name = (await client.put(path, json=task | {"category": "Garden"})).json()
    assert by_name["category"] == "Garden"
    by_id = (await client.put(path, json=by_name | {"category_id": work})).json()
    assert (by_id["category"], by_id["category_id"]) == ("Work", work)
    cleared = (await client.put(path, json=by_id | {"category": None})).json()
    assert (cleared["category"], cleared["category_id"]) == (None, None)
    set_again = (await client.put(path, json=cleared | {"category_id": home})).json()
    assert set_again["category"] == "Home"
    cleared = (await client.put(path, json=set_again | {"category_id": None})).json()
    assert (cleared["category"], cleared["category_id"]) == (None, None)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_category_id_that_is_not_the_users_is_refused(client: AsyncClient, method: str) -> None:
    path = "/api/tasks" if method == "POST" else f"/api/tasks/{(await create(client))['id']}"
    unknown = {"title": "x", "category_id": "00000000-0000-7000-8000-000000000000"}
    response = await client.request(method, path, json=unknown)
    assert response.status_code == 422
    assert response.json()["errors"] == [
        {"pointer": "/category_id", "detail": "must be the id of one of your categories"}
    ]


@pytest.fixture
async def listed(client: AsyncClient) -> AsyncClient:
    await create(client, title="milk", priority="high", category="Home", tags=["shop"], due_date="2030-05-01")
    await create(client, title="Report 100%", status="in_progress", priority="low", description="for Ada")
    await create(
        client, title="call_Éva", completed=True, tags=["phone", "shop"], due_date="2030-05-02T09:00Z"
    )
    await create(client, title="alpha", priority="urgent", category="Work", due_date="2020-01-01")
    return client


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["alpha", "call_Éva", "Report 100%", "milk"]),
        ("?status=pending", ["alpha", "milk"]),
        ("?status=in_progress", ["Report 100%"]),
        ("?status=completed", ["call_Éva"]),
        ("?completed=true", ["call_Éva"]),
        ("?completed=false", ["alpha", "Report 100%", "milk"]),
        ("?priority=high", ["milk"]),
        ("?category=HOME", ["milk"]),
        ("?category=nowhere", []),
        ("?tag=shop", ["call_Éva", "milk"]),
        ("?tag=Shop", []),
        ("?due_before=2030-05-02", ["alpha", "milk"]),
        ("?due_before=2030-05-01", ["alpha"]),
        ("?due_after=2030-04-30", ["call_Éva", "milk"]),
        ("?due_after=2030-05-01", ["call_Éva"]),
        ("?due_after=2030-05-02T08:59:59Z&due_before=2030-05-02T11:00:01%2B02:00", ["call_Éva"]),
        ("?search=MILK", ["milk"]),
        ("?search=ada+report", ["Report 100%"]),
        ("?search=100%25", ["Report 100%"]),
        ("?search=%25", ["Report 100%"]),
        ("?search=_", ["call_Éva"]),
        ("?search=%5C", []),
        ("?search=%C3%A9va", ["call_Éva"]),
        ("?search=+", ["alpha", "call_Éva", "Report 100%", "milk"]),
        ("?search=&status=&limit=", ["alpha", "call_Éva", "Report 100%", "milk"]),
        ("?status=pending&priority=urgent&search=alp", ["alpha"]),
        ("?sort_by=created_at", ["alpha", "call_Éva", "Report 100%", "milk"]),
        ("?sort_by=created_at&order=asc", ["milk", "Report 100%", "call_Éva", "alpha"]),
        ("?sort_by=updated_at", ["alpha", "call_Éva", "Report 100%", "milk"]),
        ("?sort_by=priority", ["alpha", "milk", "call_Éva", "Report 100%"]),
        ("?sort_by=priority&order=asc", ["Report 100%", "call_Éva", "milk", "alpha"]),
        ("?sort_by=status", ["milk", "alpha", "Report 100%", "call_Éva"]),
        ("?sort_by=title", ["alpha", "call_Éva", "milk", "Report 100%"]),
        ("?sort_by=due_date", ["alpha", "milk", "call_Éva", "Report 100%"]),
        ("?sort_by=due_date&order=desc", ["call_Éva", "milk", "alpha", "Report 100%"]),
        ("?sort_by=completed_at&limit=1", ["call_Éva"]),
        ("?sort_by=position", ["milk", "Report 100%", "call_Éva", "alpha"]),
        ("?limit=2", ["alpha", "call_Éva"]),
        ("?limit=2&offset=1", ["call_Éva", "Report 100%"]),
        ("?offset=4", []),
    ],
)
async def test_a_list_is_filtered_sorted_and_cut(
    listed: AsyncClient, query: str, expected: list[str]
) -> None:
    assert await titles(listed, query) == expected


async def test_a_list_is_filtered_by_a_categorys_id(listed: AsyncClient) -> None:
    work = (await listed.get("/api/tasks?search=alpha")).json()[0]["category_id"]
    assert await titles(listed, f"?category_id={work}") == ["alpha"]
    assert await titles(listed, "?category_id=00000000-0000-7000-8000-000000000000") == []


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("count=true", "4"),
        ("count=true&limit=1", "4"),
        ("count=true&tag=shop", "2"),
        ("count=true&offset=9", "4"),
    ],
)
async def test_the_total_is_counted_on_request(listed: AsyncClient, query: str, total: str) -> None:
    response = await listed.get(f"/api/tasks?{query}")
    assert response.headers["x-total-count"] == total
    assert "x-total-count" not in (await listed.get("/api/tasks")).headers


async def test_the_total_of_nothing_is_0(client: AsyncClient) -> None:
    response = await client.get("/api/tasks?count=true")
    assert (response.json(), response.headers["x-total-count"]) == ([], "0")


async def test_a_list_without_limit_is_whole_up_to_1000_and_goes_on_by_link(client: AsyncClient) -> None:
    for _ in range(20):
        await asyncio.gather(*(create(client) for _ in range(50)))
    whole = await client.get("/api/tasks")
    assert len(whole.json()) == 1000
    assert "link" not in whole.headers
    last = await create(client, title="one more")
    first_page = await client.get("/api/tasks")
    assert (len(first_page.json()), first_page.json()[0]) == (1000, last)
    second_page = await client.get(next_of(first_page))
    assert len(second_page.json()) == 1
    assert "link" not in second_page.headers


def next_of(response: Response) -> str:
    """The address that the Link header's relative reference stands for."""
    match = re.fullmatch(r'<(\?[^>]*)>; rel="next"', response.headers["link"])
    assert match, response.headers["link"]
    return str(response.url.join(match[1]))


async def test_stats_count_the_users_tasks(listed: AsyncClient) -> None:
    await listed.delete(f"/api/tasks/{(await create(listed, category='Home'))['id']}")
    stats = (await listed.get("/api/stats")).json()
    by_category = stats.pop("by_category")
    assert stats == {"total": 4, "pending": 2, "in_progress": 1, "completed": 1, "overdue": 1}
    assert [(c["category"], c["total"], c["completed"]) for c in by_category] == [
        ("Home", 1, 0),
        ("Work", 1, 0),
        (None, 2, 1),
    ]
    assert [UUID(c["category_id"]).version for c in by_category[:2]] == [7, 7]


async def test_stats_of_no_tasks_are_zeros(client: AsyncClient) -> None:
    assert (await client.get("/api/stats")).json() == {
        "total": 0,
        "pending": 0,
        "in_progress": 0,
        "completed": 0,
        "overdue": 0,
        "by_category": [],
    }
