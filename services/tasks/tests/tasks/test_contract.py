"""The contract, row by row: what bodies and queries may say, and what it means."""

from typing import Any

import pytest
from httpx import AsyncClient

NOBODY = "00000000-0000-7000-8000-000000000000"


async def create(client: AsyncClient, **members: object) -> dict[str, Any]:
    response = await client.post("/api/tasks", json={"title": "x", **members})
    assert response.status_code == 201, response.text
    task: dict[str, Any] = response.json()
    return task


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"is_completed": True}, {"completed": True, "status": "completed"}),
        ({"is_complete": True}, {"completed": True}),
        ({"isCompleted": True}, {"completed": True}),
        ({"isComplete": True}, {"completed": True}),
        ({"isCompleted": True, "completed": True}, {"completed": True}),
        ({"dueDate": "2030-01-31"}, {"due_date": "2030-01-31"}),
        ({"dueDate": "2030-01-31", "due_date": "2030-01-31"}, {"due_date": "2030-01-31"}),
        ({"dueDate": ""}, {"due_date": None}),
        ({"due_date": ""}, {"due_date": None}),
        ({"category": ""}, {"category": None, "category_id": None}),
        ({"category": "  "}, {"category": None}),
        ({"categoryId": ""}, {"category_id": None}),
        ({"description": ""}, {"description": None}),
        ({"status": "completed", "isCompleted": False}, {"status": "completed"}),
        ({"status": "pending", "isCompleted": True}, {"status": "completed"}),
        ({"status": "in_progress", "completed": False}, {"status": "in_progress"}),
        ({"user_id": "mallory"}, {}),
        ({"userId": "mallory"}, {}),
        ({"id": NOBODY, "version": 9, "created_at": "", "updated_at": None, "completed_at": 5}, {}),
        ({"createdAt": "1999-01-01", "updatedAt": 0, "completedAt": []}, {}),
    ],
)
async def test_a_body_may_say_it_in_other_words(
    client: AsyncClient, method: str, sent: dict[str, object], expected: dict[str, object]
) -> None:
    if method == "POST":
        task = await create(client, **sent)
    else:
        stored = await create(client)
        response = await client.request(method, f"/api/tasks/{stored['id']}", json=sent)
        assert response.status_code == 200, response.text
        task = response.json()
        assert task["version"] == (1 if {name: stored[name] for name in expected} == expected else 2)
    assert {name: task[name] for name in expected} == expected
    assert task["user_id"] == client.headers["x-user-id"]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    ("sent", "pointer", "detail"),
    [
        (
            {"completed": True, "isCompleted": False},
            "/isCompleted",
            "says otherwise than another name of the same member",
        ),
        (
            {"dueDate": "2030-01-31", "due_date": "2030-02-01"},
            "/due_date",
            "says otherwise than another name of the same member",
        ),
        ({"isCompleted": "yes"}, "/isCompleted", "must be true or false"),
        ({"dueDate": "soon"}, "/dueDate", None),
        ({"categoryId": "soon"}, "/categoryId", "must be the id of one of your categories"),
        ({"dueDat": "2030-01-31"}, "/dueDat", "is not known here; did you mean 'dueDate'?"),
        ({"is_competed": True}, "/is_competed", "is not known here; did you mean 'is_completed'?"),
        ({"Title": "x"}, "/Title", "is not known here; did you mean 'title'?"),
        ({"due-date": "2030-01-31"}, "/due-date", "is not known here; did you mean 'due_date'?"),
    ],
)
async def test_what_does_not_fit_is_named_as_it_was_written(
    client: AsyncClient, method: str, sent: dict[str, object], pointer: str, detail: str | None
) -> None:
    path = "/api/tasks" if method == "POST" else f"/api/tasks/{(await create(client))['id']}"
    response = await client.request(method, path, json={"title": "x"} | sent)
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert error["pointer"] == pointer
    assert detail is None or error["detail"] == detail


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    ("word", "before", "body", "completed"),
    [
        ("complete", False, None, True),
        ("complete", True, None, False),
        ("complete", False, {}, True),
        ("complete", True, {"completed": True}, True),
        ("complete", True, {"isCompleted": False}, False),
        ("complete", False, {"is_complete": True, "title": 5, "nonsense": [1]}, True),
        ("complete", True, {"completed": None}, False),
        ("complete", False, {"id": NOBODY, "user_id": "mallory", "title": "y", "dueDate": "x"}, True),
        ("toggle", False, None, True),
        ("toggle", True, None, False),
        ("toggle", True, {"title": "y"}, False),
        ("uncomplete", True, None, False),
        ("uncomplete", False, None, False),
        ("uncomplete", True, {"completed": True, "more": 1}, False),
    ],
)
async def test_a_task_is_completed_and_not(
    client: AsyncClient, method: str, word: str, before: bool, body: object, completed: bool
) -> None:
    stored = await create(client, completed=before)
    response = await client.request(method, f"/api/tasks/{stored['id']}/{word}", json=body)
    assert response.status_code == 200, response.text
    task = response.json()
    assert (task["completed"], task["title"]) == (completed, "x")
    assert response.headers["etag"] == f'"{1 if before == completed else 2}"'


