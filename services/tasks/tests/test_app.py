import asyncio
import secrets
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from prometheus_client import CollectorRegistry

from todo_auth.identity import IdentityMinter
from todo_tasks.app import create_app, shown
from todo_tasks.settings import TasksSettings


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncClient:
    """A client without anything that proves who it is."""
    return AsyncClient(transport=ASGITransport(app), base_url="http://tasks")


@pytest.mark.parametrize(
    "path",
    ["/api/tasks", "/api/tasks/x", "/api/categories", "/api/stats", "/openapi.json", "/nowhere", "/healthz/"],
)
async def test_nothing_but_health_answers_without_the_gateways_token(
    stranger: AsyncClient, path: str
) -> None:
    response = await stranger.get(path)
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"] == response.json()["instance"]


async def test_a_user_id_alone_proves_nothing(stranger: AsyncClient) -> None:
    assert (await stranger.get("/api/tasks", headers={"X-User-Id": "ada"})).status_code == 401


@pytest.mark.parametrize(
    "minter",
    [
        IdentityMinter(("another secret, long enough for HS256!",)),
        IdentityMinter(("a-secret-of-the-tests-long-enough-for-HS256",), audience="elsewhere"),
        IdentityMinter(("a-secret-of-the-tests-long-enough-for-HS256",), issuer="mallory"),
        IdentityMinter(("a-secret-of-the-tests-long-enough-for-HS256",), now=lambda: 1_700_000_000),
    ],
)
async def test_a_token_that_the_gateway_did_not_mint_now_and_for_here_is_refused(
    stranger: AsyncClient, minter: IdentityMinter
) -> None:
    headers = {"X-User-Id": "ada", "Txn-Token": minter.mint("ada")}
    assert (await stranger.get("/api/tasks", headers=headers)).status_code == 401


async def test_a_token_of_another_user_is_refused(client: AsyncClient) -> None:
    assert (await client.get("/api/tasks", headers={"X-User-Id": "eve"})).status_code == 401


async def test_health_answers_everybody(stranger: AsyncClient) -> None:
    assert (await stranger.get("/healthz")).status_code == 200
    assert (await stranger.get("/readyz")).status_code == 200


