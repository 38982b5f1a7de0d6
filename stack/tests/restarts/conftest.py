"""The services as real processes that can be restarted, and clients that keep them busy meanwhile.

Task: T-051 · Spec: plan.md#faults
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
from todo_stack.accounts import Accounts
from todo_stack.ports import free_port
from todo_stack.postgres import temporary
from todo_stack.watchdog import Watchdog

PATIENCE_S = 120.0
CLIENTS, USERS = 6, 3
PAUSE_S = 0.01
"""Between two requests of a client: the restarts need the machine, too."""
PYTHON = [sys.executable, "-m"]
INHERITED = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
"""All that a service gets of this environment."""


class Service:
    """A process of ours on a port, always the same one. Its output goes to `NAME.log`."""

    def __init__(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str],
        *,
        port: int,
        directory: Path,
        group: int,
    ) -> None:
        self.name = name
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._command = command
        self._environment = {**INHERITED, **environment}
        self._directory = directory
        self._group = group
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self._directory / f"{self.name}.log"

    async def start(self, ready: str = "/readyz") -> None:
        """Start it, and wait until the path `ready` answers 200."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._directory,  # where there is no `.env` that it would read
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=self._group,
            )
        async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(trust_env=False) as http:
            while True:
                assert self._process.poll() is None, self.log.read_text()[-3000:]
                with suppress(httpx.TransportError):
                    if (await http.get(self.url + ready)).status_code == 200:
                        return
                await asyncio.sleep(0.02)

    async def restart(self) -> None:
        """End it in order, and start it again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        status = await asyncio.to_thread(self._process.wait, PATIENCE_S)
        assert status == 0, self.log.read_text()[-3000:]
        await self.start()

    def workers(self) -> set[int]:
        """Its worker processes."""
        assert self._process is not None
        children = psutil.Process(self._process.pid).children()
        return {child.pid for child in children if "spawn_main" in " ".join(child.cmdline())}

    def kill(self) -> None:
        """End it at once, where it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


Make = Callable[..., Service]


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    with temporary() as url:
        yield url


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """`make(name, command, environment, port=…)`: a service that does not outlive the test."""
    with Watchdog() as watchdog, ExitStack() as made:

        def service(
            name: str, command: list[str], environment: Mapping[str, str] = {}, *, port: int
        ) -> Service:
            new = Service(name, command, environment, port=port, directory=tmp_path, group=watchdog.group)
            made.callback(new.kill)
            return new

        yield service


@dataclass
class Fleet:
    """Gateways before two tasks services on one database. `tokens`: of its users."""

    gateways: list[Service]
    tasks: list[Service]
    tokens: list[str]
    metrics_urls: list[str]

    async def in_use(self) -> None:
        """Wait until every gateway uses both tasks services."""
        async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(trust_env=False) as http:
            for url in self.metrics_urls:
                breakers: list[str] = []
                while breakers != ["0.0", "0.0"]:
                    text = (await http.get(url)).text
                    breakers = re.findall(r"^gateway_upstream_breaker\{.*\} (\S+)$", text, re.MULTILINE)
                    await asyncio.sleep(0.05)


@pytest.fixture
async def start_fleet(database_url: str, make: Make, tmp_path: Path) -> Callable[..., object]:
    """`await start_fleet(gateways=2, **environment)`: the fleet, and what its services are told besides."""

    async def start(*, gateways: int, **environment: str) -> Fleet:
        database = {**INHERITED, "DATABASE_URL": database_url}
        command = [*PYTHON, "todo_tasks", "migrate"]
        migrated = await asyncio.create_subprocess_exec(*command, env=database, cwd=tmp_path)
        both = {"IDENTITY_SECRET": "the identity secret of the whole fleet", "DRAIN_DELAY": "1"}
        port = free_port()
        issuer = make(
            "issuer",
            [*PYTHON, "todo_auth.testing", f"--port={port}", f"--base-url=http://127.0.0.1:{port}"],
            port=port,
        )
        ports = [free_port() for _ in range(2)]
        tasks = [
            make(
                f"tasks-{port}",
                [*PYTHON, "todo_tasks", "serve"],
                {**both, **database, "TASKS_PORT": str(port), **environment},
                port=port,
            )
            for port in ports
        ]
        ports = [free_port() for _ in range(gateways)]
        metrics_ports = [free_port() for _ in range(gateways)]
        doors = [
            make(
                f"gateway-{port}",
                [*PYTHON, "todo_gateway", "serve"],
                {
                    **both,
                    "BETTER_AUTH_URL": issuer.url,
                    "TASKS_URL": ",".join(service.url for service in tasks),
                    "GATEWAY_PORT": str(port),
                    "GATEWAY_METRICS_PORT": str(metrics_port),
                    "RATE_LIMIT": "off",
                    **environment,
                },
                port=port,
            )
            for port, metrics_port in zip(ports, metrics_ports, strict=True)
        ]
        assert await migrated.wait() == 0
        await asyncio.gather(
            issuer.start("/healthz"),
            *[service.start() for service in tasks],
            *[door.start() for door in doors],
        )
        accounts = Accounts(f"{issuer.url}/api/auth")
        tokens = []
        for number in range(USERS):
            address = f"user-{number}@example.com"
            session = await accounts.sign_up(address, "a password of nobody", "User")
            assert session is not None
            tokens.append(await accounts.token(session))
        return Fleet(doors, tasks, tokens, [f"http://127.0.0.1:{port}/metrics" for port in metrics_ports])

    return start