@pytest.fixture
async def listed(client: AsyncClient) -> AsyncClient:
    for title, status, due_date in [
        ("a pending", "pending", "2030-03-01"),
        ("B in progress", "in_progress", None),
        ("c completed", "completed", "2030-01-01"),
    ]:
        await create(client, title=title, status=status, due_date=due_date, category="Home")
    return client


PENDING, IN_PROGRESS, COMPLETED = "a pending", "B in progress", "c completed"
ALL = [PENDING, IN_PROGRESS, COMPLETED]
OPEN = [PENDING, IN_PROGRESS]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=all", ALL),
        ("status=ALL", ALL),
        ("status=active", OPEN),
        ("status=Active", OPEN),
        ("status=incomplete", OPEN),
        ("status=done", [COMPLETED]),
        ("status=Done", [COMPLETED]),
        ("status=completed", [COMPLETED]),
        ("status=COMPLETED", [COMPLETED]),
        ("status=In_Progress", [IN_PROGRESS]),
        ("status=pending", [PENDING]),
        ("status_filter=done", [COMPLETED]),
        ("statusFilter=active", OPEN),
        ("completed=true", [COMPLETED]),
        ("completed=false", OPEN),
        ("is_completed=true", [COMPLETED]),
        ("isCompleted=false", OPEN),
        ("status=active&completed=true", []),
        ("status=all&completed=true", [COMPLETED]),
        ("q=PROGRESS", [IN_PROGRESS]),
        ("search=PROGRESS", [IN_PROGRESS]),
        ("category=home", ALL),
        ("dueBefore=2030-02-01", [COMPLETED]),
        ("due_before=2030-02-01", [COMPLETED]),
        ("dueAfter=2030-02-01", [PENDING]),
        ("status=&q=&sort=&page=&limit=", ALL),
    ],
)
async def test_a_query_filters_in_other_words(listed: AsyncClient, query: str, expected: list[str]) -> None:
    response = await listed.get(f"/api/tasks?{query}")
    assert response.status_code == 200, response.text
    assert sorted(task["title"] for task in response.json()) == sorted(expected)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [COMPLETED, IN_PROGRESS, PENDING]),
        ("sort=createdAt", [COMPLETED, IN_PROGRESS, PENDING]),
        ("sort=-createdAt", [COMPLETED, IN_PROGRESS, PENDING]),
        ("sort=created_at&order=asc", ALL),
        ("sort_by=title", ALL),
        ("sortBy=title", ALL),
        ("sort=-title", [COMPLETED, IN_PROGRESS, PENDING]),
        ("sort=title&order=desc", [COMPLETED, IN_PROGRESS, PENDING]),
        ("sort=title&order=DESC", [COMPLETED, IN_PROGRESS, PENDING]),
        ("sort=title&sort_order=desc", [COMPLETED, IN_PROGRESS, PENDING]),
        ("sort=title&sortOrder=desc", [COMPLETED, IN_PROGRESS, PENDING]),
        ("sort=title&sort_direction=desc", [COMPLETED, IN_PROGRESS, PENDING]),
        ("sort=title&sortDirection=asc", ALL),
        ("sort=-title&order=asc", ALL),
        ("sort=dueDate", [COMPLETED, PENDING, IN_PROGRESS]),
        ("sort=due_date", [COMPLETED, PENDING, IN_PROGRESS]),
        ("sort=-dueDate", [PENDING, COMPLETED, IN_PROGRESS]),
        ("sort=completedAt&limit=1", [COMPLETED]),
        ("sort=updatedAt&order=asc", ALL),
        ("sort=-status", [COMPLETED, IN_PROGRESS, PENDING]),
        ("sort=position&skip=1", [IN_PROGRESS, COMPLETED]),
        ("sort=position&offset=1&limit=1", [IN_PROGRESS]),
    ],
)
async def test_a_query_sorts_in_other_words(listed: AsyncClient, query: str, expected: list[str]) -> None:
    response = await listed.get(f"/api/tasks?{query}")
    assert response.status_code == 200, response.text
    assert [task["title"] for task in response.json()] == expected


