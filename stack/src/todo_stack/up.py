"""The start of the whole, in order of readiness.

Task: T-004 · Spec: plan.md#processes
"""

import asyncio
import json
import sys
from asyncio import Task, TaskGroup
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from todo_stack.accounts import Accounts
from todo_stack.data import DataDirectory
from todo_stack.databases import has_table, libpq_url, require_answer
from todo_stack.issuer import WEB, Issuer, build_web, choose
from todo_stack.ports import LOOPBACK, require_free
from todo_stack.postgres import Postgres
from todo_stack.processes import Part, Processes, answers
from todo_stack.settings import Settings
from todo_stack.terminal import Terminal

DEMO_EMAIL = "demo@example.com"


@dataclass(frozen=True)
class User:
    """Someone who can sign in."""

    email: str
    password: str


@dataclass(frozen=True)
class Stack:
    """Where the running parts are reached; `web_url` and `demo_user` are None where there is none."""

    gateway_url: str
    web_url: str | None
    issuer: Issuer
    demo_user: User | None

    def write(self, file: Path) -> None:
        """Write the addresses as JSON, whole or not at all: who waits for the file reads it at once."""
        user = self.demo_user
        document = {
            "gateway_url": self.gateway_url,
            "web_url": self.web_url,
            "issuer_url": self.issuer.url,
            "issuer": self.issuer.kind,
            "demo_user": {"email": user.email, "password": user.password} if user else None,
        }
        new = file.with_name(file.name + ".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(document))
        new.replace(file)


async def start(settings: Settings, data: DataDirectory, processes: Processes, terminal: Terminal) -> Stack:
    """Start every part and wait until all are ready. Raises `StackError`, possibly in an `ExceptionGroup`.

    PostgreSQL and the build of `web/` come first, then the issuer; the migrations wait for the issuer's
    tables, which a foreign key leads to, unless an earlier start has left them there.
    """
    issuer = choose(settings)
    require_free(settings.gateway_port, "GATEWAY_PORT")
    require_free(settings.tasks_port, "TASKS_PORT")
    if issuer.kind != "external":
        require_free(settings.web_port, "WEB_PORT")
    terminal.say(f"Identity provider: {issuer.name}{issuer.reason and f', because {issuer.reason}'}.")
    environment = {
        "ENV": "development",
        "IDENTITY_SECRET": data.secret("identity-secret"),
        **settings.environment,
        "GATEWAY_HOST": LOOPBACK,
        "TASKS_HOST": LOOPBACK,
        "PYTHONUNBUFFERED": "1",
    }
    parts = _Parts(settings, issuer, environment, data, processes, terminal)
    async with TaskGroup() as first:
        if issuer.kind == "better-auth":
            first.create_task(build_web(environment, processes, terminal))
        database = first.create_task(parts.database())
    environment |= database.result()
    async with TaskGroup() as then:
        issuing = then.create_task(parts.issuer_process())
        tasks_started = asyncio.Event()
        then.create_task(parts.tasks(issuing, tasks_started))
        then.create_task(parts.gateway(tasks_started))
        demo_user = then.create_task(parts.demo_user(issuing))
    return Stack(
        gateway_url=parts.gateway_url,
        web_url=issuer.url if issuer.kind == "better-auth" else None,
        issuer=issuer,
        demo_user=demo_user.result(),
    )


@dataclass(frozen=True)
class _Parts:
    """One coroutine a part, each done when its part is ready. `environment` is what every part inherits."""

    settings: Settings
    issuer: Issuer
    environment: Mapping[str, str]
    data: DataDirectory
    processes: Processes
    terminal: Terminal

    @property
    def gateway_url(self) -> str:
        return f"http://localhost:{self.settings.gateway_port}"

    async def database(self) -> Mapping[str, str]:
        """Return the settings of the database: none for the given one, else the embedded one's."""
        given = {name: self.environment.get(name) for name in ("DATABASE_URL", "DATABASE_DIRECT_URL")}
        if given["DATABASE_URL"]:
            with self.terminal.step("database"):
                for name, url in given.items():
                    if url:
                        await asyncio.to_thread(require_answer, url, name)
            return {}
        postgres = Postgres(self.data.path / "postgres")
        # A user id of one issuer means nothing to the other.
        name = "todo_dev" if self.issuer.kind == "development" else "todo"
        with self.terminal.step("PostgreSQL"):
            await asyncio.to_thread(postgres.prepare, self.processes.group)
            await self.processes.start(
                Part(
                    "postgres",
                    postgres.command,
                    environment={},
                    ready=partial(asyncio.to_thread, postgres.is_ready),
                    cwd=postgres.data_dir,
                    account=postgres.account,
                    stop_signal=postgres.stop_signal,
                )
            )
            url = await asyncio.to_thread(postgres.create_database, name)
        return {"DATABASE_URL": url, "DATABASE_DIRECT_URL": url}

    async def issuer_process(self) -> None:
        """The issuer, where it is ours."""
        port = self.settings.web_port
        if self.issuer.kind == "development":
            command = [
                *_python("todo_auth.testing"),
                f"--port={port}",
                f"--state={self.data.path / 'issuer.json'}",
            ]
            await self._start("issuer", command, {}, f"http://{LOOPBACK}:{port}/healthz")
        elif self.issuer.kind == "better-auth":
            settings = {
                "DATABASE_URL": libpq_url(self.environment["DATABASE_URL"]),
                "BETTER_AUTH_URL": self.issuer.url,
                "BETTER_AUTH_SECRET": self.environment.get("BETTER_AUTH_SECRET")
                or self.data.secret("better-auth-secret"),
                "GATEWAY_URL": self.gateway_url,
                "PORT": str(port),
                "HOSTNAME": LOOPBACK,
            }
            command = ["node", str(WEB / ".next" / "standalone" / "server.js")]
            await self._start("web", command, settings, f"http://{LOOPBACK}:{port}/api/ready")

    async def tasks(self, issuing: Task[None], started: asyncio.Event) -> None:
        """The migrations, then the tasks service; `started` is set when it runs."""
        if self.issuer.kind == "better-auth":
            there = await asyncio.to_thread(has_table, self.environment["DATABASE_URL"], '"user"')
            if not there:
                await issuing
        with self.terminal.step("migrations"):
            command = [*_python("todo_tasks"), "migrate"]
            await self.processes.run("migrate", command, self.environment, self.data.path)
        port = self.settings.tasks_port
        settings = {"TASKS_PORT": str(port)}
        ready_url = f"http://{LOOPBACK}:{port}/readyz"
        await self._start("tasks", [*_python("todo_tasks"), "serve"], settings, ready_url, started)

    async def gateway(self, tasks_started: asyncio.Event) -> None:
        """The gateway, which lets the page's origins in unless the environment names others.

        It starts after the tasks service and so stops before it: what it still forwards gets an answer.
        """
        await tasks_started.wait()
        port, web_port = self.settings.gateway_port, self.settings.web_port
        pages = f"http://localhost:{web_port},http://{LOOPBACK}:{web_port}"
        settings = {
            "CORS_ORIGINS": self.environment.get("CORS_ORIGINS", pages),
            "GATEWAY_PORT": str(port),
            "TASKS_URL": f"http://{LOOPBACK}:{self.settings.tasks_port}",
        }
        if self.issuer.kind != "external":
            settings["BETTER_AUTH_URL"] = self.issuer.url
            settings["BETTER_AUTH_JWKS_URL"] = f"http://{LOOPBACK}:{web_port}/api/auth/jwks"
        await self._start(
            "gateway", [*_python("todo_gateway"), "serve"], settings, f"http://{LOOPBACK}:{port}/readyz"
        )

    async def demo_user(self, issuing: Task[None]) -> User | None:
        """The demo user, made at the first start; None when its password has been changed since.

        At an issuer that is not ours nobody is made, and None is returned.
        """
        await issuing
        if self.issuer.kind == "external":
            return None
        is_new = not self.data.holds("demo-password")
        user = User(DEMO_EMAIL, self.data.secret("demo-password"))
        accounts = Accounts(self.issuer.endpoints)
        with self.terminal.step("demo user"):
            session = None if is_new else await accounts.sign_in(user.email, user.password)
            session = session or await accounts.sign_up(user.email, user.password, "Demo")
        return user if session else None

    async def _start(
        self,
        name: str,
        command: list[str],
        settings: Mapping[str, str],
        ready_url: str,
        started: asyncio.Event | None = None,
    ) -> None:
        # In the data directory there is no `.env` that the part would read a second time.
        part = Part(name, command, {**self.environment, **settings}, answers(ready_url), self.data.path)
        with self.terminal.step(name):
            await self.processes.start(part, started)


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", module]
