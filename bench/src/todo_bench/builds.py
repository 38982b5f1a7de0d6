"""Every build that is measured, and how its users start it: the product, and the peers in `bench/peers`.

Task: T-031 · Spec: plan.md#yardstick
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from todo_stack.ports import LOOPBACK, free_port

from todo_bench.data import Layout
from todo_bench.issuer import BenchIssuer
from todo_bench.launch import Build, LaunchError, Part, answers

PEERS = Path(__file__).parents[2] / "peers"
TEXTBOOK, NODE, HAPROXY = PEERS / "textbook", PEERS / "node", PEERS / "haproxy"
ORIGIN = "http://localhost:3000"
"""The page that calls; every request carries it, and every build allows it."""
OLDEST_NODE = 20
IDENTITY_SECRET = "0123456789abcdef0123456789abcdef"


def lacking_node() -> str | None:
    """What keeps the Node peer from running here, or None."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return "Node is not on PATH"
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    major = re.match(r"v(\d+)\.", version)
    if major is None or int(major[1]) < OLDEST_NODE:
        return f"Node {version} is older than {OLDEST_NODE}"
    return None


def lacking_haproxy() -> str | None:
    """What keeps HAProxy from running here, or None."""
    return None if shutil.which("haproxy") else "HAProxy is not installed (apt install haproxy)"


def install_node() -> None:
    """Install the Node peer's packages from its lock, unless exactly those are there. Raises LaunchError."""
    wanted = hashlib.sha256((NODE / "package-lock.json").read_bytes()).hexdigest()
    stamp = NODE / "node_modules" / ".installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    done = subprocess.run(["npm", "ci"], cwd=NODE, capture_output=True, text=True)
    if done.returncode:
        raise LaunchError(f"npm ci in {NODE.name}/ failed: {done.stderr.strip()[-500:]}")
    stamp.write_text(wanted)