async def test_a_trailing_slash_changes_nothing(client: AsyncClient) -> None:
    made = await client.post("/api/tasks/", json={"title": "x"})
    assert made.status_code == 201
    task = made.json()
    for path in ("/api/tasks/", f"/api/tasks/{task['id']}/", "/api/stats/", "/api/categories/"):
        slashed, plain = await client.get(path), await client.get(path[:-1])
        assert (slashed.status_code, slashed.content) == (200, plain.content)
    assert (await client.patch(f"/api/tasks/{task['id']}/complete/")).json()["completed"] is True
    assert (await client.get("/api/tasks//")).status_code == 404


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/tasks", "GET, HEAD, POST"),
        ("/api/tasks/x", "DELETE, GET, HEAD, PATCH, PUT"),
        ("/api/tasks/x/complete", "PATCH, POST"),
        ("/api/tasks/x/restore", "POST"),
        ("/api/categories", "GET, HEAD, POST"),
        ("/api/categories/x", "DELETE, GET, HEAD, PATCH, PUT"),
        ("/api/stats", "GET, HEAD"),
    ],
)
async def test_another_method_is_405_with_every_method_that_there_is(
    client: AsyncClient, path: str, allowed: str
) -> None:
    response = await client.request("LOCK", path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    assert response.json()["status"] == 405


async def test_an_address_without_anything_is_404(client: AsyncClient) -> None:
    for path in ("/", "/api", "/api/tasks/x/y", "/docs"):
        response = await client.get(path)
        assert (response.status_code, response.json()["status"]) == (404, 404)


async def test_the_document_shows_bodies_queries_and_answers(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    paths, schemas = document["paths"], document["components"]["schemas"]
    assert set(paths) == {
        "/api/tasks",
        "/api/tasks/{id}",
        "/api/tasks/{id}/complete",
        "/api/tasks/{id}/toggle",
        "/api/tasks/{id}/uncomplete",
        "/api/tasks/{id}/restore",
        "/api/stats",
        "/api/categories",
        "/api/categories/{id}",
    }

    def reference(method: str, path: str, of: Callable[[dict[str, dict[str, object]]], object]) -> object:
        return of(paths[path][method])

    def body(operation: dict[str, dict[str, object]]) -> object:
        return operation["requestBody"]["content"]["application/json"]["schema"]  # type: ignore[index]

    for method, path, name in [
        ("post", "/api/tasks", "TaskCreate"),
        ("put", "/api/tasks/{id}", "TaskUpdate"),
        ("patch", "/api/tasks/{id}", "TaskUpdate"),
        ("patch", "/api/tasks/{id}/complete", "Completion"),
        ("post", "/api/categories", "CategoryCreate"),
        ("patch", "/api/categories/{id}", "CategoryUpdate"),
    ]:
        assert reference(method, path, body) == {"$ref": f"#/components/schemas/{name}"}
        assert schemas[name]["properties"]
    answer = paths["/api/tasks"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["items"] == {"$ref": "#/components/schemas/TaskPublic"}
    created = paths["/api/tasks"]["post"]["responses"]["201"]["content"]["application/json"]["schema"]
    assert created == {"$ref": "#/components/schemas/TaskPublic"}
    parameters = {parameter["name"] for parameter in paths["/api/tasks"]["get"]["parameters"]}
    assert parameters == {
        "status",
        "completed",
        "priority",
        "category",
        "category_id",
        "tag",
        "due_before",
        "due_after",
        "search",
        "deleted",
        "sort_by",
        "order",
        "limit",
        "offset",
        "page",
        "cursor",
        "count",
    }
    assert schemas["TaskCreate"]["required"] == ["title"]
    assert "required" not in schemas["TaskUpdate"]
    ids = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(set(ids)) == len(ids)


async def test_every_answer_fits_the_document(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    task = (await client.post("/api/tasks", json={"title": "x", "category": "Home"})).json()
    category = (await client.get(f"/api/categories/{task['category_id']}")).json()
    stats = (await client.get("/api/stats")).json()
    for name, answer in {"TaskPublic": task, "CategoryPublic": category, "StatsPublic": stats}.items():
        assert list(answer) == list(document["components"]["schemas"][name]["properties"])


async def test_a_request_id_is_kept(client: AsyncClient) -> None:
    response = await client.get("/api/tasks/x", headers={"X-Request-Id": "abc"})
    assert (response.headers["x-request-id"], response.json()["instance"]) == ("abc", "abc")


async def test_users_served_at_once_see_their_own(client_of: Callable[[str], AsyncClient]) -> None:
    clients = [client_of(f"user-{secrets.token_hex(8)}") for _ in range(12)]
    await asyncio.gather(*(client.post("/api/tasks", json={"title": "mine"}) for client in clients * 4))
    answers: list[httpx.Response] = await asyncio.gather(*(client.get("/api/tasks") for client in clients))
    for client, answer in zip(clients, answers, strict=True):
        assert [task["user_id"] for task in answer.json()] == [client.headers["x-user-id"]] * 4


async def test_metrics_show_the_states_of_both_pools(app: FastAPI) -> None:
    registry = CollectorRegistry()
    shown(app.state.database, registry)()
    samples = {tuple(sample.labels.values()) for metric in registry.collect() for sample in metric.samples}
    assert samples == {
        (pool, state) for pool in ("statements", "sessions") for state in ("size", "idle", "waiting")
    }


async def test_a_service_with_metrics_counts_what_it_answers(
    settings: TasksSettings, connect: Callable[..., AsyncClient]
) -> None:
    registry = CollectorRegistry()
    app = create_app(settings, registry=registry)
    async with app.router.lifespan_context(app):
        assert (await connect(app).get("/api/tasks")).status_code == 200
    labels = {"method": "GET", "route": "/api/tasks", "status": "2xx"}
    assert registry.get_sample_value("http_server_request_duration_seconds_count", labels) == 1
