"""Shapes that front ends expect, each as a profile's file, through the real routes."""

import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from todo_tasks.database import Database
from todo_tasks.profile import DEFAULT, Envelope
from todo_tasks.settings import TasksSettings
from todo_tasks.tasks import lists, statements, stats
from todo_tasks.tasks.lists import Shape

Profiled = Callable[[str], Awaitable[AsyncClient]]

TOTALLED = """
[tasks]
tasks = "$items"
total = "$total"
"""
PAGED = """
empty_text = "empty"
[tasks]
items = "$items"
total = "$total"
page = "$page"
limit = "$limit"
pages = "$pages"
offset = "$offset"
next = "$next_cursor"
[categories]
items = "$items"
total = "$total"
"""
WRAPPED = """
done = "done"
unknown_members = "ignore"
tasks = { success = true, data = { tasks = "$items" } }
task = { success = true, data = { task = "$item" } }
category = { data = "$item" }
stats = { data = "$item" }
deleted = { success = true, data = { id = "$id" }, message = "{deleted} 100%" }
"""
LISTED = 'task = { data = ["task", "$item"] }\n'
CAMEL = 'case = "camel"\ndone = "isCompleted"\n'


@pytest.fixture
def profiled(
    url: str,
    tmp_path: Path,
    settings_of: Callable[..., TasksSettings],
    serve: Callable[[TasksSettings], Awaitable[FastAPI]],
    connect: Callable[..., AsyncClient],
) -> Profiled:
    """A client of a service under the profile in a text: `await profiled(text)`."""

    async def make(text: str, user_id: str | None = None) -> AsyncClient:
        path = tmp_path / f"{secrets.token_hex(4)}.toml"
        path.write_text(text)
        return connect(await serve(settings_of(url, wire_profile=str(path))), user_id)

    return make


async def test_a_list_of_tasks_and_total(profiled: Profiled) -> None:
    client = await profiled(TOTALLED)
    assert (await client.get("/api/tasks")).json() == {"tasks": [], "total": 0}
    for title in "abc":
        await client.post("/api/tasks", json={"title": title})
    answer = await client.get("/api/tasks?limit=2")
    assert list(answer.json()) == ["tasks", "total"]
    assert [task["title"] for task in answer.json()["tasks"]] == ["c", "b"]
    assert answer.json()["total"] == 3
    rest = await client.get("/api/tasks" + answer.headers["link"].partition(">")[0][1:])
    assert ([task["title"] for task in rest.json()["tasks"]], rest.json()["total"]) == (["a"], 3)


async def test_a_page_of_items_with_its_number(profiled: Profiled) -> None:
    client = await profiled(PAGED)
    for title in "abcde":
        await client.post("/api/tasks", json={"title": title, "category": "Home"})
    answer = (await client.get("/api/tasks?limit=2&page=2")).json()
    titles, next_ = [task["title"] for task in answer.pop("items")], answer.pop("next")
    assert titles == ["c", "b"]
    assert answer == {"total": 5, "page": 2, "limit": 2, "pages": 3, "offset": 2}
    last = (await client.get("/api/tasks", params={"limit": 2, "cursor": next_})).json()
    assert [task["title"] for task in last.pop("items")] == ["a"]
    assert last == {"total": 5, "page": None, "limit": 2, "pages": 3, "offset": None, "next": None}
    beyond = (await client.get("/api/tasks?limit=2&page=9")).json()
    assert (beyond["items"], beyond["total"], beyond["page"]) == ([], 5, 9)
    found = (await client.get("/api/categories")).json()
    assert ([category["name"] for category in found["items"]], found["total"]) == (["Home"], 1)
    assert (await client.get("/api/tasks?limit=0")).status_code == 422


async def test_an_absent_text_is_written_as_an_empty_one(profiled: Profiled) -> None:
    client = await profiled(PAGED)
    task = (await client.post("/api/tasks", json={"title": "x"})).json()
    assert (task["description"], task["category"]) == ("", "")
    assert (task["due_date"], task["category_id"], task["completed_at"]) == (None, None, None)
    assert (await client.get("/api/tasks")).json()["items"] == [task]
    # What was answered can be sent back, and means the same.
    back = await client.put(f"/api/tasks/{task['id']}", json=task)
    assert (back.status_code, back.json()) == (200, task)
    assert (await client.post("/api/categories", json={"name": "Home"})).json()["color"] == ""
    document = (await client.get("/openapi.json")).json()["components"]["schemas"]
    assert document["TaskPublic"]["properties"]["description"]["type"] == "string"
    assert "anyOf" in document["TaskPublic"]["properties"]["due_date"]


