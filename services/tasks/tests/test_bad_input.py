import json

import pytest
from httpx import AsyncClient

from todo_tasks.settings import TasksSettings

JSON = {"content-type": "application/json"}


async def task_path(client: AsyncClient) -> str:
    return f"/api/tasks/{(await client.post('/api/tasks', json={'title': 'x'})).json()['id']}"


BAD_MEMBERS = [
    ({"title": ""}, "/title"),
    ({"title": "  \t "}, "/title"),
    ({"title": "x" * 201}, "/title"),
    ({"title": None}, "/title"),
    ({"title": 5}, "/title"),
    ({"title": True}, "/title"),
    ({"title": ["x"]}, "/title"),
    ({"title": {}}, "/title"),
    ({"description": "x" * 10_001}, "/description"),
    ({"description": 5}, "/description"),
    ({"status": "done"}, "/status"),
    ({"status": "PENDING"}, "/status"),
    ({"status": 1}, "/status"),
    ({"completed": 1}, "/completed"),
    ({"completed": "true"}, "/completed"),
    ({"priority": "highest"}, "/priority"),
    ({"priority": 3}, "/priority"),
    ({"category": "x" * 101}, "/category"),
    ({"category": 5}, "/category"),
    ({"category_id": "x"}, "/category_id"),
    ({"category_id": 5}, "/category_id"),
    ({"category_id": "{01a20e5d-d6bc-7550-8af4-da3e8cca6a93}"}, "/category_id"),
    ({"tags": "a,b"}, "/tags"),
    ({"tags": [1]}, "/tags/0"),
    ({"tags": [None]}, "/tags/0"),
    ({"tags": ["ok", "x" * 51]}, "/tags/1"),
    ({"tags": [str(number) for number in range(21)]}, "/tags"),
    ({"tags": {"a": 1}}, "/tags"),
    ({"due_date": "tomorrow"}, "/due_date"),
    ({"due_date": "2030-02-30"}, "/due_date"),
    ({"due_date": 1893456000}, "/due_date"),
    ({"position": "5"}, "/position"),
    ({"position": True}, "/position"),
    ({"nonsense": 1}, "/nonsense"),
    ({"a/b~c": 1}, "/a~1b~0c"),
    ({"deleted_at": None}, "/deleted_at"),
]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize(("members", "pointer"), BAD_MEMBERS)
async def test_a_member_that_does_not_fit_is_named(
    client: AsyncClient, method: str, members: dict[str, object], pointer: str
) -> None:
    path = "/api/tasks" if method == "POST" else await task_path(client)
    before = (await client.get("/api/tasks")).content
    response = await client.request(method, path, json={"title": "fine"} | members)
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert problem["errors"][0]["detail"]
    assert problem["message"] == problem["detail"]
    assert "Input should" not in problem["detail"]
    assert (await client.get("/api/tasks")).content == before


@pytest.mark.parametrize("name", ["title", "status", "completed", "position"])
async def test_null_does_not_clear_what_every_task_has(client: AsyncClient, name: str) -> None:
    response = await client.patch(await task_path(client), json={name: None})
    assert [error["pointer"] for error in response.json()["errors"]] == [f"/{name}"]


async def test_a_new_task_needs_a_title(client: AsyncClient) -> None:
    response = await client.post("/api/tasks", json={})
    assert response.json()["errors"] == [{"pointer": "/title", "detail": "is needed"}]
    assert response.json()["detail"] == "title is needed."


async def test_every_error_is_told_at_once(client: AsyncClient) -> None:
    response = await client.post("/api/tasks", json={"title": 1, "status": "x", "prioritty": "low"})
    problem = response.json()
    assert {error["pointer"] for error in problem["errors"]} == {"/title", "/status", "/prioritty"}
    assert "and 2 more" in problem["detail"]


