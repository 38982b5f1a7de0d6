"""PgBouncer in transaction mode with TLS: no settings of a session, no words of startup that it does not
know.

Twice: as it is installed (1.18 on Debian 12), which keeps no prepared statements from one transaction to the
next, and in a container (1.24, Debian 13), which does.
"""

import datetime
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import psycopg2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from todo_stack.ports import free_port
from todo_tasks.settings import TasksSettings

SECRET = "a-secret-of-the-tests-long-enough-for-HS256"
ACCOUNT = "nobody"
IMAGE = "todo-test-pgbouncer:1.24"


class Pooler:
    """The PgBouncer at the path `binary`, before the server of `server_url`; `certificate` is its own, for
    `localhost`.
    """

    keeps_statements = False

    def __init__(self, binary: str, directory: Path, server_url: str) -> None:
        self._binary = binary
        self._directory = directory
        self._configuration = directory / "pgbouncer.ini"
        self._server = urlsplit(server_url)
        self._process: subprocess.Popen[bytes] | None = None
        self.certificate = directory / "pooler.crt"
        self.port = free_port()
        self._configure()

    def url(self, url: str, **words: str) -> str:
        """The URL of the same database as `url`, through the pooler."""
        given = urlsplit(url)
        words = {"sslmode": "require"} | words
        user = given.netloc.rpartition("@")[0]
        return f"postgres://{user}@localhost:{self.port}{given.path}?{urlencode(words)}"

    def start(self) -> None:
        """Run it, and wait until it listens."""
        self._process = self._run()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, self._log()
            time.sleep(0.02)
        raise AssertionError("PgBouncer did not start")

    def stop(self) -> None:
        """Kill it, without a word to its clients."""
        if self._process:
            self._kill(self._process)
            self._process.wait()
            self._process = None

    def _run(self) -> "subprocess.Popen[bytes]":
        as_root = os.geteuid() == 0
        return subprocess.Popen(
            [self._binary, str(self._configuration)],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            user=ACCOUNT if as_root else None,
            group=pwd.getpwnam(ACCOUNT).pw_gid if as_root else None,
            extra_groups=[] if as_root else None,
        )

    def _kill(self, process: "subprocess.Popen[bytes]") -> None:
        process.kill()

    def _log(self) -> str:
        log = self._directory / "log"
        return log.read_text() if log.exists() else "it has written no log"

    def _configure(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.now(datetime.UTC)
        signed = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        key_file = self._directory / "pooler.key"
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        user, password = unquote(self._server.username or ""), unquote(self._server.password or "")
        (self._directory / "users").write_text(f'"{user}" "{password}"\n')
        self._configuration.write_text(f"""
[databases]
* = host={self._server.hostname} port={self._server.port or 5432}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
logfile = {self._directory / "log"}
auth_type = scram-sha-256
auth_file = {self._directory / "users"}
pool_mode = transaction
default_pool_size = 10
client_tls_sslmode = require
client_tls_key_file = {key_file}
client_tls_cert_file = {self.certificate}
server_login_retry = 0.2
""")
        if os.geteuid() == 0:
            for path in (self._directory, *self._directory.iterdir()):
                shutil.chown(path, ACCOUNT)


class ContainedPooler(Pooler):
    """The PgBouncer of the image `IMAGE`, on this machine's own network. `binary` is Docker's."""

    keeps_statements = True

    def _run(self) -> "subprocess.Popen[bytes]":
        self._name = f"todo-test-pgbouncer-{secrets.token_hex(6)}"
        account = pwd.getpwnam(ACCOUNT) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        options = [
            f"--name={self._name}",
            "--rm",
            "--network=host",
            f"--user={account.pw_uid}:{account.pw_gid}",
        ]
        mounted = f"--volume={self._directory}:{self._directory}"
        return subprocess.Popen(
            [self._binary, "run", *options, mounted, IMAGE, str(self._configuration)],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def _kill(self, process: "subprocess.Popen[bytes]") -> None:
        subprocess.run([self._binary, "kill", self._name], check=True, capture_output=True)


def installed() -> str:
    """The path of the installed PgBouncer; skips the test where there is none."""
    binary = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if binary is None:
        pytest.skip("PgBouncer is not installed (apt install pgbouncer)")
    return binary


def contained() -> str:
    """The path of Docker, which has the image then; skips the test where that cannot be."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True).returncode:
        pytest.skip("Docker is not there, and with it PgBouncer 1.24")
    if sys.platform != "linux":
        pytest.skip("a container is on this machine's own network only on Linux")
    build = [docker, "build", "--quiet", f"--tag={IMAGE}", str(Path(__file__).parent)]
    try:
        built = subprocess.run(build, capture_output=True, text=True, timeout=100)
    except subprocess.TimeoutExpired:
        pytest.skip("no image of PgBouncer 1.24: its packages are too slow to come")
    if built.returncode:
        pytest.skip(f"no image of PgBouncer 1.24: {built.stderr.strip().splitlines()[-1]}")
    version = subprocess.run([docker, "run", "--rm", IMAGE, "--version"], capture_output=True, text=True)
    assert version.stdout.startswith("PgBouncer 1.24"), version.stdout
    return docker


@pytest.fixture(scope="session", params=["installed", "contained"])
def pooler(request: pytest.FixtureRequest, server_url: str) -> Iterator[Pooler]:
    binary = contained() if request.param == "contained" else installed()
    with TemporaryDirectory(prefix="todo-pooler-") as directory:
        kind = ContainedPooler if request.param == "contained" else Pooler
        pooler = kind(binary, Path(directory), server_url)
        pooler.start()
        yield pooler
        pooler.stop()


@pytest.fixture
def settings_of(pooler: Pooler) -> Callable[..., TasksSettings]:
    """As for all tests, and through the pooler; with prepared statements where it keeps them."""

    def make(url: str, **more: Any) -> TasksSettings:
        given = {"database_url": pooler.url(url), "identity_secret": (SECRET,)}
        return TasksSettings.model_validate(
            given | {"database_statement_cache": pooler.keeps_statements} | more
        )

    return make


@pytest.fixture
def whole(url: str) -> Iterator[Callable[[], bool]]:
    """Whether nothing of the service is left running on the server, as the server sees it."""
    connection = psycopg2.connect(url)
    connection.autocommit = True

    def nothing_runs() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND state <> 'idle'"
            )
            return cursor.fetchone() == (0,)

    yield nothing_runs
    connection.close()