def make_peer_tables(database_url: str) -> None:
    """Make the tables that all peers share. Raises LaunchError."""
    done = subprocess.run(
        [sys.executable, "schema.py"],
        cwd=TEXTBOOK,
        env={**os.environ, **_textbook_database(database_url)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise LaunchError(f"the peers' tables cannot be made: {done.stderr.strip()[-500:]}")


def _textbook_database(url: str) -> dict[str, str]:
    # SQLAlchemy's name for the driver.
    return {"DATABASE_URL": url.replace("postgresql://", "postgresql+psycopg2://")}


@dataclass(frozen=True)
class Candidate:
    """A build of the whole path that is yet to be started. `make`: with the URL of its database."""

    name: str
    layout: Layout
    make: Callable[[str], Build]


@dataclass(frozen=True)
class Builds:
    """Makes the builds, all of which trust `issuer`. `directory`: for what they keep."""

    issuer: BenchIssuer
    directory: Path

    def candidates(self) -> list[Candidate]:
        """Every build of the whole path that can run on this machine; the product is the last one."""
        peers = {"textbook": self.textbook, "monolith": self.monolith}
        if not lacking_node():
            peers |= {
                "node": partial(self.node, cached=False),
                "node-cached": partial(self.node, cached=True),
            }
        return [*(Candidate(name, "peer", make) for name, make in peers.items()), self.candidate("product")]

    def candidate(self, name: str) -> Candidate:
        """The product under a name of its own."""
        return Candidate(name, "product", partial(self.product, name=name))

    def textbook(self, database_url: str) -> Build:
        """FastAPI gateway with one default httpx client → FastAPI service with a synchronous session."""
        port, tasks_port = free_port(), free_port()
        tasks = self._uvicorn("tasks", tasks_port, _textbook_database(database_url))
        return Build("textbook", port, [tasks, self._textbook_gateway(port, tasks_port)])

    def textbook_gateway(self, upstream_port: int) -> Build:
        """The textbook gateway alone."""
        port = free_port()
        return Build("textbook", port, [self._textbook_gateway(port, upstream_port)])

    def monolith(self, database_url: str) -> Build:
        """The textbook routes in one FastAPI application that verifies the token itself."""
        port = free_port()
        return Build(
            "monolith",
            port,
            [self._uvicorn("monolith", port, self._trust | _textbook_database(database_url))],
        )

    def node(self, database_url: str, *, cached: bool) -> Build:
        """Hono, jose, Drizzle and pg in one process; `cached`: verified tokens are remembered."""
        port = free_port()
        environment = self._trust | {
            "NODE_ENV": "production",
            "DATABASE_URL": database_url,
            "PORT": str(port),
            "CACHE_TOKENS": "1" if cached else "0",
        }
        part = Part("node", ["node", "server.js"], environment, answers(port, "/health"), NODE)
        return Build("node-cached" if cached else "node", port, [part])

    def haproxy(self, upstream_port: int) -> Build:
        """HAProxy with one thread, verifying ES256 at every request."""
        port = free_port()
        public_key = self.directory / "es256.pem"
        public_key.write_bytes(self.issuer.public_pem())
        environment = {
            "GATEWAY_PORT": str(port),
            "UPSTREAM_PORT": str(upstream_port),
            "BETTER_AUTH_URL": self.issuer.url,
            "PUBLIC_KEY": str(public_key),
        }
        command = ["haproxy", "-db", "-f", str(HAPROXY / "haproxy.cfg")]
        return Build("haproxy", port, [Part("haproxy", command, environment, answers(port, "/health"))])

    def product(self, database_url: str, name: str = "product") -> Build:
        """The product as `./dev up` starts it, in production: with access log, metrics, CORS and limits."""
        port, data_dir = free_port(), self.directory / name
        ready_file = data_dir / "ready.json"
        data_dir.mkdir(exist_ok=True)
        ready_file.unlink(missing_ok=True)
        environment = self._production | {
            "DATABASE_URL": database_url,
            "DATABASE_DIRECT_URL": database_url,
            "GATEWAY_PORT": str(port),
            "TASKS_PORT": str(free_port()),
            "TASKS_METRICS_PORT": str(free_port()),
            "WEB_PORT": str(free_port()),
            "TODO_DATA_DIR": str(data_dir),
            "TODO_READY_FILE": str(ready_file),
        }
        command = [sys.executable, "-m", "todo_stack", "up"]
        return Build(name, port, [Part("supervisor", command, environment, ready_file.exists)])

    def product_gateway(self, upstream_port: int) -> Build:
        """The product's gateway alone, in production."""
        port = free_port()
        environment = self._production | {
            "GATEWAY_PORT": str(port),
            "TASKS_URL": f"http://{LOOPBACK}:{upstream_port}",
        }
        command = [sys.executable, "-m", "todo_gateway", "serve"]
        return Build("product", port, [Part("gateway", command, environment, answers(port, "/readyz"))])

    @staticmethod
    def upstream() -> Build:
        """What stands behind the gateways that are measured alone."""
        port = free_port()
        command = [sys.executable, "-m", "todo_bench.upstream", str(port)]
        return Build("no gateway", port, [Part("upstream", command, {}, answers(port, "/readyz"))])

    @property
    def _trust(self) -> dict[str, str]:
        return {"BETTER_AUTH_URL": self.issuer.url, "CORS_ORIGINS": ORIGIN}

    @property
    def _production(self) -> dict[str, str]:
        # Limits that are counted at every request and never reached.
        return self._trust | {
            "ENV": "production",
            "IDENTITY_SECRET": IDENTITY_SECRET,
            "RATE_LIMIT": "100000000/minute",
            "ADDRESS_RATE_LIMIT": "100000000/minute",
            "GATEWAY_METRICS_PORT": str(free_port()),
        }

    def _textbook_gateway(self, port: int, tasks_port: int) -> Part:
        tasks_url = {"TASKS_URL": f"http://{LOOPBACK}:{tasks_port}"}
        return self._uvicorn("gateway", port, self._trust | tasks_url)

    @staticmethod
    def _uvicorn(module: str, port: int, environment: dict[str, str]) -> Part:
        command = [sys.executable, "-m", "uvicorn", f"{module}:app", f"--port={port}"]
        return Part(module, command, environment, answers(port, "/health"), TEXTBOOK)