@pytest.mark.parametrize(
    ("query", "parameter", "detail"),
    [
        ("sortby=title", "sortby", "is not known here; did you mean 'sort_by'?"),
        ("pagesize=5", "pagesize", "is not known here; did you mean 'page_size'?"),
        ("status_filtr=done", "status_filtr", "is not known here; did you mean 'status_filter'?"),
        ("zzz=1", "zzz", "is not known here"),
        ("q=a&search=b", "search", "is given twice"),
        ("limit=5&page_size=5", "page_size", "is given twice"),
        ("status_filter=open", "status_filter", None),
        ("sort=--title", "sort", None),
        ("sort=+title", "sort", None),
        ("sortBy=userId", "sortBy", None),
        ("sort_direction=up", "sort_direction", None),
        ("page=0", "page", None),
        ("page=x", "page", None),
        ("page=2147484", "page", None),
        ("page_size=1001", "page_size", None),
        ("skip=-1", "skip", None),
        ("deleted=1", "deleted", None),
        ("is_completed=yes", "is_completed", "must be true or false"),
    ],
)
async def test_a_parameter_that_does_not_fit_is_named_as_it_was_written(
    client: AsyncClient, query: str, parameter: str, detail: str | None
) -> None:
    response = await client.get(f"/api/tasks?{query}")
    assert response.status_code == 422, response.text
    (error,) = response.json()["errors"]
    assert error["parameter"] == parameter
    assert detail is None or error["detail"] == detail


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "headers"),
    [
        ("GET", "/api/tasks", None, 200, set()),
        ("GET", "/api/tasks?count=true", None, 200, {"x-total-count"}),
        ("GET", "/api/tasks?limit=1", None, 200, {"link"}),
        ("POST", "/api/tasks", {"title": "y"}, 201, {"location", "etag"}),
        ("GET", "/api/tasks/{id}", None, 200, {"etag"}),
        ("PUT", "/api/tasks/{id}", {"title": "y"}, 200, {"etag"}),
        ("PATCH", "/api/tasks/{id}", {"title": "y"}, 200, {"etag"}),
        ("PATCH", "/api/tasks/{id}", {}, 200, {"etag"}),
        ("DELETE", "/api/tasks/{id}", None, 204, set()),
        ("POST", "/api/tasks/{id}/complete", None, 200, {"etag"}),
        ("PATCH", "/api/tasks/{id}/toggle", None, 200, {"etag"}),
        ("POST", "/api/tasks/{id}/uncomplete", None, 200, {"etag"}),
        ("GET", "/api/categories", None, 200, set()),
        ("POST", "/api/categories", {"name": "Garden", "userId": "mallory"}, 201, {"location"}),
        ("GET", "/api/categories/{category}", None, 200, set()),
        ("PUT", "/api/categories/{category}", {"name": "House", "taskCount": 9}, 200, set()),
        ("PATCH", "/api/categories/{category}", {"color": "red", "createdAt": 0}, 200, set()),
        ("DELETE", "/api/categories/{category}", None, 204, set()),
        ("GET", "/api/stats", None, 200, set()),
    ],
)
async def test_every_operation_answers_with_its_status_and_headers(
    client: AsyncClient, method: str, path: str, body: object, status: int, headers: set[str]
) -> None:
    await create(client)
    task = await create(client, category="Home")
    where = path.format(id=task["id"], category=task["category_id"])
    response = await client.request(method, where, json=body)
    assert response.status_code == status, response.text
    special = {"location", "etag", "link", "x-total-count"}
    assert special & set(response.headers) == headers
    if status != 204:
        assert response.headers["content-type"] == "application/json"


async def test_the_trash_and_back(client: AsyncClient) -> None:
    task = await create(client)
    assert (await client.delete(f"/api/tasks/{task['id']}")).status_code == 204
    assert [one["id"] for one in (await client.get("/api/tasks?deleted=true")).json()] == [task["id"]]
    assert (await client.post(f"/api/tasks/{task['id']}/restore")).headers["etag"] == '"3"'
