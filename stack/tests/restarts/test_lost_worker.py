"""A worker of the gateway is killed under load: what it was doing is lost, and nothing else."""

import asyncio
import os
import signal
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)

KILLS = 2


async def test_a_killed_worker_costs_at_most_the_requests_it_had_and_is_replaced(
    start_fleet: Any, load: Any, stored: Any
) -> None:
    fleet = await start_fleet(gateways=1, GATEWAY_WORKERS="2")
    (gateway,) = fleet.gateways
    async with load(fleet, lambda: gateway.url) as seen:
        for _ in range(KILLS):
            await seen.more()
            before = gateway.workers()
            assert len(before) == 2
            lost = len(seen.failures)
            os.kill(before.pop(), signal.SIGKILL)
            while len(gateway.workers() - before) < 1 or len(gateway.workers()) < 2:
                await asyncio.sleep(0.02)  # the test's own limit ends this where nobody comes
            await seen.more()
            assert len(seen.failures) - lost <= seen.clients
    print(f"answers {dict(seen.answers)}, {len(seen.failures)} failures: {seen.failures}")
    assert set(seen.answers) == {200, 201}, "a connection is cut, and nothing else"
    for written, there in zip(seen.written, await stored(fleet, gateway.url), strict=True):
        assert written.items() <= there.items()
