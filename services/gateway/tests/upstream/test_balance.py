"""Several addresses of one upstream: choice, failures, trials, and what is asked again."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from todo_auth.testing import Clock
from todo_gateway.upstream import (
    Balance,
    ConnectFailed,
    Disconnected,
    Pool,
    PoolTimeout,
    ReadTimeout,
    Unavailable,
)
from todo_gateway.upstream.retries import RetryBudget
from todo_gateway.upstream.transport import PoolTransport

OK = b"HTTP/1.1 200 OK\r\n"
AWAY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\naway"


def answering(body: bytes, seen: list[bytes] | None = None) -> Callable[[Any], Awaitable[None]]:
    """Answers every request without a body with 200 and this one."""

    async def script(peer: Any) -> None:
        while head := await peer.head():
            if seen is not None:
                seen.append(head.split(b"\r\n")[0])
            await peer.send(OK + b"content-length: %d\r\n\r\n%b" % (len(body), body))

    return script


async def away(peer: Any) -> None:
    while await peer.head():
        await peer.send(AWAY)


async def cut(peer: Any) -> None:
    """Reads a request and leaves."""
    await peer.head()


async def silent(peer: Any) -> None:
    await peer.rest()


async def streaming(peer: Any) -> None:
    """Begins an answer and does not end it."""
    await peer.head()
    await peer.send(OK + b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
    await peer.rest()


@pytest.fixture
async def balance(connect: Any) -> AsyncIterator[Callable[..., Balance]]:
    """`balance(upstream, …, **options)`; nothing probes by itself unless a test says so."""
    async with AsyncExitStack() as stack:

        def make(*upstreams: Any, limits: dict[str, Any] | None = None, **options: Any) -> Balance:
            pools = [
                (
                    Pool(upstream, **(limits or {}))
                    if isinstance(upstream, str)
                    else connect(upstream, **(limits or {}))
                )
                for upstream in upstreams
            ]
            options.setdefault("health_path", None)
            options.setdefault("clock", Clock(0))
            made = Balance(pools, **options)
            stack.push_async_callback(made.aclose)
            return made

        yield make


@pytest.fixture
def nowhere() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


async def get(balance: Balance, method: bytes = b"GET", **more: Any) -> bytes | None:
    return (await balance.request(method, b"/", **more)).body


def outstanding(balance: Balance) -> list[int]:
    return [address.outstanding for address in balance.state()]


def breakers(balance: Balance) -> list[str]:
    return [address.breaker for address in balance.state()]


def test_an_upstream_without_an_address_is_refused() -> None:
    with pytest.raises(ValueError):
        Balance([])


async def test_equal_addresses_are_asked_in_turns(serve: Any, balance: Any) -> None:
    upstreams = [await serve(answering(name)) for name in (b"a", b"b", b"c")]
    several = balance(*upstreams)
    answers = [await get(several) for _ in range(9)]
    assert answers[:3] == answers[3:6] == answers[6:]
    assert set(answers) == {b"a", b"b", b"c"}


async def test_an_address_that_says_goodbye_is_left_before_it_goes(serve: Any, balance: Any) -> None:
    seen: list[bytes] = []

    async def draining(peer: Any) -> None:
        seen.append(await peer.head())
        await peer.send(OK + b"connection: close\r\ncontent-length: 1\r\n\r\na")

    clock = Clock(0)
    two = balance(await serve(draining, draining), await serve(answering(b"b")), clock=clock)
    answers = [await get(two, b"POST") for _ in range(8)]
    assert (answers.count(b"a"), answers.count(b"b")) == (1, 7)
    clock.moment += 5
    answers = [await get(two, b"POST") for _ in range(8)]
    assert (answers.count(b"a"), answers.count(b"b")) == (1, 7), "it is tried again after a while"
    assert len(seen) == 2


async def test_addresses_that_all_end_their_connections_are_asked_in_turns(serve: Any, balance: Any) -> None:
    def ending(body: bytes) -> Callable[[Any], Awaitable[None]]:
        async def script(peer: Any) -> None:
            await peer.head()
            await peer.send(OK + b"connection: close\r\ncontent-length: 1\r\n\r\n%b" % body)

        return script

    two = balance(await serve(*[ending(b"a")] * 4), await serve(*[ending(b"b")] * 4))
    answers = [await get(two) for _ in range(8)]
    assert (answers.count(b"a"), answers.count(b"b")) == (4, 4)


async def test_the_address_with_the_fewest_requests_under_way_is_asked(serve: Any, balance: Any) -> None:
    several = balance(await serve(streaming), await serve(streaming))
    held = [await several.request(b"GET", b"/") for _ in range(4)]
    assert outstanding(several) == [2, 2], "an answer counts until it has been read or left"
    first = several.state()[0].origin
    await held[0].aclose()
    await held[2].aclose()
    assert held[0].origin == held[2].origin
    counts = dict(zip([address.origin for address in several.state()], outstanding(several), strict=True))
    assert counts[held[0].origin] == 0 and first in counts
    again = [await several.request(b"GET", b"/") for _ in range(2)]
    assert [response.origin for response in again] == [held[0].origin] * 2
    for response in (held[1], held[3], *again):
        await response.aclose()
    assert outstanding(several) == [0, 0]


async def test_a_refused_connection_is_hidden_by_another_address_whatever_the_method(
    serve: Any, balance: Any, nowhere: str
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"abc"

    async def reading(peer: Any) -> None:
        while await peer.reader.readuntil(b"\r\n\r\nabc"):
            await peer.send(OK + b"content-length: 1\r\n\r\na")

    several = balance(nowhere, await serve(reading), threshold=100)
    for content in (b"abc", b"abc", body(), body()):
        response = await several.request(b"POST", b"/", body=content, length=3)
        assert response.body == b"a"
    assert several.retries == 2


@pytest.mark.parametrize("method", [b"GET", b"PUT", b"DELETE"])
async def test_a_request_that_may_have_arrived_is_asked_again_where_that_is_safe(
    method: bytes, serve: Any, balance: Any
) -> None:
    several = balance(await serve(cut), await serve(answering(b"a")), threshold=100)
    assert [await get(several, method) for _ in range(4)] == [b"a"] * 4
    assert several.retries == 2


@pytest.mark.parametrize("method", [b"POST", b"PATCH"])
async def test_and_never_where_it_is_not(method: bytes, serve: Any, balance: Any) -> None:
    seen: list[bytes] = []
    several = balance(await serve(cut), await serve(answering(b"a", seen)), threshold=100)
    outcomes = []
    for _ in range(4):
        try:
            outcomes.append(await get(several, method))
        except Disconnected as error:
            assert error.sent
    assert outcomes == [b"a", b"a"]
    assert (len(seen), several.retries) == (2, 0)


async def test_a_post_with_a_key_is_asked_again_where_the_service_honours_keys(
    serve: Any, balance: Any
) -> None:
    upstreams = await serve(cut), await serve(answering(b"a"))
    key = [(b"idempotency-key", b"k")]
    several = balance(*upstreams, threshold=100, idempotency_keys=True)
    assert [await get(several, b"POST", headers=key) for _ in range(2)] == [b"a"] * 2
    assert several.retries == 1


async def test_a_body_that_cannot_be_given_again_is_not(serve: Any, balance: Any) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"abc"

    several = balance(await serve(cut), await serve(cut), threshold=100)
    with pytest.raises(Disconnected):
        await get(several, b"PUT", body=body())
    assert several.retries == 0


async def test_a_silent_address_is_left_after_the_try_limit_and_hidden(serve: Any, balance: Any) -> None:
    several = balance(
        await serve(silent), await serve(answering(b"a")), threshold=100, timeout_s=60, try_timeout_s=0.05
    )
    assert [await get(several) for _ in range(2)] == [b"a"] * 2
    assert several.retries == 1


async def test_the_last_try_has_all_the_time_that_is_left(serve: Any, balance: Any) -> None:
    slow_enough = asyncio.Event()

    async def script(peer: Any) -> None:
        await peer.head()
        await slow_enough.wait()
        await peer.send(OK + b"content-length: 1\r\n\r\na")

    upstream = await serve(script)
    several = balance(upstream, timeout_s=60, try_timeout_s=0.01)
    asking = asyncio.create_task(get(several))
    asyncio.get_running_loop().call_later(0.05, slow_enough.set)
    assert await asking == b"a"


async def test_the_whole_time_is_bounded_over_all_tries(serve: Any, balance: Any) -> None:
    several = balance(await serve(silent), await serve(silent), threshold=100, timeout_s=0.05)
    with pytest.raises(ReadTimeout):
        await get(several)


async def test_waiting_for_a_turn_counts_as_well(serve: Any, balance: Any) -> None:
    several = balance(await serve(streaming), limits={"max_connections": 1}, timeout_s=0.1)
    held = await several.request(b"GET", b"/")
    with pytest.raises(PoolTimeout) as error:
        await get(several)
    assert not error.value.sent
    await held.aclose()


async def test_a_short_answer_that_trickles_is_bounded_by_the_same_limit(serve: Any, balance: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(OK + b"content-length: 1000\r\n\r\n")
        while True:
            await peer.send(b"x")
            await asyncio.sleep(0.005)

    several = balance(await serve(script), timeout_s=0.1)
    with pytest.raises(ReadTimeout):
        await get(several)


async def test_a_503_is_asked_again_elsewhere_for_a_read(serve: Any, balance: Any) -> None:
    several = balance(await serve(away), await serve(answering(b"a")), threshold=100)
    assert [await get(several) for _ in range(2)] == [b"a"] * 2


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE"])
async def test_a_503_is_passed_on_for_a_change(method: bytes, serve: Any, balance: Any) -> None:
    several = balance(await serve(away), await serve(away), threshold=100)
    assert await get(several, method) == b"away"
    assert several.retries == 0


async def test_a_503_of_all_is_passed_on(serve: Any, balance: Any) -> None:
    several = balance(await serve(away), await serve(away), threshold=100)
    response = await several.request(b"GET", b"/")
    assert (response.status, response.body) == (503, b"away")
    assert several.retries == 1


async def test_a_503_outweighs_a_failure_of_the_second_address(
    serve: Any, balance: Any, nowhere: str
) -> None:
    several = balance(nowhere, await serve(away), threshold=100)
    answers = [(await several.request(b"GET", b"/")).status for _ in range(2)]
    assert answers == [503, 503]


async def test_retries_end_with_their_budget(serve: Any, balance: Any) -> None:
    budget = RetryBudget(0, per_second=0, burst=3, clock=Clock())
    several = balance(await serve(cut), await serve(cut), threshold=1000, budget=budget)
    for _ in range(10):
        with pytest.raises(Disconnected):
            await get(several)
    assert several.retries == 3


async def test_no_more_than_three_addresses_are_asked(serve: Any, balance: Any) -> None:
    upstreams = [await serve(cut) for _ in range(5)]
    several = balance(*upstreams, threshold=100)
    with pytest.raises(Disconnected):
        await get(several)
    assert sum(upstream.connections for upstream in upstreams) == 3


async def test_the_last_error_says_that_an_earlier_try_may_have_arrived(
    serve: Any, balance: Any, nowhere: str
) -> None:
    several = balance(await serve(cut), nowhere, threshold=100)
    with pytest.raises((ConnectFailed, Disconnected)) as error:
        await get(several)
    assert error.value.sent


async def test_an_address_that_keeps_failing_is_left_alone(serve: Any, balance: Any, nowhere: str) -> None:
    several = balance(nowhere, await serve(answering(b"a")), threshold=2)
    assert [await get(several) for _ in range(20)] == [b"a"] * 20
    assert breakers(several) == ["open", "closed"]
    assert several.retries == 2, "and costs nothing any more"


async def test_all_out_fails_at_once_and_says_when_to_come_back(balance: Any, nowhere: str) -> None:
    clock = Clock(0)
    several = balance(nowhere, nowhere, threshold=1, open_s=3, clock=clock)
    with pytest.raises(ConnectFailed):
        await get(several)
    clock.moment = 1
    with pytest.raises(Unavailable) as error:
        await get(several)
    assert (error.value.sent, error.value.retry_after_s) == (False, 2)


async def test_when_the_wait_is_over_one_request_is_the_trial_and_the_others_fail_at_once(
    serve: Any, balance: Any
) -> None:
    go_on = asyncio.Event()

    async def script(peer: Any) -> None:
        await peer.head()
        await go_on.wait()
        await peer.send(OK + b"content-length: 1\r\n\r\na")
        await answering(b"a")(peer)

    clock = Clock(0)
    several = balance(await serve(cut, script), threshold=1, clock=clock)
    with pytest.raises(Disconnected):
        await get(several)
    clock.moment = 1
    assert breakers(several) == ["half-open"]
    trial = asyncio.create_task(get(several))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await get(several)
    go_on.set()
    assert await trial == b"a"
    assert breakers(several) == ["closed"]
    assert await get(several) == b"a"


async def test_a_trial_that_is_cancelled_makes_room_for_another(serve: Any, balance: Any) -> None:
    clock = Clock(0)
    several = balance(await serve(cut, silent, answering(b"a")), threshold=1, clock=clock)
    with pytest.raises(Disconnected):
        await get(several)
    clock.moment = 1
    trial = asyncio.create_task(get(several))
    while not outstanding(several)[0]:
        await asyncio.sleep(0)
    trial.cancel()
    await asyncio.wait([trial])
    assert outstanding(several) == [0]
    assert await get(several) == b"a"


async def test_the_last_address_is_not_put_out_for_its_503(serve: Any, balance: Any) -> None:
    several = balance(await serve(away), await serve(away), threshold=3)
    answers = [await get(several, b"POST") for _ in range(30)]
    assert set(answers) == {b"away"}
    assert sorted(breakers(several)) == ["closed", "open"]


async def test_an_address_that_is_out_is_asked_for_its_health_and_taken_back(
    serve: Any, balance: Any
) -> None:
    seen: list[bytes] = []

    async def away_once(peer: Any) -> None:
        await peer.head()
        await peer.send(AWAY)

    upstream = await serve(cut, away_once, answering(b"a", seen))
    several = balance(
        upstream,
        threshold=1,
        open_s=0.01,
        max_open_s=0.02,
        health_path=b"/readyz",
        clock=asyncio.get_running_loop().time,
        limits={"max_connections": 4},
    )
    with pytest.raises(Disconnected):
        await get(several)
    async with asyncio.timeout(10):
        while upstream.connections < 2 or breakers(several) != ["closed"]:
            await asyncio.sleep(0.001)
    assert await get(several) == b"a"
    assert seen[0] == b"GET /readyz HTTP/1.1"


async def test_the_client_leaving_says_nothing_about_the_address(serve: Any, balance: Any) -> None:
    several = balance(await serve(silent), threshold=1)
    asking = asyncio.create_task(get(several))
    while not outstanding(several)[0]:
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    assert (breakers(several), outstanding(several)) == (["closed"], [0])


async def test_a_body_that_fails_says_nothing_about_the_address(serve: Any, balance: Any) -> None:
    class Broken(Exception):
        pass

    async def body() -> AsyncIterator[bytes]:
        yield b"abc"
        raise Broken

    several = balance(await serve(silent), threshold=1)
    with pytest.raises(Broken):
        await get(several, b"POST", body=body())
    assert breakers(several) == ["closed"]


async def test_connections_that_the_upstream_ends_lose_no_request(serve: Any, balance: Any) -> None:
    async def draining(peer: Any) -> None:
        await peer.head()
        await peer.send(OK + b"connection: close\r\ncontent-length: 1\r\n\r\na")

    upstream = await serve(draining)
    several = balance(upstream, threshold=1)
    assert [await get(several, b"POST") for _ in range(20)] == [b"a"] * 20
    assert upstream.connections == 20


async def test_every_try_is_told_with_its_address_and_outcome(serve: Any, balance: Any, nowhere: str) -> None:
    told: list[tuple[str, str]] = []
    upstream = await serve(answering(b"a"))
    several = balance(
        nowhere, upstream, threshold=100, on_try=lambda origin, outcome, _: told.append((origin, outcome))
    )
    for _ in range(2):
        await get(several)
    assert sorted(told) == sorted(
        [(nowhere, "ConnectFailed"), (upstream.origin, "2xx"), (upstream.origin, "2xx")]
    )


async def test_ready_is_who_has_one_ready_address(serve: Any, balance: Any, nowhere: str) -> None:
    assert not await balance(nowhere, await serve(away)).is_ready()
    assert await balance(nowhere, await serve(away), await serve(answering(b""))).is_ready()


async def test_readiness_is_asked_once_for_everybody_in_a_second(serve: Any, balance: Any) -> None:
    seen: list[bytes] = []
    clock = Clock(0)
    several = balance(await serve(answering(b"", seen)), clock=clock)
    assert all(await asyncio.gather(*[several.is_ready() for _ in range(50)]))
    assert await several.is_ready()
    assert len(seen) == 1
    clock.moment = 2
    assert await several.is_ready()
    assert len(seen) == 2


async def test_readiness_is_asked_where_the_health_is(serve: Any, balance: Any) -> None:
    seen: list[bytes] = []
    assert await balance(await serve(answering(b"", seen)), health_path=b"/alive").is_ready()
    assert seen[0].startswith(b"GET /alive ")


async def test_httpx_takes_it_for_a_pool(serve: Any, balance: Any, nowhere: str) -> None:
    clock = Clock(0)
    several = balance(nowhere, await serve(answering(b"a")), threshold=1, clock=clock)
    async with httpx.AsyncClient(transport=PoolTransport(several), base_url=several.origin) as client:
        assert [(await client.get("/")).text for _ in range(3)] == ["a"] * 3
        alone = balance(nowhere, threshold=1, clock=clock)
    async with httpx.AsyncClient(transport=PoolTransport(alone), base_url=alone.origin) as client:
        for _ in range(2):
            with pytest.raises(httpx.ConnectError):
                await client.get("/")
