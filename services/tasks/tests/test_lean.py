"""Lean routes answer like ordinary ones, and only where nothing of the framework is needed."""

import asyncio
from collections.abc import Iterator
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Path, Request, Response
from starlette.types import Receive, Scope, Send
from todo_service import problems
from todo_service.problems import Problem, Problems
from todo_tasks.lean import LeanRoute, LeanRoutes


async def name_of(request: Request) -> str:
    """What a dependency of ours is: a coroutine that reads the request."""
    return request.headers["x-name"]


async def number(id: Annotated[str, Path()], name: Annotated[str, Depends(name_of)]) -> str:
    """One with a part of the path and a dependency of its own."""
    if id == "odd":
        raise Problem(404, "No such number.")
    return f"{name}:{id}"


def opened() -> Iterator[str]:
    """One that has to be closed."""
    yield "open"


def make(route_class: type) -> tuple[FastAPI, APIRouter]:
    router = APIRouter(route_class=route_class)

    @router.get("/numbers/{id}")
    async def read(request: Request, found: Annotated[str, Depends(number)]) -> Response:
        return Response(f"{request.method} {found}")

    @router.get("/query")
    async def query(q: int) -> Response:
        return Response(str(q))

    @router.get("/session")
    async def session(state: Annotated[str, Depends(opened)]) -> Response:
        return Response(state)

    @router.get("/model")
    async def model() -> dict[str, int]:
        return {"a": 1}

    @router.get("/thread")
    def thread() -> Response:
        return Response("thread")

    app = FastAPI()
    app.routes.extend(router.routes)
    problems.install(app)
    app.add_middleware(Problems)
    return app, router


async def answers(app: FastAPI, path: str) -> tuple[int, bytes, str | None]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test") as http:
        answer = await http.get(path, headers={"x-name": "ada", "x-request-id": "1"})
    return answer.status_code, answer.content, answer.headers.get("content-type")


@pytest.mark.parametrize(
    "path",
    ["/numbers/7", "/numbers/odd", "/query?q=7", "/query?q=x", "/session", "/model", "/thread", "/numbers"],
)
async def test_a_lean_route_answers_as_an_ordinary_one(path: str) -> None:
    from fastapi.routing import APIRoute

    lean, _ = make(LeanRoute)
    ordinary, _ = make(APIRoute)
    assert await answers(lean, path) == await answers(ordinary, path)
    assert lean.openapi() == ordinary.openapi()


def test_only_routes_that_need_nothing_of_the_framework_are_lean() -> None:
    _, router = make(LeanRoute)
    lean = {route.path: route.is_lean for route in router.routes if isinstance(route, LeanRoute)}
    assert lean == {
        "/numbers/{id}": True,
        "/query": False,
        "/session": False,
        "/model": False,
        "/thread": False,
    }


async def test_requests_served_at_once_keep_their_own_arguments() -> None:
    app, _ = make(LeanRoute)
    found = await asyncio.gather(*(answers(app, f"/numbers/{n}") for n in range(20)))
    assert [body for _, body, _ in found] == [f"GET ada:{n}".encode() for n in range(20)]


async def reached(method: str, path: str) -> tuple[str, dict[str, str]]:
    """Where LeanRoutes leads: the endpoint's name and the parameters, or "framework"."""
    router, owner = APIRouter(route_class=LeanRoute), object()

    @router.get("/api/numbers")
    async def all_(request: Request) -> Response:
        assert request.app is owner
        return Response("all", headers=dict(request.path_params))

    @router.get("/api/numbers/{id}/half")
    async def half(request: Request, id: str) -> Response:
        assert request.scope["route"].path == "/api/numbers/{id}/half"
        return Response("half", headers=dict(request.path_params))

    @router.get("/api/numbers/{id}/query")
    async def query(q: int) -> Response:
        return Response("query")

    async def framework(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("framework")(scope, receive, send)

    app = LeanRoutes(framework, owner, router.routes)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tasks") as client:
        answer = await client.request(method, path)
    parameters = {"id": answer.headers["id"]} if "id" in answer.headers else {}
    return answer.text, parameters


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/api/numbers", ("all", {})),
        ("GET", "/api/numbers/7/half", ("half", {"id": "7"})),
        ("GET", "/api/numbers/half/half", ("half", {"id": "half"})),
        ("GET", "/api/numbers/7/query", ("framework", {})),
        ("POST", "/api/numbers", ("framework", {})),
        ("GET", "/api/numbers/7", ("framework", {})),
        ("GET", "/api/numbers//half", ("framework", {})),
        ("GET", "/api/numbers/{id}/half", ("framework", {})),
        ("GET", "/api/numbers/7/half/1", ("framework", {})),
        ("GET", "/", ("framework", {})),
    ],
)
async def test_a_lean_route_is_found_and_the_rest_is_the_frameworks(
    method: str, path: str, found: tuple[str, dict[str, str]]
) -> None:
    assert await reached(method, path) == found
