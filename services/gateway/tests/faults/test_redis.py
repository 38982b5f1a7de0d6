"""What users get while the Redis that gateways share their limits in stumbles: nothing of it."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")

FAULTS = ("refuse", "hang", "trickle", "reset", "close", "garbage")
PLENTY = {"rate_limit": "1000000/minute", "address_rate_limit": "1000000/minute"}
"""More than a test asks for while it waits."""


@pytest.fixture
async def redis_url(tmp_path: Path, port: int, redis_on: Any, nothing_leaks: None) -> AsyncIterator[str]:
    """A Redis of the test's own."""
    async with redis_on(tmp_path, port) as url:
        yield url


async def count(through: Any, requests: int = 20) -> set[int]:
    """The statuses of so many requests at once."""
    answers = await asyncio.gather(*[through.http.get("/api/tasks") for _ in range(requests)])
    return {answer.status_code for answer in answers}


@pytest.mark.parametrize("fault", FAULTS)
async def test_requests_pass_without_waiting_and_it_is_counted_logged_and_noticed_when_it_is_over(
    fault: Any, redis_url: str, upstream: Any, proxy: Any, gateway: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "todo_gateway.shared")
    broken = await proxy(redis_url)
    through = await gateway(upstream.url, redis_url=f"redis://127.0.0.1:{broken.port}", **PLENTY)
    sharing = through.sharing
    assert await count(through) == {200}
    while broken.connections == 0 or sharing.state.is_away:  # the runner's own limit ends this
        await asyncio.sleep(0.005)
    failures = sharing.state.failures
    if fault == "refuse":
        await broken.stop()
    else:
        broken.breaks(fault)
    while sharing.state.failures == failures:
        assert await count(through, 5) == {200}
    assert sharing.state.is_away
    if fault == "refuse":
        await broken.start()
    else:
        broken.breaks(None)
    while sharing.state.is_away:
        assert await count(through, 5) == {200}
    messages = [record.getMessage() for record in caplog.records]
    (warning,) = [message for message in messages if "does not answer" in message]
    assert str(broken.port) not in warning
    assert messages[-1] == "rate limits: Redis is back"


async def test_nobody_waits_while_a_round_with_redis_hangs(
    redis_url: str, upstream: Any, proxy: Any, gateway: Any
) -> None:
    broken = await proxy(redis_url)
    through = await gateway(upstream.url, redis_url=f"redis://127.0.0.1:{broken.port}", sharing_timeout_s=600)
    broken.breaks("hang")
    assert await count(through) == {200}
    while not broken.struck:
        await asyncio.sleep(0.005)
    async with asyncio.timeout(20):
        assert await count(through) == {200}
    assert through.sharing.state.failures == 0, "the round is under way"
    broken.breaks(None)


async def test_the_metrics_tell_that_redis_is_away(
    redis_url: str, upstream: Any, proxy: Any, gateway: Any
) -> None:
    broken = await proxy(redis_url)
    await broken.stop()
    through = await gateway(upstream.url, redis_url=f"redis://127.0.0.1:{broken.port}")
    while through.registry.get_sample_value("gateway_redis_away") != 1:
        await asyncio.sleep(0.02)  # the runner's own limit ends this
    failures = through.registry.get_sample_value("gateway_redis_failures_total")
    assert failures is not None and failures >= 1
    await broken.start()
    while through.registry.get_sample_value("gateway_redis_away") != 0:
        await asyncio.sleep(0.02)
