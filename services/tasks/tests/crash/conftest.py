"""The service, its database and a proxy between them, each a process that can be killed and started again."""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit

import httpx
import psutil
import pytest

from todo_stack.errors import StackError
from todo_stack.ports import free_port
from todo_stack.postgres import Postgres
from todo_tasks import schema
from todo_tasks.engine import make_engine

SECRET = secrets.token_urlsafe(32)


class System:
    """Everything runs after `__enter__`; `kill_…` ends one part at once and starts it again."""

    secret = SECRET

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._postgres = Postgres(directory / "postgres")  # durable: what it says is written, is written
        self._running = ExitStack()
        self._proxy: subprocess.Popen[bytes] | None = None
        self._service: subprocess.Popen[bytes] | None = None
        self._proxy_port, self._service_port = free_port(), free_port()
        self.address = f"http://127.0.0.1:{self._service_port}"

    @property
    def url(self) -> str:
        """The database, past the proxy."""
        return self._postgres.url

    @property
    def log(self) -> str:
        """What the service had to say: its errors alone."""
        return (self._directory / "log").read_text()

    def __enter__(self) -> "System":
        self._running.enter_context(self._postgres)
        engine = make_engine(self.url, 5)
        schema.upgrade(engine)
        engine.dispose()
        self._start_proxy()
        self._start_service()
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self._service, self._proxy):
            if process:
                process.kill()
                process.wait()
        self._running.close()

    def kill_service(self) -> None:
        assert self._service
        self._service.kill()
        self._service.wait()
        self._start_service()

    def kill_proxy(self) -> None:
        assert self._proxy
        self._proxy.kill()
        self._proxy.wait()
        self._start_proxy()

    def kill_database(self) -> None:
        """Its first process; the others notice that it is gone and end."""
        self._end_database(signal.SIGKILL)

    def shut_database_down_immediately(self) -> None:
        """Every process of it ends without a checkpoint, as of `pg_ctl stop -m immediate`."""
        self._end_database(signal.SIGQUIT)

    def _end_database(self, number: signal.Signals) -> None:
        first = psutil.Process(
            int((self._directory / "postgres/cluster/postmaster.pid").read_text().split()[0])
        )
        everyone = [first, *first.children(recursive=True)]
        first.send_signal(number)
        psutil.wait_procs(everyone[1:], timeout=30)
        self._running.close()
        deadline = time.monotonic() + 30
        while True:
            try:
                self._running.enter_context(self._postgres)
                return
            except StackError:  # a process of the old one still holds its memory
                if time.monotonic() > deadline:
                    raise

    def _start_proxy(self) -> None:
        server_port = urlsplit(self.url).port
        script = Path(__file__).with_name("proxy.py")
        self._proxy = subprocess.Popen([sys.executable, str(script), str(self._proxy_port), str(server_port)])
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", self._proxy_port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("the proxy did not start")

    def _start_service(self) -> None:
        parts = urlsplit(self.url)
        netloc = parts.netloc.rpartition(":")[0] + f":{self._proxy_port}"
        ours = re.compile(r"(DATABASE|TASKS|IDENTITY|ENV$|LOG|TRUST|MAX_BODY)")
        clean = {name: value for name, value in os.environ.items() if not ours.match(name)}
        settings = {
            "DATABASE_URL": urlunsplit(parts._replace(netloc=netloc)),
            "IDENTITY_SECRET": SECRET,
            "TASKS_PORT": str(self._service_port),
            "LOG_LEVEL": "ERROR",
        }
        with (self._directory / "log").open("ab") as log:
            self._service = subprocess.Popen(
                [sys.executable, "-m", "todo_tasks", "serve"], env=clean | settings, stderr=log
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._service.poll() is None:
            try:
                if httpx.get(f"{self.address}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the service did not start")


@pytest.fixture
def system() -> Iterator[System]:
    with TemporaryDirectory(prefix="todo-crash-") as directory, System(Path(directory)) as system:
        yield system
