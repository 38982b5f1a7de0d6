"""The page's server: how it starts, what it refuses, how it ends, and the headers it sends.

Task: T-028 · Spec: plan.md#web-page
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psycopg2
import pytest
from todo_stack.ports import free_port
from todo_stack.postgres import temporary

pytestmark = pytest.mark.timeout(300)  # The first test waits for the stack, which may have to build the page.

SERVER = Path(__file__).parent.parent / ".next" / "standalone" / "server.js"
PATIENCE_S = 60.0
"""When a test gives up on something that has to happen. No test judges how long it takes."""
TABLES = {"user", "session", "account", "verification", "jwks"}

Serve = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def database_url() -> Iterator[str]:
    """A fresh, empty database."""
    with temporary() as url:
        yield url


@contextmanager
def servers(node: str) -> Iterator[Serve]:
    """Starts servers of the build; a start returns process and URL without waiting. All end with this."""
    with ExitStack() as processes:

        def start(**settings: str) -> tuple[subprocess.Popen[str], str]:
            port = free_port()
            url = f"http://localhost:{port}"
            environment = {
                "PATH": os.environ["PATH"],
                "PORT": str(port),
                "HOSTNAME": "127.0.0.1",
                "BETTER_AUTH_URL": url,
                "BETTER_AUTH_SECRET": "Vq3n8Zt5Wc1Lk7Rb9Xd2Mf6Hs4Jg0PyT",
                "GATEWAY_URL": "http://gateway.example:8000",
                **settings,
            }
            process = processes.enter_context(
                subprocess.Popen(
                    [node, str(SERVER)],
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            processes.callback(process.kill)
            return process, f"http://127.0.0.1:{port}"

        yield start


@pytest.fixture
def serve(stack: object, node: str) -> Iterator[Serve]:
    """Starts servers of the build that `stack` has made."""
    with servers(node) as start:
        yield start


@pytest.fixture(scope="module")
def page_url(stack: object, node: str) -> Iterator[str]:
    """A server with a gateway elsewhere, for tests that only ask it something."""
    with temporary() as database_url, servers(node) as start:
        process, url = start(DATABASE_URL=database_url, GATEWAY_URL="https://api.example/v2/")
        until_ready(process, url)
        yield url


def until_ready(process: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/api/ready", trust_env=False).json() == {"status": "ok"}:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    pytest.fail("The server did not become ready.")


def test_two_servers_that_start_together_make_the_tables_and_one_key(serve: Serve, database_url: str) -> None:
    servers = [serve(DATABASE_URL=database_url) for _ in range(2)]
    for process, url in servers:
        until_ready(process, url)
    connection = psycopg2.connect(database_url)
    with connection.cursor() as cursor:
        cursor.execute("select tablename from pg_tables where schemaname = 'public'")
        assert {name for (name,) in cursor.fetchall()} == TABLES
    connection.close()
    keys = [httpx.get(f"{url}/api/auth/jwks", trust_env=False).json()["keys"] for _, url in servers]
    assert keys[0] == keys[1]
    assert [(key["alg"], key["crv"]) for key in keys[0]] == [("EdDSA", "Ed25519")]


def test_every_wrong_setting_is_named_at_once_and_no_value_is_printed(serve: Serve) -> None:
    process, _ = serve(
        DATABASE_URL="mysql://user:hunter2@localhost/todo",
        BETTER_AUTH_SECRET="too-short",
        GATEWAY_URL="gateway",
    )
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    for name in ("DATABASE_URL", "BETTER_AUTH_SECRET", "GATEWAY_URL"):
        assert name in errors
    assert "hunter2" not in errors
    assert "too-short" not in errors


@pytest.mark.parametrize("mistake", ["password", "port"])
def test_a_database_that_cannot_be_used_is_one_sentence_without_its_url(
    serve: Serve, database_url: str, mistake: str
) -> None:
    parts = psycopg2.extensions.parse_dsn(database_url)
    parts["password" if mistake == "password" else "port"] = (
        "hunter2" if mistake == "password" else str(free_port())
    )
    wrong = "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**parts)
    process, _ = serve(DATABASE_URL=wrong)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "DATABASE_URL" in errors
    assert len(errors.strip().splitlines()) == 1
    assert "hunter2" not in errors


def test_a_server_whose_tables_are_gone_is_not_ready(serve: Serve, database_url: str) -> None:
    process, url = serve(DATABASE_URL=database_url)
    until_ready(process, url)
    connection = psycopg2.connect(database_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("drop table jwks")
    connection.close()
    response = httpx.get(f"{url}/api/ready", trust_env=False)
    assert response.status_code == 503
    assert response.json()["status"] == "unavailable"


def test_sigterm_ends_the_server_while_a_connection_is_kept_alive(serve: Serve, database_url: str) -> None:
    process, url = serve(DATABASE_URL=database_url)
    until_ready(process, url)
    with httpx.Client(trust_env=False) as client:
        client.get(f"{url}/sign-in")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode in (0, 128 + signal.SIGTERM)


def test_the_policy_lets_the_page_reach_the_gateway_of_the_running_server(page_url: str) -> None:
    response = httpx.get(f"{page_url}/sign-in", trust_env=False)
    policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
    assert policy["connect-src"] == "'self' https://api.example"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "strict-origin-when-cross-origin"
    assert "x-powered-by" not in response.headers


def test_a_sign_in_from_a_foreign_origin_is_refused(page_url: str) -> None:
    body = {"name": "Ada", "email": "ada@example.com", "password": "correct horse battery"}
    sign_up = f"{page_url}/api/auth/sign-up/email"
    foreign = httpx.post(sign_up, json=body, headers={"Origin": "https://evil.example"}, trust_env=False)
    assert foreign.status_code == 403
    # Its own, as it says itself: a page on this machine is opened by either name.
    for_itself = {"Origin": page_url.replace("127.0.0.1", "localhost")}
    own = httpx.post(sign_up, json=body, headers=for_itself, trust_env=False)
    assert own.status_code == 200


def test_guessing_passwords_is_slowed_down_unless_limits_are_off(page_url: str, web_url: str) -> None:
    """Attempts without a password count as well, and cost no hashing. The stack has its limits off."""
    for url, expected in ((page_url, 429), (web_url, 400)):
        with httpx.Client(trust_env=False, headers={"Origin": web_url}) as client:
            attempts = [client.post(f"{url}/api/auth/sign-in/email", json={}) for _ in range(21)]
        statuses = [attempt.status_code for attempt in attempts]
        assert statuses[:20] == [400] * 20
        assert statuses[20] == expected
