import os
import re
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import IO

import psycopg2
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from todo_auth.identity import IdentityMinter
from todo_stack.databases import create_database, drop_database
from todo_stack.postgres import temporary
from todo_tasks import schema
from todo_tasks.app import create_app
from todo_tasks.engine import make_engine
from todo_tasks.settings import TasksSettings

SECRET = "a-secret-of-the-tests-long-enough-for-HS256"

SettingsOf = Callable[..., TasksSettings]
Serve = Callable[[TasksSettings], Awaitable[FastAPI]]
Connect = Callable[..., AsyncClient]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A database of a real server, empty."""
    with temporary() as url:
        yield url


@pytest.fixture(scope="session")
def url(server_url: str) -> str:
    """The same, with the schema, and without a table of users."""
    engine = make_engine(server_url, 5)
    schema.upgrade(engine)
    engine.dispose()
    return server_url


@pytest.fixture
def empty_url(server_url: str) -> Iterator[str]:
    """A database of this test's own, empty."""
    name = f"todo_test_{secrets.token_hex(6)}"
    yield create_database(server_url, name)
    drop_database(server_url, name)


@pytest.fixture
def execute() -> Callable[..., list[tuple[object, ...]]]:
    """Runs SQL past the service: `execute(url, sql, *values)` returns the rows, if any."""

    def run(url: str, sql: str, *values: object) -> list[tuple[object, ...]]:
        connection = psycopg2.connect(url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    return run


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of the tests, without a setting of this service."""
    ours = re.compile(r"(DATABASE|TASKS|IDENTITY|ENV$|LOG|TRUST|MAX_BODY|WIRE|TRASH|IDEMPOTENCY)")
    return {name: value for name, value in os.environ.items() if not ours.match(name)}


@pytest.fixture
def command(environment: dict[str, str]) -> Command:
    """Runs `todo-tasks` with settings: `command("export", "ada", stdout=…, DATABASE_URL=url)`."""

    def run(
        *arguments: str, stdout: IO[bytes] | int = subprocess.PIPE, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "todo_tasks", *arguments],
            env=environment | settings,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def a_lock_is_awaited(execute: Callable[..., list[tuple[object, ...]]]) -> Callable[[str], bool]:
    """Whether anybody waits for somebody else's lock: `a_lock_is_awaited(url)`."""
    return lambda url: execute(url, "SELECT 1 FROM pg_locks WHERE NOT granted") != []


@pytest.fixture
def settings_of() -> SettingsOf:
    """The settings of a service on a database: `settings_of(url, **more)`."""

    def make(url: str, **more: object) -> TasksSettings:
        return TasksSettings.model_validate({"database_url": url, "identity_secret": (SECRET,), **more})

    return make


@pytest.fixture
def settings(url: str, settings_of: SettingsOf) -> TasksSettings:
    return settings_of(url)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Makes and opens a service: `await serve(settings)`."""
    async with AsyncExitStack() as opened:

        async def make(settings: TasksSettings) -> FastAPI:
            app = create_app(settings)
            await opened.enter_async_context(app.router.lifespan_context(app))
            return app

        yield make


@pytest.fixture
async def app(settings: TasksSettings, serve: Serve) -> FastAPI:
    return await serve(settings)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """A client with the gateway's token for a user; a user nobody else has, unless it is named."""
    minter = IdentityMinter((SECRET,))
    async with AsyncExitStack() as opened:

        def make(app: FastAPI, user_id: str | None = None) -> AsyncClient:
            user_id = user_id or f"user-{secrets.token_hex(12)}"
            client = AsyncClient(
                transport=ASGITransport(app),
                base_url="http://tasks",
                headers={"X-User-Id": user_id, "Txn-Token": minter.mint(user_id)},
            )
            opened.push_async_callback(client.aclose)
            return client

        yield make


@pytest.fixture
def client_of(app: FastAPI, connect: Connect) -> Callable[..., AsyncClient]:
    """A client of `app` for a user: `client_of(user_id)`."""
    return lambda user_id=None: connect(app, user_id)


@pytest.fixture
def client(app: FastAPI, connect: Connect) -> AsyncClient:
    return connect(app)