async def test_everything_wrapped_in_success_and_data(profiled: Profiled) -> None:
    client = await profiled(WRAPPED)
    made = await client.post("/api/tasks", json={"title": "x {item} $item %s", "nonsense": 1})
    assert made.status_code == 201
    body = made.json()
    task = body["data"]["task"]
    assert body == {"success": True, "data": {"task": task}}
    assert (task["title"], task["done"], "completed" in task) == ("x {item} $item %s", False, False)
    path = f"/api/tasks/{task['id']}"
    assert made.headers["location"] == path
    assert (await client.get(path)).json() == body
    done = (await client.patch(path, json={"done": True})).json()["data"]["task"]
    assert (done["done"], done["status"], done["version"]) == (True, "completed", 2)
    assert (await client.get("/api/tasks?done=true")).json() == {"success": True, "data": {"tasks": [done]}}
    assert (await client.get("/api/tasks?done=false")).json()["data"] == {"tasks": []}
    assert (await client.post(f"{path}/complete")).json()["data"]["task"]["done"] is False
    assert (await client.post(f"{path}/complete", json={"done": True})).json()["data"]["task"]["done"] is True
    assert (await client.get("/api/stats")).json()["data"]["completed"] == 1
    gone = await client.delete(path)
    message = "{deleted} 100%"
    assert (gone.status_code, gone.json()) == (
        200,
        {"success": True, "data": {"id": task["id"]}, "message": message},
    )
    missing = await client.delete(path)
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
    restored = (await client.post(f"{path}/restore")).json()
    assert restored["data"]["task"]["id"] == task["id"]
    category = (await client.post("/api/categories", json={"name": "Home", "more": 1})).json()["data"]
    at = f"/api/categories/{category['id']}"
    assert (await client.get(at)).json() == {"data": category}
    assert (await client.patch(at, json={"name": "Work"})).json()["data"]["name"] == "Work"
    assert (await client.delete(at)).json()["data"] == {"id": category["id"]}


@pytest.mark.parametrize("text", [CAMEL, 'case = "camel"\n'])
async def test_camel_case_throughout(profiled: Profiled, text: str) -> None:
    client = await profiled(text)
    done = "isCompleted" if "done" in text else "completed"
    sent = {"title": "x", "dueDate": "2030-01-31", "category": "Home", done: True}
    task = (await client.post("/api/tasks", json=sent)).json()
    assert list(task) == [
        *("id", "userId", "title", "description", "status", done, "completedAt", "priority", "category"),
        *("categoryId", "tags", "dueDate", "position", "version", "createdAt", "updatedAt"),
    ]
    assert (task[done], task["dueDate"], task["category"]) == (True, "2030-01-31", "Home")
    back = await client.put(f"/api/tasks/{task['id']}", json=task)
    assert (back.status_code, back.json()) == (200, task)
    assert back.headers["etag"] == '"1"'
    await client.post("/api/tasks", json={"title": "y", "due_date": "2030-02-01", done: False})
    for sort in ("due_date", "createdAt", "completed_at", "title"):
        first = await client.get(f"/api/tasks?sort_by={sort}&order=asc&limit=1")
        rest = await client.get("/api/tasks" + first.headers["link"].partition(">")[0][1:])
        assert [item["title"] for item in (*first.json(), *rest.json())] == ["x", "y"]
    (category,) = (await client.get("/api/categories")).json()
    assert list(category) == ["id", "userId", "name", "color", "taskCount", "createdAt", "updatedAt"]
    counts = (await client.get("/api/stats")).json()
    assert (counts["inProgress"], counts["byCategory"][0]["categoryId"]) == (0, task["categoryId"])
    refused = (await client.post("/api/tasks", json={"title": "x", "dueDat": "2030-01-31"})).json()
    assert refused["errors"] == [
        {"pointer": "/dueDat", "detail": "is not known here; did you mean 'dueDate'?"}
    ]


async def test_a_repeated_request_is_answered_in_the_envelope(profiled: Profiled) -> None:
    client = await profiled('case = "camel"\n' + WRAPPED)
    key = {"Idempotency-Key": "k"}
    first = await client.post("/api/tasks", json={"title": "x"}, headers=key)
    again = await client.post("/api/tasks", json={"title": "x"}, headers=key)
    assert (again.status_code, again.content) == (201, first.content)
    assert first.json()["data"]["task"]["userId"] == client.headers["x-user-id"]


