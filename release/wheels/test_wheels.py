"""Every wheel in dist/, as its users get it: alone in an empty environment, where its README's example runs.

`./dev dist` makes the wheels and runs this.

Task: T-061 · Spec: plan.md#hygiene
"""

import os
import re
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.parser import HeaderParser
from pathlib import Path

import httpx
import pytest
from todo_stack.postgres import temporary
from todo_stack.ports import free_port

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
FOLDERS = {
    "todo-auth": "libs/auth",
    "todo-service": "libs/service",
    "todo-gateway": "services/gateway",
    "todo-tasks": "services/tasks",
}
UV = os.environ.get("UV", "uv")

# Each installs from an index, which may be slow.
pytestmark = pytest.mark.timeout(600)

# What follows the example of todo_auth's README: an issuer at the address that it names, and a user.
ASK_THE_VERIFIER = """
import asyncio, httpx

async def ask(token):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        answer = await client.get("/me", headers={"Authorization": f"Bearer {token}"})
        return answer.status_code, answer.text

print(asyncio.run(ask(issuer.token("ann"))), asyncio.run(ask("nonsense")))
"""
VERIFY = """
import asyncio
from importlib.util import find_spec
from todo_auth import Verifier
from todo_auth.testing import Issuer

issuer = Issuer()
print(asyncio.run(Verifier(issuer.trusted()).verify(issuer.token("ann"))).user_id, find_spec("fastapi"))
"""

Install = Callable[[str], Path]


def wheel(name: str) -> Path:
    """The one wheel of a package; `./dev dist` makes it."""
    [found] = DIST.glob(f"{name.replace('-', '_')}-*.whl")
    return found


def readme(name: str) -> str:
    return (ROOT / FOLDERS[name] / "README.md").read_text()


def first_block(language: str, text: str) -> str:
    [block, *_] = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return str(block)


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Installs a package of the four, `todo-auth[fastapi]` say, into an empty environment, which it returns.

    Its dependencies have the lock's versions. Where it requires others of the four, they are the wheels in
    dist/ and never something of the same name from an index.
    """

    def into_an_empty_environment(requirement: str) -> Path:
        environment, ours = tmp_path / "environment", tmp_path / "ours.txt"
        ours.write_text("".join(f"{name} @ {wheel(name).as_uri()}\n" for name in FOLDERS))
        constraints = [f"--constraints={file}" for file in (ours, ROOT / "requirements.lock")]
        subprocess.run([UV, "venv", "--quiet", str(environment)], check=True)
        python = f"--python={environment / 'bin' / 'python'}"
        # From a folder of its own: uv would read the sources of the workspace instead.
        subprocess.run(
            [UV, "pip", "install", "--quiet", python, *constraints, requirement], cwd=tmp_path, check=True
        )
        return environment

    return into_an_empty_environment


def run(environment: Path, program: str) -> str:
    """What a Python program prints in that environment, which sees nothing of this checkout."""
    command = [str(environment / "bin" / "python"), "-I", "-c", program]
    ended = subprocess.run(command, cwd=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@pytest.mark.parametrize("name", FOLDERS)
def test_a_wheel_has_its_types_its_licence_its_page_and_nothing_of_the_tests(name: str) -> None:
    module = name.replace("-", "_")
    with zipfile.ZipFile(wheel(name)) as archive:
        names = archive.namelist()
        [metadata] = [entry for entry in names if entry.endswith(".dist-info/METADATA")]
        [licence] = [entry for entry in names if entry.endswith(".dist-info/licenses/LICENSE")]
        fields = HeaderParser().parsestr(archive.read(metadata).decode())
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert f"{module}/py.typed" in names
    assert fields["License-Expression"] == "MIT"
    assert fields.get_payload() == readme(name)
    roots = {module, "pytest_todo_auth.py"} if name == "todo-auth" else {module}
    assert {entry.split("/")[0] for entry in names if ".dist-info/" not in entry} == roots


def test_the_tasks_services_wheel_has_every_migration() -> None:
    folder = Path("todo_tasks", "migrations", "versions")
    written = {(folder / file.name).as_posix() for file in (source() / folder).glob("*.py")}
    with zipfile.ZipFile(wheel("todo-tasks")) as archive:
        assert written
        assert written - set(archive.namelist()) == set()


def source() -> Path:
    return ROOT / FOLDERS["todo-tasks"] / "src"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_wheel_requires_the_other_packages_in_its_own_version(name: str) -> None:
    with zipfile.ZipFile(wheel(name)) as archive:
        [metadata] = [entry for entry in archive.namelist() if entry.endswith(".dist-info/METADATA")]
        fields = HeaderParser().parsestr(archive.read(metadata).decode())
    required = [str(value) for value in fields.get_all("Requires-Dist", [])]
    others = {re.split(r"[^a-z-]", value)[0] for value in required if value.startswith("todo-")}
    assert others == ({"todo-auth", "todo-service"} if name in ("todo-gateway", "todo-tasks") else set())
    assert {f"{other}=={fields['Version']}" for other in others} - set(required) == set()


def test_the_verifiers_example_runs_from_its_wheel_alone(install: Install) -> None:
    environment = install("todo-auth[fastapi]")
    example = first_block("python", readme("todo-auth"))
    assert "http://localhost:3000" in example
    program = f"""
