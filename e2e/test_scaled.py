"""Two gateways and two tasks services behind HAProxy: deploy/haproxy/docker-compose.yml.

Task: T-057 · Spec: plan.md#end-to-end
"""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from todo_stack.compose import docker, inspect, logs, wait_until, wait_until_healthy

pytestmark = pytest.mark.timeout(900)  # The first test waits for the images.


@pytest.fixture(scope="session")
def scaled(stack: Any) -> Any:
    """The same project, scaled. This file is the last one, so it stays so."""
    for service in ("postgres", "redis", "tasks", "gateway", "web"):
        # What was harmed works before the engine has asked it again, which compose does not wait for.
        wait_until_healthy(stack.project.container(service))
    stack.project.up(scaled=True)
    return stack


def _serves(container: str) -> bool:
    """Whether a container has answered a request of the load since it started."""
    since = inspect(container)["State"]["StartedAt"]
    return "/tasks" in logs(container, since)


async def test_a_rolling_restart_behind_haproxy_fails_no_request(
    scaled: Any, sign_up: Callable[[], Any], under_load: Any
) -> None:
    ada = sign_up()
    containers = [*scaled.project.containers("gateway"), *scaled.project.containers("tasks")]
    assert len(containers) == 4
    async with under_load(ada) as seen:
        for container in containers:
            await asyncio.to_thread(docker, "restart", "-t", "30", container)
            await asyncio.to_thread(wait_until_healthy, container)
            # Before that, nobody restarts the next one.
            await asyncio.to_thread(wait_until, "it serves again", lambda: _serves(container))
            await seen.more()
    print(f"\n{len(containers)} restarts; answers by status: {dict(seen.answers)}")
    assert seen.failures == []


def test_behind_haproxy_an_address_is_the_clients_and_not_what_it_says(
    scaled: Any, sign_up: Callable[[], Any]
) -> None:
    headers = {**sign_up().headers, "X-Forwarded-For": "203.0.113.9", "X-Request-Id": "e2e-client-address"}
    answer = httpx.get(f"{scaled.gateway_url}/api/tasks", headers=headers, trust_env=False, timeout=60)
    assert answer.status_code == 200
    said = "".join(logs(container) for container in scaled.project.containers("gateway"))
    assert "e2e-client-address" in said
    assert "203.0.113.9" not in said
