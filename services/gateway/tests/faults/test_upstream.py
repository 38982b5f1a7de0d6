"""What a client gets while the service behind the gateway stumbles, and that nothing is left of it."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

SHORT = b"x" * 1000  # the gateway has it whole before it answers
LONG = b"0123456789" * 50_000  # passed on as it comes

HEAD, IN_THE_HEAD, IN_THE_BODY = 0, 20, 500
TIMEOUT = (504, "gateway_timeout")
UNSOUND = (502, "bad_gateway")
AWAY = (503, "service_unavailable")

PLACES = (HEAD, IN_THE_HEAD, IN_THE_BODY)

FAULTS = {
    "hang": (PLACES, TIMEOUT),
    "trickle": (PLACES, TIMEOUT),
    "reset": (PLACES, UNSOUND),
    "close": (PLACES, UNSOUND),
    "garbage": (PLACES[:-1], UNSOUND),
}
"""Where each fault begins, after so many bytes of an answer, and what is told of it."""

each_fault = pytest.mark.parametrize(
    ("fault", "places", "outcome"), [(name, *FAULTS[name]) for name in FAULTS], ids=FAULTS
)


@pytest.fixture(autouse=True)
def short_answers(upstream: Any) -> None:
    upstream.body = SHORT


def told(answer: httpx.Response) -> tuple[int, str]:
    """What a problem document says; its details are checked on the way."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in answer.headers) == (answer.status_code == 503)
    assert "127.0.0.1" not in answer.text
    return answer.status_code, answer.json()["error"]["code"]


@each_fault
async def test_a_fault_is_told_within_its_limit_and_forgotten_once_it_is_over(
    fault: Any, places: tuple[int, ...], outcome: tuple[int, str], upstream: Any, proxy: Any, gateway: Any
) -> None:
    async def after(passes: int) -> None:
        broken = await proxy(upstream.url)
        through = await gateway(broken.origin)
        assert (await through.http.get("/api/tasks")).content == SHORT
        broken.breaks(fault, passes)
        async with asyncio.timeout(20):
            answers = await asyncio.gather(
                through.http.get("/api/tasks"), through.http.post("/api/tasks", json={})
            )
        assert [told(answer) for answer in answers] == [outcome, outcome]
        broken.breaks(None)
        assert (await through.http.get("/api/tasks")).content == SHORT

    await asyncio.gather(*map(after, places))


@each_fault
async def test_under_load_it_is_the_same_until_the_address_is_left_alone(
    fault: Any, places: tuple[int, ...], outcome: tuple[int, str], upstream: Any, proxy: Any, gateway: Any
) -> None:
    async def after(passes: int) -> None:
        broken = await proxy(upstream.url)
        through = await gateway(broken.origin)
        broken.breaks(fault, passes)
        async with asyncio.timeout(20):
            answers = await asyncio.gather(*[through.http.get("/api/tasks") for _ in range(20)])
        assert outcome in {told(answer) for answer in answers} <= {outcome, AWAY}
        assert through.balance.state()[0].breaker != "closed"
        broken.breaks(None)
        await through.recovered()
        answers = await asyncio.gather(*[through.http.get("/api/tasks") for _ in range(20)])
        assert {answer.status_code for answer in answers} == {200}

    await asyncio.gather(*map(after, places))


@each_fault
async def test_a_healthy_second_address_hides_it(
    fault: Any, places: tuple[int, ...], outcome: tuple[int, str], upstream: Any, proxy: Any, gateway: Any
) -> None:
    async def after(passes: int) -> None:
        broken = await proxy(upstream.url)
        # A healthy answer that took longer than a try's limit would be sought at the broken address.
        through = await gateway(broken.origin, upstream.url, upstream_timeout=20, upstream_try_timeout=2)
        broken.breaks(fault, passes)
        answers = await asyncio.gather(*[through.http.get("/api/tasks") for _ in range(12)])
        assert {(answer.status_code, answer.content) for answer in answers} == {(200, SHORT)}
        assert broken.struck
        broken.breaks(None)
        await through.recovered()

    await asyncio.gather(*map(after, places))


async def test_an_upstream_that_refuses_is_503_and_found_again_when_it_is_back(
    upstream: Any, proxy: Any, gateway: Any
) -> None:
    broken = await proxy(upstream.url)
    through = await gateway(broken.origin)
    await broken.stop()
    async with asyncio.timeout(20):
        answers = await asyncio.gather(*[through.http.post("/api/tasks", json={}) for _ in range(20)])
    assert {told(answer) for answer in answers} == {AWAY}
    assert upstream.seen == []
    await broken.start()
    await through.recovered()
    assert (await through.http.post("/api/tasks", json={})).status_code == 200


async def test_a_second_address_hides_a_refusal_even_of_writes(
    upstream: Any, proxy: Any, gateway: Any
) -> None:
    broken = await proxy(upstream.url)
    through = await gateway(broken.origin, upstream.url)
    await broken.stop()
    answers = await asyncio.gather(*[through.http.post("/api/tasks", json={}) for _ in range(20)])
    assert {answer.status_code for answer in answers} == {200}
    assert len(upstream.seen) == 20, "each was carried out once"
    await broken.start()


@pytest.mark.parametrize("fault", ["hang", "reset", "close"])
async def test_an_answer_that_breaks_after_it_began_is_never_taken_for_whole(
    fault: Any, upstream: Any, proxy: Any, gateway: Any
) -> None:
    upstream.body = LONG
    broken = await proxy(upstream.url)
    through = await gateway(broken.origin, upstream.url, options={"threshold": 100})
    broken.breaks(fault, 100_000)
    async with asyncio.timeout(20):
        outcomes = []
        for _ in range(4):
            try:
                outcomes.append((await through.http.get("/api/tasks")).content == LONG)
            except httpx.RemoteProtocolError:
                outcomes.append(False)
    assert outcomes.count(True) == 2, "the other address's answers, and no half one"
    assert outcomes.count(False) == 2


async def test_a_long_answer_may_trickle_as_long_as_it_moves(upstream: Any, proxy: Any, gateway: Any) -> None:
    async def chunked(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 40})

    upstream.answer = chunked
    broken = await proxy(upstream.url)
    through = await gateway(broken.origin)
    broken.breaks("trickle", 100)  # about 60 bytes are left: longer than any limit on the whole would allow
    assert (await through.http.get("/api/tasks")).content == b"x" * 40


async def test_restarts_under_load_lose_no_read(upstream: Any, proxy: Any, gateway: Any) -> None:
    several = [await proxy(upstream.url) for _ in range(2)]
    through = await gateway(*[each.origin for each in several], upstream_timeout=5, upstream_try_timeout=2)
    is_over = False
    outcomes: list[int] = []

    async def reader() -> None:
        while not is_over:
            outcomes.append((await through.http.get("/api/tasks")).status_code)

    readers = [asyncio.create_task(reader()) for _ in range(8)]
    for restarting in (*several, *several):
        asked = len(outcomes)
        await restarting.stop()
        async with asyncio.timeout(20):
            while len(outcomes) < asked + 30:
                await asyncio.sleep(0.005)
        await restarting.start()
        await through.recovered()
    is_over = True
    await asyncio.gather(*readers)
    assert set(outcomes) == {200}
    assert all(address.openings for address in through.balance.state()), "each was out, and nobody noticed"
