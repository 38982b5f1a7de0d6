"""Every service is restarted under load, one after the other, with one worker or two, and no client notices.

`RESTART_SECONDS`: for how long that goes on; by default each is restarted once.
"""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from todo_stack.ports import free_port

pytestmark = pytest.mark.timeout(600)

SECONDS = float(os.environ.get("RESTART_SECONDS", "0"))

HAPROXY = """
global
    nbthread 1

defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout check 10s

frontend public
    bind 127.0.0.1:{port}
    default_backend gateways

backend gateways
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host gateway
    default-server check inter 100ms fall 1 rise 1
    http-response set-header X-Served-By %s
"""


@asynccontextmanager
async def behind_haproxy(fleet: Any, directory: Path) -> AsyncIterator[Callable[[], str]]:
    """The gateways behind HAProxy, which asks for their readiness."""
    port = free_port()
    servers = [gateway.url.removeprefix("http://") for gateway in fleet.gateways]
    lines = [f"    server {server.partition(':')[2]} {server}\n" for server in servers]
    configuration = directory / "haproxy.cfg"
    configuration.write_text(HAPROXY.format(port=port) + "".join(lines))
    with (directory / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(["haproxy", "-db", "-f", configuration], stdout=log, stderr=log)
    try:
        async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False) as http:
            while True:
                try:
                    if (await http.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200:
                        break
                except httpx.TransportError:
                    assert process.poll() is None, (directory / "haproxy.log").read_text()
                await asyncio.sleep(0.02)
        yield lambda: f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def by_readiness(fleet: Any, _: Path) -> AsyncIterator[Callable[[], str]]:
    """The gateways by turns, those that are ready: asked ten times a second."""
    urls: list[str] = [gateway.url for gateway in fleet.gateways]
    ready = list(urls)
    turn = 0

    def front() -> str:
        nonlocal turn
        turn += 1
        return ready[turn % len(ready)]

    async def look() -> None:
        async with httpx.AsyncClient(trust_env=False) as http:

            async def is_ready(url: str) -> bool:
                try:
                    return (await http.get(f"{url}/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            while True:
                states = await asyncio.gather(*[is_ready(url) for url in urls])
                ready[:] = [url for url, state in zip(urls, states, strict=True) if state] or urls
                await asyncio.sleep(0.1)

    looking = asyncio.create_task(look())
    try:
        yield front
    finally:
        looking.cancel()
        await asyncio.wait([looking])


@pytest.mark.parametrize("workers", [1, 2])
async def test_restarting_each_service_in_turn_fails_no_request_and_loses_no_write(
    start_fleet: Any, load: Any, stored: Any, tmp_path: Path, workers: int
) -> None:
    fleet = await start_fleet(gateways=2, GATEWAY_WORKERS=str(workers), TASKS_WORKERS=str(workers))
    balanced = behind_haproxy if shutil.which("haproxy") else by_readiness
    ends_at = time.monotonic() + SECONDS
    restarts = 0
    async with balanced(fleet, tmp_path) as front, load(fleet, front) as seen:
        await seen.more()
        while not restarts or time.monotonic() < ends_at:
            for service in (*fleet.gateways, *fleet.tasks):
                await service.restart()
                restarts += 1
                # Before that, nobody restarts the next one.
                await fleet.in_use()
                for gateway in fleet.gateways:
                    await seen.more(10, gateway)
    print(f"{restarts} restarts; {dict(seen.answers)} answers by status; {len(seen.failures)} failures")
    assert seen.failures == []
    assert await stored(fleet, fleet.gateways[0].url) == seen.written
