import pytest
from httpx import AsyncClient
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from todo_tasks.head import HeadAsGet

PATHS = [
    "/api/tasks",
    "/api/tasks?limit=1&count=true",
    "/api/tasks/{task}",
    "/api/tasks/nothing",
    "/api/categories",
    "/api/stats",
    "/healthz",
    "/readyz",
    "/openapi.json",
]


@pytest.mark.parametrize("path", PATHS)
async def test_head_answers_as_get_without_the_body(client: AsyncClient, path: str) -> None:
    await client.post("/api/tasks", json={"title": "one"})
    task = (await client.post("/api/tasks", json={"title": "two"})).json()
    path, headers = path.format(task=task["id"]), {"X-Request-Id": "same"}
    head, get = await client.head(path, headers=headers), await client.get(path, headers=headers)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert get.content
    assert head.headers == get.headers


async def test_the_body_is_left_out_by_us_and_not_by_a_server() -> None:
    """httpx would drop it, and so does uvicorn; another server might not."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(scope["method"])(scope, receive, send)

    async def receive() -> Message:
        return {"type": "http.request"}

    for method, body in (("HEAD", b""), ("GET", b"GET"), ("POST", b"POST")):
        sent: list[Message] = []

        async def send(message: Message, sent: list[Message] = sent) -> None:
            sent.append(message)

        await HeadAsGet(app)({"type": "http", "method": method}, receive, send)
        assert [message.get("body") for message in sent] == [None, body]
        assert (b"content-length", str(len(body) or 3).encode()) in sent[0]["headers"]


async def test_head_is_refused_where_there_is_no_get(client: AsyncClient) -> None:
    response = await client.head("/api/tasks/x/complete")
    assert (response.status_code, response.headers["allow"]) == (405, "PATCH, POST")
