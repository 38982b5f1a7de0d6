"""Quotas shared through Redis: the real one where it is installed, and one that is away, hangs or is back."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from limits import parse as parse_item
from todo_auth.testing import Issuer
from todo_gateway.quotas import Quota
from todo_gateway.shared import Sharing, SharingState

NOW = 1_000_000 * 60.0

needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")


def quota(name: str = "user") -> Quota:
    return Quota(parse_item("10/minute"), name)


async def never(_: float) -> None:
    """The pause between rounds, for tests that call each round themselves."""
    await asyncio.Event().wait()


@asynccontextmanager
async def gateway(port: int, *quotas: Quota, timeout_s: float = 5) -> AsyncIterator[Sharing]:
    async with Sharing(f"redis://127.0.0.1:{port}/0", quotas, timeout_s=timeout_s, sleep=never) as sharing:
        yield sharing


def take(counted: Quota, subject: str = "ann", now: float = NOW, times: int = 1) -> None:
    for _ in range(times):
        counted.count(subject, counted.slot(subject, now))


def left(counted: Quota, subject: str = "ann", now: float = NOW) -> int:
    return counted.remaining(counted.slot(subject, now), now)


@needs_redis
async def test_gateways_count_as_one(port: int, tmp_path: Path, redis_on: Any) -> None:
    one, other = quota(), quota()
    async with redis_on(tmp_path, port), gateway(port, one) as first, gateway(port, other) as second:
        take(one, times=4)
        assert await first.exchange()
        take(other, times=3)
        assert await second.exchange()
        assert left(other) == 3
        take(one)
        assert await first.exchange()
        assert left(one) == 2
        assert left(one, "bob") == 10


@needs_redis
async def test_the_window_before_is_heard_of_by_a_gateway_that_did_not_see_it(
    port: int, tmp_path: Path, redis_on: Any
) -> None:
    one, other = quota(), quota()
    async with redis_on(tmp_path, port), gateway(port, one) as first, gateway(port, other) as second:
        take(one, times=10)
        await first.exchange()
        take(other, now=NOW + 60)
        await second.exchange()
        assert left(other, now=NOW + 60) == 0


@needs_redis
async def test_more_subjects_than_are_asked_at_once_all_get_there(
    port: int, tmp_path: Path, redis_on: Any
) -> None:
    one, other = quota(), quota()
    async with redis_on(tmp_path, port), gateway(port, one) as first, gateway(port, other) as second:
        for number in range(100):
            take(one, f"user/{number} é\n")
            take(other, f"user/{number} é\n")
        assert await first.exchange() and await second.exchange()
        assert [left(other, f"user/{number} é\n") for number in range(100)] == [8] * 100


def meanwhile(sharing: Sharing, question: str, happens: Callable[[], None]) -> None:
    """Lets something happen while Redis is asked for the first time, by the storage's `question`."""
    storage = sharing._storage
    ask = getattr(storage, question)

    async def asked(*arguments: Any) -> Any:
        setattr(storage, question, ask)
        happens()
        return await ask(*arguments)

    setattr(storage, question, asked)


@needs_redis
@pytest.mark.parametrize("question", ["get", "incr"])
@pytest.mark.parametrize(("later_s", "remaining"), [(60, 2), (120, 9)])
async def test_a_window_that_ends_while_redis_is_asked_is_the_one_before_or_none(
    port: int, tmp_path: Path, redis_on: Any, question: str, later_s: float, remaining: int
) -> None:
    one, other = quota(), quota()
    async with redis_on(tmp_path, port), gateway(port, one) as first, gateway(port, other) as second:
        take(other, times=3)
        assert await second.exchange()
        take(one, times=4)
        meanwhile(first, question, lambda: take(one, now=NOW + later_s))
        assert await first.exchange()
        assert left(one, now=NOW + later_s) == remaining


@needs_redis
async def test_what_redis_was_not_told_of_a_window_that_ended_is_not_told_of_the_next(
    port: int, tmp_path: Path, redis_on: Any
) -> None:
    one, other = quota(), quota()
    async with gateway(port, one) as first, gateway(port, other) as second:
        async with redis_on(tmp_path, port):
            take(one)
            assert await first.exchange()
        take(one, times=3)
        meanwhile(first, "incr", lambda: take(one, now=NOW + 60))
        assert not await first.exchange()
        async with redis_on(tmp_path, port):
            assert await first.exchange()
            take(other, now=NOW + 60)
            assert await second.exchange()
        assert left(other, now=NOW + 60) == 8