async def test_an_unknown_name_comes_with_the_nearest_known_one(client: AsyncClient) -> None:
    member = await client.post("/api/tasks", json={"title": "x", "prioritty": "low"})
    assert member.json()["errors"][0]["detail"] == "is not known here; did you mean 'priority'?"
    parameter = await client.get("/api/tasks?sort_bye=title")
    assert parameter.json()["errors"] == [
        {"parameter": "sort_bye", "detail": "is not known here; did you mean 'sort_by'?"}
    ]


async def test_an_answer_does_not_grow_with_a_hostile_body(client: AsyncClient) -> None:
    body = {"title": "x"} | {f"{number}{'y' * 1000}": 1 for number in range(500)}
    response = await client.post("/api/tasks", json=body)
    assert response.status_code == 422
    assert len(response.content) < 6000


@pytest.mark.parametrize(
    "longest", [{"title": "x" * 200}, {"title": "🎉" * 200, "description": "é" * 10_000}]
)
async def test_the_longest_texts_are_taken(client: AsyncClient, longest: dict[str, str]) -> None:
    tags = [f"{number:02}{'t' * 48}" for number in range(20)]
    response = await client.post("/api/tasks", json=longest | {"tags": tags, "category": "c" * 100})
    assert response.status_code == 201
    assert response.json()["tags"] == tags


BAD_BODIES = [
    (b"", 400, "body_missing"),
    (b"{", 400, "not_json"),
    (b'{"title": "x"} x', 400, "not_json"),
    (b"\xff", 400, "not_utf8"),
    (b'{"title": "a", "title": "b"}', 422, "invalid_json"),
    (b'{"title": "x", "position": NaN}', 422, "invalid_json"),
    (b'{"title": "x", "position": 1e999}', 422, "invalid_json"),
    (b'{"title": "x", "version": 1e999}', 422, "invalid_json"),
    (b'{"title": "\\u0000"}', 422, "invalid_json"),
    (b'{"title": "\\ud800"}', 422, "invalid_json"),
    (b'{"\\ud800": 1}', 422, "invalid_json"),
    (b'{"title": "x", "version": ' + b"[" * 100 + b"]" * 100 + b"}", 422, "invalid_json"),
    (b"[" * 100_000, 422, "invalid_json"),
    (b"[]", 422, "validation_failed"),
    (b"null", 422, "validation_failed"),
    (b'"title"', 422, "validation_failed"),
]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize(("body", "status", "code"), BAD_BODIES)
async def test_a_body_that_is_not_one_strict_json_object_is_refused(
    client: AsyncClient, method: str, body: bytes, status: int, code: str
) -> None:
    path = "/api/tasks" if method == "POST" else await task_path(client)
    response = await client.request(method, path, content=body, headers=JSON)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(("body", "status", "code"), BAD_BODIES[1:])
async def test_a_bad_body_is_refused_where_none_is_needed(
    client: AsyncClient, body: bytes, status: int, code: str
) -> None:
    path = await task_path(client)
    for word in ("complete", "toggle", "uncomplete"):
        response = await client.post(f"{path}/{word}", content=body, headers=JSON)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert (await client.get(path)).json()["version"] == 1


async def test_a_completion_takes_nothing_but_true_and_false(client: AsyncClient) -> None:
    path = await task_path(client)
    values: list[object] = [1, "true", "", [], {}]
    for value in values:
        response = await client.patch(f"{path}/complete", json={"completed": value})
        assert response.json()["errors"][0]["pointer"] == "/completed"


