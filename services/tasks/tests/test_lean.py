"""Lean routes answer like ordinary ones, and only where nothing of the framework is needed."""

import asyncio
from collections.abc import Iterator
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Path, Request, Response
from todo_service import problems
from todo_service.problems import Problem, Problems
from todo_tasks.lean import LeanRoute


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