@dataclass
class Load:
    """What the clients have seen: `answers` by status, `served_by` by the port of the gateway, `failures` in
    words; `written`: of each user, the titles of the tasks whose writes were acknowledged, by their ids.
    """

    answers: Counter[int] = field(default_factory=Counter)
    served_by: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    written: list[dict[str, str]] = field(default_factory=lambda: [{} for _ in range(USERS)])
    is_over: bool = False
    clients = CLIENTS

    async def more(self, count: int = 100, gateway: Service | None = None) -> None:
        """Wait for so many further answers, of this gateway."""

        def answered() -> int:
            return self.served_by.total() if gateway is None else self.served_by[gateway.port]

        enough = answered() + count
        async with asyncio.timeout(PATIENCE_S):
            while answered() < enough:
                await asyncio.sleep(0.01)

    async def client(self, number: int, token: str, front: Callable[[], str]) -> None:
        """One client: 80 reads to 20 writes, one after the other, each at the address that `front` gives, on
        connections that are kept.
        """
        written = self.written[number % USERS]
        mine: list[str] = []
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
            turn = 0
            while not self.is_over:
                await asyncio.sleep(PAUSE_S)
                turn += 1
                method, path, title = "GET", "/api/tasks?limit=20", None
                if turn % 10 == 5:
                    method, path, title = "POST", "/api/tasks", f"{number}: {turn}"
                elif turn % 10 == 0:
                    method, path, title = "PUT", f"/api/tasks/{mine[-1]}", f"{number}: {turn}, changed"
                elif turn % 2 and mine:
                    path = f"/api/tasks/{mine[turn % len(mine)]}"
                elif turn % 4 == 0:
                    path = "/api/stats"
                try:
                    answer = await http.request(
                        method, front() + path, json=None if title is None else {"title": title}
                    )
                except httpx.TransportError as error:
                    self.failures.append(f"{method}: {error!r}")
                    continue
                self.answers[answer.status_code] += 1
                self.served_by[int(answer.headers.get("x-served-by", answer.url.port))] += 1
                if answer.status_code not in (200, 201):
                    self.failures.append(f"{method}: {answer.status_code} {answer.text}")
                elif title is not None:
                    task = answer.json()
                    written[task["id"]] = task["title"]
                    if method == "POST":
                        mine.append(task["id"])


@pytest.fixture
def load() -> Callable[..., object]:
    """`async with load(fleet, front) as seen`: clients at work for the length of the block."""

    @asynccontextmanager
    async def loading(fleet: Fleet, front: Callable[[], str]) -> AsyncIterator[Load]:
        seen = Load()
        clients = [
            asyncio.create_task(seen.client(number, fleet.tokens[number % USERS], front))
            for number in range(CLIENTS)
        ]
        try:
            yield seen
        finally:
            seen.is_over = True
            await asyncio.gather(*clients)

    return loading


@pytest.fixture
def stored() -> Callable[..., object]:
    """`await stored(fleet, url)`: each user's tasks, titles by ids, as the gateway at `url` lists them."""

    async def read(fleet: Fleet, url: str) -> list[dict[str, str]]:
        users = []
        async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
            for token in fleet.tokens:
                titles: dict[str, str] = {}
                page: httpx.URL | None = httpx.URL(f"{url}/api/tasks?limit=1000")
                while page is not None:
                    answer = await http.get(page, headers={"Authorization": f"Bearer {token}"})
                    titles |= {task["id"]: task["title"] for task in answer.json()}
                    following = answer.links.get("next")
                    page = page.join(following["url"]) if following else None
                users.append(titles)
        return users

    return read
