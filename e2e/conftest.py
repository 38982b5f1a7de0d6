"""What the tests of docker-compose.yml share: the project, people, clients that keep it busy.

Task: T-057 · Spec: plan.md#end-to-end
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from todo_stack.compose import Project, engine_problem, make_project
from todo_stack.ports import free_port

PASSWORD = "correct horse battery"
PATIENCE_S = 120.0
CLIENTS = 4
PAUSE_S = 0.02
"""Between two requests of a client: the restarts need the machine, too."""


@dataclass(frozen=True)
class Stack:
    """The running project. `friend`: an origin that may call the gateway, `stranger`: one that may not."""

    project: Project
    web_url: str
    gateway_url: str
    friend: str
    stranger: str


@pytest.fixture(scope="session")
def engine() -> None:
    """Skips where no Docker engine runs."""
    problem = engine_problem()
    if problem:
        pytest.skip(problem)


@pytest.fixture(scope="session")
def stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All of docker-compose.yml with Redis, on free ports and with secrets of its own; gone at the end."""
    web, gateway, friend, stranger = (free_port() for _ in range(4))
    project = make_project(
        tmp_path_factory.mktemp("compose"),
        WEB_PORT=str(web),
        GATEWAY_PORT=str(gateway),
        CORS_ORIGINS=f"http://localhost:{web},http://localhost:{friend}",
        COMPOSE_PROFILES="redis",
        REDIS_URL="redis://redis:6379/0",
        # How long a request waits for a database that is paused.
        DATABASE_TIMEOUT_S="5",
        # Counted as ever, in Redis, too; but the clients here come from one address.
        RATE_LIMIT="1000000/minute",
        ADDRESS_RATE_LIMIT="1000000/minute",
    )
    project.down()
    begun = time.monotonic()
    project.build()
    built = time.monotonic()
    try:
        project.up()
        print(f"\nBuilt in {built - begun:.0f} s, healthy {time.monotonic() - built:.0f} s later.")
        yield Stack(
            project,
            f"http://localhost:{web}",
            f"http://localhost:{gateway}",
            f"http://localhost:{friend}",
            f"http://localhost:{stranger}",
        )
    finally:
        project.down()


@dataclass(frozen=True)
class Person:
    """Somebody with an account. `session`: Better Auth's session token, `token`: the gateway's."""

    email: str
    session: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What a request carries that is hers."""
        return {"Authorization": f"Bearer {self.token}"}


@pytest.fixture(scope="session")
def new_token(stack: Stack) -> Callable[[str], str]:
    """Trades a session for a token, as the page does."""

    def ask(session: str) -> str:
        url = f"{stack.web_url}/api/auth/token"
        answer = httpx.get(url, headers={"Authorization": f"Bearer {session}"}, trust_env=False, timeout=60)
        assert answer.status_code == 200, answer.text
        token = answer.json()["token"]
        assert isinstance(token, str)
        return token

    return ask


@pytest.fixture(scope="session")
def sign_up(stack: Stack, new_token: Callable[[str], str]) -> Callable[[], Person]:
    """Makes an account at Better Auth, over HTTP."""

    def make() -> Person:
        email = f"{uuid.uuid4().hex}@example.com"
        account = {"name": "Ada Lovelace", "email": email, "password": PASSWORD}
        answer = httpx.post(
            f"{stack.web_url}/api/auth/sign-up/email", json=account, trust_env=False, timeout=60
        )
        assert answer.status_code == 200, answer.text
        session = answer.json()["token"]
        return Person(email, session, new_token(session))

    return make


@dataclass
class Load:
    """What the clients have seen: `answers` by status, `failures` in words, those of them without any answer
    in `unanswered`, too; and the titles by ids of the tasks whose writes were acknowledged.
    """

    answers: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    is_over: bool = False

    async def more(self, count: int = 40) -> None:
        """Wait for so many further answers of 200 and 201."""

        def good() -> int:
            return self.answers[200] + self.answers[201]

        enough = good() + count
        async with asyncio.timeout(PATIENCE_S):
            while good() < enough:
                await asyncio.sleep(0.02)

    async def client(self, number: int, url: str, person: Person) -> None:
        """One client: reads and writes, one after the other, on connections that are kept."""
        async with httpx.AsyncClient(
            base_url=url, headers=person.headers, timeout=60, trust_env=False
        ) as http:
            turn = 0
            while not self.is_over:
                turn += 1
                await asyncio.sleep(PAUSE_S)
                method, path, body = "GET", "/api/tasks?limit=20", None
                if turn % 4 == 1:
                    method, path, body = "POST", "/api/tasks", {"title": f"{number}: {turn}"}
                try:
                    answer = await http.request(method, path, json=body)
                except httpx.TransportError as error:
                    self.unanswered.append(f"{method}: {error!r}")
                    self.failures.append(self.unanswered[-1])
                    continue
                self.answers[answer.status_code] += 1
                if answer.status_code == 201:
                    self.written[answer.json()["id"]] = answer.json()["title"]
                elif answer.status_code != 200:
                    self.failures.append(f"{method}: {answer.status_code} {answer.text}")


@pytest.fixture
def under_load(stack: Stack) -> Callable[[Person], object]:
    """`async with under_load(person) as seen`: clients at work for the length of the block; at its end, what
    was acknowledged is there.
    """

    @asynccontextmanager
    async def loading(person: Person) -> AsyncIterator[Load]:
        seen = Load()
        clients = [
            asyncio.create_task(seen.client(number, stack.gateway_url, person)) for number in range(CLIENTS)
        ]
        try:
            await seen.more()
            yield seen
        finally:
            seen.is_over = True
            await asyncio.gather(*clients)
        assert seen.written.items() <= (await _stored(stack.gateway_url, person)).items()

    return loading


async def _stored(url: str, person: Person) -> dict[str, str]:
    titles: dict[str, str] = {}
    async with httpx.AsyncClient(headers=person.headers, timeout=60, trust_env=False) as http:
        page: httpx.URL | None = httpx.URL(f"{url}/api/tasks?limit=1000")
        while page is not None:
            answer = await http.get(page)
            assert answer.status_code == 200, answer.text
            titles |= {task["id"]: task["title"] for task in answer.json()}
            following = answer.links.get("next")
            page = page.join(following["url"]) if following else None
    return titles
