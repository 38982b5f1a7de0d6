"""The command `up` with the real parts and the development issuer: start, data, and every way to end it."""

import json

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg2
import pytest
from dotenv import dotenv_values
from todo_stack.databases import has_table
from todo_stack.ports import free_port
from todo_stack.postgres import Postgres
from todo_stack.settings import ROOT

# Whole stacks are started here, on machines that may have much else to do.
pytestmark = pytest.mark.timeout(600)

Eventually = Callable[[Callable[[], bool]], bool]
PORTS = ("GATEWAY_PORT", "TASKS_PORT", "WEB_PORT")


class Up:
    """A `todo_stack up` that runs, with its output in a file."""

    def __init__(self, environ: Mapping[str, str], directory: Path) -> None:
        self.ready_file = directory / "ready.json"
        self.ready_file.unlink(missing_ok=True)
        self._output = directory / "output"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "todo_stack", "up"],
                env={**environ, "TODO_READY_FILE": str(self.ready_file)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text()

    def addresses(self, eventually: Eventually) -> dict[str, Any]:
        """Wait until it is ready, and return what it says about itself."""
        assert eventually(lambda: self.ready_file.exists() or self.process.poll() is not None)
        assert self.ready_file.exists(), self.output
        document: dict[str, Any] = json.loads(self.ready_file.read_text())
        return document

    def family(self) -> list[psutil.Process]:
        """Every process that it has started, directly or not."""
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment of nothing but free ports and a data directory: no Node, no `.env`, no database."""
    (tmp_path / "empty").mkdir()
    hidden = dict.fromkeys(dotenv_values(ROOT / ".env"), "")
    ports = {name: str(free_port()) for name in PORTS}
    return {**hidden, **ports, "PATH": str(tmp_path / "empty"), "TODO_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
def start(environ: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Starts `up`, with changes to the environment; what still runs after the test is stopped."""
    with ExitStack() as started:

        def begin(changes: Mapping[str, str] | None = None) -> Up:
            up = Up({**environ, **(changes or {})}, tmp_path)
            started.enter_context(up.process)
            started.callback(up.process.terminate)
            return up

        yield begin


def alive(process: psutil.Process) -> bool:
    """Say whether a process runs; one that waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def refused(up: Up) -> str:
    """Wait for an `up` that does not start, and return its error without the steps before it."""
    family = up.family()
    assert up.process.wait() == 1
    assert not any(map(alive, family))
    (error,) = [line for line in up.output.splitlines() if line.startswith("error: ")]
    return error


def bearer(addresses: dict[str, Any]) -> dict[str, str]:
    """The demo user's token as a header."""
    endpoints = f"{addresses['issuer_url']}/api/auth"
    session = httpx.post(f"{endpoints}/sign-in/email", json=addresses["demo_user"]).json()["token"]
    token = httpx.get(f"{endpoints}/token", headers={"Authorization": f"Bearer {session}"}).json()["token"]
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_however_it_ends_nothing_is_left_running_and_the_data_is_there_again(
    start: Callable[..., Up], eventually: Eventually, number: signal.Signals, code: int
) -> None:
    up = start()
    addresses = up.addresses(eventually)
    tasks = f"{addresses['gateway_url']}/api/tasks"
    created = httpx.post(tasks, json={"title": "Kept"}, headers=bearer(addresses))
    assert created.status_code == 201
    family = up.family()
    assert {"postgres"} <= {process.name() for process in family}
    up.process.send_signal(number)
    assert up.process.wait() == code
    again = start().addresses(eventually)  # At once: a killed one may still be stopping.
    assert not any(map(alive, family))
    assert again["demo_user"] == addresses["demo_user"]
    listed = httpx.get(f"{again['gateway_url']}/api/tasks", headers=bearer(again)).json()
    assert [task["title"] for task in listed] == ["Kept"]


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_printed_curl_lines_work_when_pasted(start: Callable[..., Up], eventually: Eventually) -> None:
    up = start()
    addresses = up.addresses(eventually)
    assert addresses["issuer"] == "development"
    _, separator, guide = up.output.partition("Try it:")
    lines = [line for line in guide.splitlines() if line.strip()][:3]
    assert separator and "curl" in lines[0]
    pasted = subprocess.run(["bash", "-euc", "\necho\n".join(lines)], capture_output=True, text=True)
    created, listed = pasted.stdout.splitlines()[-2:]
    assert json.loads(listed) == [json.loads(created)]
    assert json.loads(created)["title"] == "Water the plants"


def test_a_second_start_in_the_same_directory_is_told_so(
    start: Callable[..., Up], eventually: Eventually
) -> None:
    first = start()
    first.addresses(eventually)
    second = start()
    assert "Another `./dev up` runs in" in refused(second)
    assert first.process.poll() is None


def test_a_part_that_ends_ends_all_and_is_named(start: Callable[..., Up], eventually: Eventually) -> None:
    up = start()
    up.addresses(eventually)
    family = up.family()
    (gateway,) = [process for process in family if "todo_gateway" in process.cmdline()]
    gateway.kill()
    assert up.process.wait() == 1
    assert "error: gateway ended unexpectedly (SIGKILL)." in up.output
    assert not any(map(alive, family))


@pytest.mark.parametrize("setting", PORTS)
def test_a_taken_port_is_named_with_its_setting(start: Callable[..., Up], setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = refused(start({setting: str(port)}))
    assert error == f"error: Port {port} is taken: set {setting} to another one."


def test_a_wrong_database_password_is_told_but_never_printed(
    start: Callable[..., Up], tmp_path: Path
) -> None:
    with Postgres(tmp_path / "postgres", durable=False) as server:
        up = start({"DATABASE_URL": server.url.replace("postgres:", "postgres:hunter2")})
        assert refused(up) == "error: DATABASE_URL: the server refused its user name or password."
    assert "hunter2" not in up.output and server.url not in up.output


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"IDENTITY_SECRET": "short"}, "IDENTITY_SECRET is too short"),
        ({"DATABASE_URL": "postgresql://127.0.0.1:1/todo"}, "DATABASE_URL: nothing answers there"),
        ({"ENV": "production"}, "ENV=production"),
        ({"TODO_DATA_DIR": "/dev/null/data"}, "/dev/null/data cannot be written to"),
    ],
)
def test_what_keeps_it_from_starting_is_one_sentence(
    start: Callable[..., Up], changes: Mapping[str, str], sentence: str
) -> None:
    assert sentence in refused(start(changes))


def test_a_given_database_is_used_and_only_the_demo_makes_its_own(
    start: Callable[..., Up], environ: dict[str, str], tmp_path: Path
) -> None:
    with Postgres(tmp_path / "postgres", durable=False) as server:
        url = server.create_database("given")
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        demo = subprocess.run(
            [sys.executable, "-m", "todo_stack", "demo"],
            env={**environ, "DATABASE_URL": url, "TMPDIR": str(temporary)},
            capture_output=True,
            text=True,
        )
        assert demo.returncode == 0, demo.stdout + demo.stderr
        assert "Identity provider: the development issuer, because Node is not on PATH" in demo.stdout
        assert "The demo passed with the development issuer" in demo.stdout
        assert not list(temporary.iterdir()) and not (tmp_path / "data").exists()
        assert has_table(url, "task") is False
        assert names(server.url) == {"given", "postgres", "template0", "template1"}


def names(url: str) -> set[str]:
    """The databases of a server."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        return {name for name, in cursor.fetchall()}
