"""What is killed, paused or gone under load, and how the rest goes on.

Task: T-057 · Spec: plan.md#end-to-end
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from todo_stack.compose import docker, wait_until, wait_until_healthy

pytestmark = pytest.mark.timeout(900)  # The first test waits for the images.

AWAY = {200, 201, 502, 503, 504}


async def _back(container: str) -> None:
    """Start a container again, and wait until it is healthy."""
    await asyncio.to_thread(docker, "start", container)
    await asyncio.to_thread(wait_until_healthy, container)


async def _is_whole(seen: Any) -> None:
    """After some good answers there is no other one any more."""
    await seen.more()
    failures = len(seen.failures)
    await seen.more()
    assert seen.failures[failures:] == []


@pytest.mark.parametrize("service", ["web", "redis"])
async def test_killing_what_no_request_waits_for_fails_none(
    stack: Any, sign_up: Callable[[], Any], under_load: Any, service: str
) -> None:
    container = stack.project.container(service)
    async with under_load(sign_up()) as seen:
        await asyncio.to_thread(docker, "kill", container)
        await seen.more()
        await _back(container)
        await seen.more()
    assert seen.failures == []


@pytest.mark.parametrize("service", ["tasks", "gateway", "postgres"])
async def test_a_killed_service_comes_back_and_no_acknowledged_write_is_lost(
    stack: Any, sign_up: Callable[[], Any], under_load: Any, service: str
) -> None:
    container = stack.project.container(service)
    async with under_load(sign_up()) as seen:
        await asyncio.to_thread(docker, "kill", container)
        async with asyncio.timeout(60):
            while not seen.failures:
                await asyncio.sleep(0.05)
        await _back(container)
        await _is_whole(seen)
    assert seen.answers.keys() <= AWAY, seen.answers
    if service != "gateway":
        assert seen.unanswered == []


async def test_a_paused_database_is_an_answer_in_time_and_afterwards_all_is_as_before(
    stack: Any, sign_up: Callable[[], Any], under_load: Any
) -> None:
    container = stack.project.container("postgres")
    async with under_load(sign_up()) as seen:
        await asyncio.to_thread(docker, "pause", container)
        try:
            async with asyncio.timeout(60):
                while not seen.answers[503] and not seen.answers[504]:
                    await asyncio.sleep(0.05)
        finally:
            await asyncio.to_thread(docker, "unpause", container)
        await _is_whole(seen)
    assert seen.answers.keys() <= AWAY, seen.answers
    assert seen.unanswered == []


async def test_a_process_that_dies_by_itself_is_started_again(
    stack: Any, sign_up: Callable[[], Any], under_load: Any
) -> None:
    container = stack.project.container("tasks")
    async with under_load(sign_up()) as seen:
        # A process of a container cannot kill its first one; its own child it can.
        kill = (
            "import os, signal; [os.kill(int(p), signal.SIGKILL) for p in os.listdir('/proc') if p.isdigit()"
        )
        kill += " and int(p) not in (1, os.getpid())]"
        await asyncio.to_thread(docker, "exec", container, "python", "-c", kill)
        count = ["inspect", "--format", "{{.RestartCount}}", container]
        await asyncio.to_thread(
            wait_until, "the engine has started it again", lambda: int(docker(*count)) >= 1
        )
        await _is_whole(seen)