@pytest.mark.parametrize(
    ("method", "content_type", "status"),
    [
        ("POST", "application/json", 201),
        ("POST", "application/json; charset=utf-8", 201),
        ("POST", "Application/JSON;charset=ISO-8859-1", 201),
        ("POST", "application/merge-patch+json", 415),
        ("POST", "text/plain;charset=UTF-8", 415),
        ("POST", "application/x-www-form-urlencoded", 415),
        ("POST", "application/jsonp", 415),
        ("POST", None, 415),
        ("PUT", "application/json", 200),
        ("PUT", "application/merge-patch+json", 415),
        ("PATCH", "application/json", 200),
        ("PATCH", "application/merge-patch+json", 200),
        ("PATCH", "application/json-patch+json", 415),
    ],
)
async def test_the_media_type_is_what_the_contract_says(
    client: AsyncClient, method: str, content_type: str | None, status: int
) -> None:
    path = "/api/tasks" if method == "POST" else await task_path(client)
    headers = {"content-type": content_type} if content_type else {}
    response = await client.request(method, path, content=b'{"title": "x"}', headers=headers)
    assert response.status_code == status
    if status == 415:
        accepted = response.headers["accept-patch" if method == "PATCH" else "accept"]
        assert "application/json" in accepted


async def test_a_body_over_the_limit_is_413(client: AsyncClient, settings: TasksSettings) -> None:
    body = json.dumps({"title": "x", "description": "y" * settings.max_body_bytes}).encode()
    response = await client.post("/api/tasks", content=body, headers=JSON)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")


BAD_QUERIES = [
    ("status=open", "status"),
    ("completed=1", "completed"),
    ("completed=yes", "completed"),
    ("priority=none", "priority"),
    ("category_id=x", "category_id"),
    ("due_before=soon", "due_before"),
    ("due_after=2030-02-30", "due_after"),
    ("sort_by=user_id", "sort_by"),
    ("order=up", "order"),
    ("limit=0", "limit"),
    ("limit=1001", "limit"),
    ("limit=-1", "limit"),
    ("limit=1.0", "limit"),
    ("limit=+1", "limit"),
    ("limit=1_0", "limit"),
    ("limit=٣", "limit"),
    ("limit=99999999999", "limit"),
    ("offset=-1", "offset"),
    ("offset=9999999999", "offset"),
    ("count=1", "count"),
    ("search=" + "x" * 201, "search"),
    ("search=a%00b", "search"),
    ("tag=" + "x" * 51, "tag"),
    ("category=" + "x" * 101, "category"),
    ("nonsense=1", "nonsense"),
    ("user_id=mallory", "user_id"),
    ("limit=1&limit=2", "limit"),
]


@pytest.mark.parametrize(("query", "parameter"), BAD_QUERIES)
async def test_a_parameter_that_does_not_fit_is_named(
    client: AsyncClient, query: str, parameter: str
) -> None:
    response = await client.get(f"/api/tasks?{query}")
    assert response.status_code == 422, response.text
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]


@pytest.mark.parametrize("query", ["search=%ff", "search=%ed%a0%80", "&".join(["a=1"] * 101)])
async def test_a_query_that_cannot_be_read_is_422(client: AsyncClient, query: str) -> None:
    assert (await client.get(f"/api/tasks?{query}")).status_code == 422


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({}, "/name"),
        ({"name": " "}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"name": None}, "/name"),
        ({"name": 5}, "/name"),
        ({"name": "x", "color": ""}, "/color"),
        ({"name": "x", "color": "x" * 51}, "/color"),
        ({"name": "x", "colour": "red"}, "/colour"),
    ],
)
async def test_a_member_of_a_category_that_does_not_fit_is_named(
    client: AsyncClient, members: dict[str, object], pointer: str
) -> None:
    made = (await client.post("/api/categories", json={"name": "Home"})).json()
    answers = [await client.post("/api/categories", json=members)]
    if members:
        answers += [await client.patch(f"/api/categories/{made['id']}", json=members)]
    for response in answers:
        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


@pytest.mark.parametrize("query", ["limit=0", "cursor=x", "order=desc", "offset=x", "count=maybe"])
async def test_a_parameter_of_the_categories_that_does_not_fit_is_named(
    client: AsyncClient, query: str
) -> None:
    response = await client.get(f"/api/categories?{query}")
    assert response.json()["errors"][0]["parameter"] == query.partition("=")[0]