@pytest.mark.parametrize("text", ["", TOTALLED, PAGED, WRAPPED, LISTED, CAMEL])
async def test_every_answer_fits_the_profiles_document(profiled: Profiled, text: str) -> None:
    client = await profiled(text)
    document = (await client.get("/openapi.json")).json()

    def check(answer: Any, schema: dict[str, Any]) -> None:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if "const" in schema:
            assert answer == schema["const"]
        elif isinstance(answer, dict):
            assert list(answer) == list(schema["properties"]) == schema["required"]
            for name, inner in schema["properties"].items():
                check(answer[name], inner)
        elif "prefixItems" in schema:
            for item, inner in zip(answer, schema["prefixItems"], strict=True):
                check(item, inner)
        elif isinstance(answer, list):
            for item in answer:
                check(item, schema["items"])

    def schema_of(method: str, path: str, status: int) -> dict[str, Any]:
        content = document["paths"][path][method]["responses"][str(status)]["content"]
        found: dict[str, Any] = content["application/json"]["schema"]
        return found

    made = await client.post("/api/tasks", json={"title": "x", "category": "Home", "tags": ["a"]})
    check(made.json(), schema_of("post", "/api/tasks", 201))
    for path in ("/api/tasks", "/api/categories", "/api/stats"):
        check((await client.get(path)).json(), schema_of("get", path, 200))
    at = made.headers["location"]
    check((await client.get(at)).json(), schema_of("get", "/api/tasks/{id}", 200))
    gone = await client.delete(at)
    assert str(gone.status_code) in document["paths"]["/api/tasks/{id}"]["delete"]["responses"]
    if gone.status_code == 200:
        check(gone.json(), schema_of("delete", "/api/tasks/{id}", 200))
    # Bodies are described under names that are taken.
    sent = document["components"]["schemas"]["TaskUpdate"]
    values = {"title": "y", "tags": [], "position": 1, "status": "pending", "priority": "low"}
    body = {
        name: values.get(name, False if "omplete" in name or name == "done" else None)
        for name in sent["properties"]
    }
    answer = await client.post(f"{at}/restore")
    answer = await client.patch(at, json=body)
    assert answer.status_code == 200, answer.text
    names = [
        parameter["name"]
        for parameter in document["paths"]["/api/tasks"]["get"]["parameters"]
        if parameter["in"] == "query" and parameter["schema"].get("default") is None
    ]
    for name in names:
        refused = (await client.get("/api/tasks", params={name: "\0"})).json()
        assert refused["errors"][0]["detail"] == "holds NUL"
        unknown = (await client.get("/api/tasks", params={name: "nonsense"})).json()
        assert "is not known" not in json.dumps(unknown)


async def test_a_list_in_an_envelope_is_one_statement(
    profiled: Profiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await profiled(PAGED)
    sent = []
    fetch = Database._fetch

    async def noted(self: Database, *arguments: Any, **more: Any) -> Any:
        sent.append(arguments[0])
        return await fetch(self, *arguments, **more)

    monkeypatch.setattr(Database, "_fetch", noted)
    assert (await client.get("/api/tasks")).json()["total"] == 0
    assert len(sent) == 1


async def test_no_envelope_counts_what_it_does_not_show(profiled: Profiled) -> None:
    client = await profiled(WRAPPED)
    assert "x-total-count" not in (await client.get("/api/tasks")).headers
    assert (await client.get("/api/tasks?count=true")).headers["x-total-count"] == "0"


async def test_services_under_two_profiles_share_nothing(profiled: Profiled, client: AsyncClient) -> None:
    other = await profiled(CAMEL)
    for _ in range(2):
        assert "userId" in (await other.post("/api/tasks", json={"title": "x"})).json()
        assert "user_id" in (await client.post("/api/tasks", json={"title": "x"})).json()
        assert "userId" in (await other.get("/api/tasks")).json()[0]
        assert "user_id" in (await client.get("/api/tasks")).json()[0]


HOT = Path(__file__).parent / "hot_path.sql"


def test_the_default_sends_the_same_sql_as_without_profiles() -> None:
    sent = [lists.list_(Shape()), statements.create("none", False), statements.read(), stats.stats()]
    assert "\n\n".join(statement.text for statement in sent) == HOT.read_text().rstrip("\n")
    assert lists.list_(Shape(), DEFAULT).text == lists.list_(Shape()).text


async def test_the_default_answers_with_the_bytes_that_postgresql_wrote(
    app: FastAPI, client: AsyncClient
) -> None:
    assert app.state.profile is DEFAULT
    assert app.state.models == {}
    made = await client.post("/api/tasks", json={"title": "x", "due_date": "2030-01-31", "position": 1})
    task = made.json()
    expected = (
        '{{"id":"{id}","user_id":"{user_id}","title":"x","description":null,"status":"pending",'
        '"completed":false,"completed_at":null,"priority":"medium","category":null,"category_id":null,'
        '"tags":[],"due_date":"2030-01-31","position":1,"version":1,"created_at":"{created_at}",'
        '"updated_at":"{updated_at}"}}'
    ).format_map(task)
    assert made.text == expected
    assert (await client.get("/api/tasks")).text == f"[{expected}]"
    assert (await client.get(f"/api/tasks/{task['id']}")).text == expected


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ({"a": "$item"}, '{"a":1}'),
        ({"a": {"b": ["$item", "x", 2, True]}}, '{"a":{"b":[1,"x",2,true]}}'),
        ({"a": 'say "$item"', "b": "$item"}, '{"a":"say \\"$item\\"","b":1}'),
        ({"{a}": "{item} %s", "b": "$item"}, '{"{a}":"{item} %s","b":1}'),
        ({"ä": "$item"}, '{"ä":1}'),
    ],
)
def test_an_envelope_is_json_around_its_item(template: dict[str, object], text: str) -> None:
    assert Envelope.of(template).around(item="1", other="2") == text
    json.loads(text)
