"""Past the limit the newest waits and the rest is shed at once; nobody's place is lost."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from todo_auth.testing import Issuer
from todo_gateway.overload import Overload
from todo_service.problems import Problem, Problems


@dataclass
class Kitchen:
    """An application whose requests end when they are told to; notes the order in which they began."""

    begun: list[str] = field(default_factory=list)
    ends: dict[str, asyncio.Event] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.append(scope["path"])
        await self.ends.setdefault(scope["path"], asyncio.Event()).wait()

    def end(self, path: str) -> None:
        self.ends[path].set()


async def receive() -> Message:
    raise AssertionError("nothing is to be read")


async def send(message: Message) -> None:
    raise AssertionError("nothing is to be answered")


async def begin(app: Overload, *paths: str) -> "list[asyncio.Task[None]]":
    async def request(path: str) -> None:
        await app({"type": "http", "path": path}, receive, send)

    tasks = [asyncio.create_task(request(path)) for path in paths]
    await turn()
    return tasks


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_up_to_the_limit_everybody_is_served_at_once() -> None:
    app = Overload(kitchen := Kitchen(), max_concurrency=2)
    tasks = await begin(app, "/a", "/b")
    assert (kitchen.begun, app.running, app.waiting) == (["/a", "/b"], 2, 0)
    kitchen.end("/a")
    kitchen.end("/b")
    await asyncio.gather(*tasks)
    assert (app.running, app.shed) == (0, 0)


async def test_the_newest_that_waits_is_served_first() -> None:
    app = Overload(kitchen := Kitchen(), max_concurrency=1, max_waiting=2, max_wait_s=60)
    tasks = await begin(app, "/a", "/b", "/c")
    assert (app.running, app.waiting) == (1, 2)
    for path in ("/a", "/c", "/b"):
        kitchen.end(path)
        await turn()
    await asyncio.gather(*tasks)
    assert kitchen.begun == ["/a", "/c", "/b"]
    assert (app.running, app.waiting, app.shed) == (0, 0, 0)


async def test_a_full_queue_sheds_its_oldest_at_once() -> None:
    app = Overload(kitchen := Kitchen(), max_concurrency=1, max_waiting=1, max_wait_s=60)
    first, old, new = await begin(app, "/a", "/b", "/c")
    with pytest.raises(Problem) as shed:
        await old
    assert (shed.value.status, shed.value.code, shed.value.headers) == (
        503,
        "overloaded",
        {"Retry-After": "1"},
    )
    kitchen.end("/a")
    await turn()
    kitchen.end("/c")
    await asyncio.gather(first, new)
    assert (kitchen.begun, app.running, app.waiting, app.shed) == (["/a", "/c"], 0, 0, 1)


async def test_without_a_queue_the_next_is_shed_at_once() -> None:
    app = Overload(kitchen := Kitchen(), max_concurrency=1, max_waiting=0)
    first, second = await begin(app, "/a", "/b")
    with pytest.raises(Problem):
        await second
    kitchen.end("/a")
    await first
    assert (app.running, app.shed) == (0, 1)


async def test_nobody_waits_longer_than_the_limit() -> None:
    app = Overload(kitchen := Kitchen(), max_concurrency=1, max_wait_s=0.01)
    first, second = await begin(app, "/a", "/b")
    with pytest.raises(Problem):
        await second
    assert (kitchen.begun, app.waiting, app.shed) == (["/a"], 0, 1)
    kitchen.end("/a")
    await first
    assert app.running == 0


async def test_health_is_never_shed_and_takes_nobodys_place(
    make_gateway: Any, issuer: Issuer, upstream: Any, ann: dict[str, str]
) -> None:
    come, go_on = asyncio.Event(), asyncio.Event()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        come.set()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    upstream.answer = answer
    async with make_gateway(upstream.url, issuer, max_concurrency=1, max_waiting=0) as http:
        for path in ("/healthz", "/readyz"):
            assert (await http.get(path)).status_code == 200
        first = asyncio.create_task(http.get("/api/tasks", headers=ann))
        await come.wait()
        assert (await http.get("/api/tasks", headers=ann)).status_code == 503
        for path in ("/healthz", "/readyz"):
            assert (await http.get(path)).status_code == 200
        go_on.set()
        assert (await first).status_code == 204


async def test_a_client_that_leaves_the_queue_leaves_no_hole() -> None:
    app = Overload(kitchen := Kitchen(), max_concurrency=1, max_wait_s=60)
    first, leaver, stayer = await begin(app, "/a", "/b", "/c")
    leaver.cancel()
    await turn()
    assert app.waiting == 1
    kitchen.end("/a")
    await turn()
    assert kitchen.begun == ["/a", "/c"]
    kitchen.end("/c")
    await asyncio.gather(first, stayer)
    assert (app.running, app.waiting) == (0, 0)


async def test_a_place_given_to_one_that_leaves_at_that_moment_goes_to_the_next() -> None:
    app = Overload(kitchen := Kitchen(), max_concurrency=1, max_wait_s=60)
    first, stayer, leaver = await begin(app, "/a", "/b", "/c")
    kitchen.end("/a")
    while not first.done():
        await asyncio.sleep(0)  # the place is handed on here; its new owner has not run yet
    leaver.cancel()
    await turn()
    assert kitchen.begun[-1] == "/b"
    kitchen.end("/b")
    await stayer
    assert (app.running, app.waiting) == (0, 0)


async def test_one_that_was_cancelled_in_this_turn_is_passed_over() -> None:
    app = Overload(kitchen := Kitchen(), max_concurrency=1, max_wait_s=60)
    first, stayer, leaver = await begin(app, "/a", "/b", "/c")
    leaver.cancel()
    first.cancel()
    await turn()
    assert kitchen.begun == ["/a", "/b"]
    kitchen.end("/b")
    await stayer
    assert (app.running, app.waiting) == (0, 0)


async def test_an_application_that_fails_frees_its_place() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError

    app = Overload(failing, max_concurrency=1)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            await app({"type": "http", "path": "/a"}, receive, send)
    assert app.running == 0


async def test_what_is_shed_is_a_problem_document() -> None:
    sent: list[Any] = []

    async def note(message: Message) -> None:
        sent.append(message)

    app = Problems(Overload(Kitchen(), max_concurrency=0, max_waiting=0))
    await app({"type": "http", "path": "/a", "method": "GET", "headers": []}, receive, note)
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"1") in sent[0]["headers"]
    assert b'"overloaded"' in sent[1]["body"]