@needs_redis
async def test_nothing_is_told_of_a_subject_that_was_forgotten(
    port: int, tmp_path: Path, redis_on: Any
) -> None:
    one, other = Quota(parse_item("10/minute"), "user", max_subjects=1), quota()
    async with redis_on(tmp_path, port), gateway(port, one) as first, gateway(port, other) as second:
        take(one, "ann", times=5)
        take(one, "bob", times=5)
        assert await first.exchange()
        take(other, "ann")
        take(other, "bob")
        assert await second.exchange()
        assert (left(other, "ann"), left(other, "bob")) == (9, 4)


@needs_redis
async def test_what_was_counted_while_redis_was_away_is_told_when_it_is_back(
    port: int, tmp_path: Path, redis_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one, other = quota(), quota()
    async with gateway(port, one) as first, gateway(port, other) as second:
        take(one, times=4)
        assert not await first.exchange()
        assert first.state == SharingState(failures=1, is_away=True)
        assert left(one) == 6, "it counts by itself"
        async with redis_on(tmp_path, port):
            assert await first.exchange()
            assert first.state == SharingState(failures=1, is_away=False)
            take(other)
            assert await second.exchange()
            assert left(other) == 5
    messages = [record.getMessage() for record in caplog.records]
    assert any("does not answer" in message for message in messages)
    assert any("is back" in message for message in messages)


async def test_a_redis_that_is_away_is_logged_once_in_a_while(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    counted = quota()
    async with gateway(port, counted) as sharing:
        for _ in range(5):
            take(counted)
            assert not await sharing.exchange()
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert (sharing.state.failures, len(warnings)) == (5, 1)
    assert str(port) not in warnings[0].getMessage()


async def test_the_pause_grows_while_redis_is_away(port: int) -> None:
    pauses: list[float] = []
    counted = quota()
    enough = asyncio.Event()

    async def note(pause_s: float) -> None:
        pauses.append(pause_s)
        take(counted)
        if len(pauses) == 9:
            enough.set()
            await asyncio.Event().wait()

    async with Sharing(f"redis://127.0.0.1:{port}", [counted], sleep=note):
        await enough.wait()
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10]


async def test_it_ends_where_its_cancellation_is_swallowed(port: int) -> None:
    began = asyncio.Event()

    async def deaf(_: float) -> None:
        began.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async with asyncio.timeout(30):
        async with Sharing(f"redis://127.0.0.1:{port}", [quota()], sleep=deaf):
            await began.wait()


async def test_a_redis_that_hangs_ends_a_round_in_time_and_slows_no_request(
    make_gateway: Callable[..., Any], upstream: Any, issuer: Issuer, ann: dict[str, str]
) -> None:
    silent: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    counted = quota()
    async with gateway(port, counted, timeout_s=0.05) as sharing:
        take(counted)
        assert not await sharing.exchange()
        assert sharing.state.failures == 1
    url = f"redis://127.0.0.1:{port}"
    async with make_gateway(upstream.url, issuer, redis_url=url, rate_limit="2/year") as http:
        statuses = [(await http.get("/api/tasks", headers=ann)).status_code for _ in range(3)]
    assert statuses == [200, 200, 200]
    for writer in silent:
        writer.close()
    server.close()


async def test_requests_pass_while_redis_is_away_and_are_limited_when_it_is_there(
    make_gateway: Callable[..., Any], upstream: Any, issuer: Issuer, port: int, tmp_path: Path, redis_on: Any
) -> None:
    headers = {"Authorization": f"Bearer {issuer.token('ann')}"}
    url = f"redis://127.0.0.1:{port}"
    async with make_gateway(upstream.url, issuer, rate_limit="3/hour", redis_url=url) as http:
        answers = [await http.get("/api/tasks", headers=headers) for _ in range(10)]
        assert [answer.status_code for answer in answers] == [200] * 10
        assert all("ratelimit" not in answer.headers for answer in answers), "nothing is promised"
        if shutil.which("redis-server") is None:
            return
        async with redis_on(tmp_path, port):
            while (await http.get("/api/tasks", headers=headers)).status_code == 200:
                await asyncio.sleep(0.05)
            refused = await http.get("/api/tasks", headers=headers)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) > 0