from todo_auth.development import serving
from todo_auth.testing import Issuer

issuer = Issuer()
with serving(issuer) as url:
    exec({example!r}.replace("http://localhost:3000", url))
    exec({ASK_THE_VERIFIER!r})
"""
    accepted, refused = run(environment, program).split(") (")
    assert accepted == "(200, '\"ann\"'"
    assert refused.startswith("401,")


def test_the_verifier_needs_no_framework(install: Install) -> None:
    assert run(install("todo-auth"), VERIFY) == "ann None"


@contextmanager
def serving(environment: Path, script: str, port: int) -> Iterator[str]:
    """A shell script whose last line serves on `port`: its URL from the moment it answers.

    It is ended as an operator would, and has to end without an error.
    """
    *before, last = script.splitlines()
    process = subprocess.Popen(
        ["sh", "-ec", "\n".join([*before, f"exec {last}"])],
        cwd=environment,
        env={
            "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "GATEWAY_PORT": str(port),
            "TASKS_PORT": str(port),
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        while process.poll() is None:
            try:
                httpx.get(url, timeout=5)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                yield url
                process.send_signal(signal.SIGTERM)
                break
        _, errors = process.communicate(timeout=120)
        # uvicorn's own command ends by the signal that it was sent.
        assert process.returncode in (0, -signal.SIGTERM), errors
    finally:
        process.kill()
        process.wait()


def example_of(name: str) -> str:
    """The shell lines of a service's README, without what the wheel takes the place of."""
    lines = first_block("sh", readme(name)).splitlines()
    assert lines[0].startswith("pip install ") and lines[-1] == f"{name} serve"
    return "\n".join(lines[1:])


def test_the_service_librarys_example_runs_from_its_wheel_alone(install: Install) -> None:
    environment, port = install("todo-service"), free_port()
    (environment / "example.py").write_text(first_block("python", readme("todo-service")))
    command = f"uvicorn --app-dir . --port {port} example:app"
    with serving(environment, command, port) as url:
        assert httpx.get(f"{url}/readyz").json() == {"status": "ok"}
        answer = httpx.get(f"{url}/invoices/7", headers={"X-Request-Id": "mine"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["instance"]) == (404, "mine")


def test_the_gateways_example_runs_from_its_wheel_alone(install: Install) -> None:
    with serving(install("todo-gateway"), example_of("todo-gateway"), free_port()) as url:
        assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
        assert httpx.get(f"{url}/api/tasks").status_code == 401


@pytest.fixture
def database() -> Iterator[str]:
    """A database of a real server, empty."""
    with temporary() as url:
        yield url


def test_the_tasks_services_example_runs_from_its_wheel_alone(install: Install, database: str) -> None:
    example = example_of("todo-tasks")
    [written] = re.findall(r"DATABASE_URL=(\S+)", example)
    script = example.replace(str(written), f"'{database}'")
    with serving(install("todo-tasks"), script, free_port()) as url:
        assert httpx.get(f"{url}/readyz").json() == {"status": "ok"}
        assert httpx.get(f"{url}/api/tasks").status_code == 401
