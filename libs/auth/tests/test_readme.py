"""What the README shows runs as it stands, in its order, against an issuer at the address that it names.

Task: T-038 · Spec: plan.md#proof-of-the-verifier
"""

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from todo_auth import AuthError, IdentityMinter
from todo_auth.development import serving
from todo_auth.testing import Issuer

README = Path(__file__).parents[1] / "README.md"
ADDRESS = "http://localhost:3000"
SECRET = "a secret of the trust domain, long enough"


@pytest.fixture
def readme() -> Iterator[tuple[str, Issuer]]:
    """The text, and a running issuer whose address stands in it instead of the one that it names."""
    issuer = Issuer()
    with serving(issuer) as url:
        yield README.read_text().replace(ADDRESS, url), issuer


def snippets(text: str) -> list[CodeType]:
    """The fenced Python, compiled so that `await` may stand outside a function."""
    return [
        compile(
            source, f"README.md, snippet {number}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
        )
        for number, source in enumerate(
            re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE), 1
        )
    ]


async def run(snippet: CodeType, names: dict[str, Any]) -> None:
    outcome = eval(snippet, names)
    if inspect.isawaitable(outcome):
        await outcome


async def answer(app: FastAPI, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        return await client.get(path, headers=headers)


async def test_every_snippet_runs_and_does_what_is_said_of_it(
    readme: tuple[str, Issuer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, issuer = readme
    (tmp_path / "jwks.json").write_text(json.dumps(issuer.jwks()))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"token": issuer.token("ann"), "IDENTITY_SECRET": SECRET}
    five_lines, claims, keys, threads, sessions, service, tests = snippets(text)

    await run(five_lines, names)
    app = names["app"]
    good = f"Bearer {issuer.token('ann')}"
    assert (await answer(app, "/me", Authorization=good)).json() == "ann"
    assert (await answer(app, "/me")).status_code == 401

    await run(claims, names)
    admin = f"Bearer {issuer.token('ann', role='admin')}"
    assert (await answer(app, "/admin", Authorization=admin)).json() == "ann@example.com"
    assert (await answer(app, "/admin", Authorization=good)).status_code == 403

    await run(keys, names)
    assert json.loads(names["export"])["keys"] == issuer.jwks()["keys"]

    await run(threads, names)
    assert names["identity"].user_id == "ann"

    await run(sessions, names)
    opaque = f"Bearer {issuer.open_session('ann')}"
    assert (await answer(app, "/session", Authorization=opaque)).json() == "ann"
    await names["exchange"].aclose()
    await names["verifier"].aclose()

    await run(service, names)
    proof = {"Txn-Token": IdentityMinter([SECRET]).mint("ann"), "X-User-Id": "ann"}
    assert (await answer(names["service"], "/tasks", **proof)).json() == "ann"
    with pytest.raises(AuthError):
        await answer(names["service"], "/tasks")

    await run(tests, names)
    assert names["identity"].user_id == "ann"
    await names["verifier"].aclose()


def test_every_command_of_the_doctor_finds_nothing_wrong(readme: tuple[str, Issuer]) -> None:
    text, issuer = readme
    commands = re.findall(r"^    python (-m todo_auth doctor .*)$", text, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        ended = subprocess.run(
            [sys.executable, *command.split()],
            input=issuer.token("ann"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
        assert "✗" not in ended.stdout
        assert ("token" in command) == ("accepted" in ended.stdout)


def test_the_command_of_the_development_issuer_is_one() -> None:
    [command] = re.findall(r"^    python (-m todo_auth\.testing .*)$", README.read_text(), re.MULTILINE)
    asked = subprocess.run(
        [sys.executable, *command.split(), "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "--port" in asked.stdout
