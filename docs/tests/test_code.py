"""The Python and the TypeScript of the pages run as they stand, against the whole.

Task: T-060 · Spec: plan.md#documentation
"""

import ast
import inspect
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from todo_auth import IdentityMinter

# The whole is started here, on machines that may have much else to do.
pytestmark = pytest.mark.timeout(600)

SECRET = "a secret of the trust domain that is long enough"
BROWSER = """
// What a browser does by itself: the session's cookie goes to its own site.
const site = %(issuer)r, session = %(session)r, ask = globalThis.fetch;
globalThis.fetch = (url, options = {}) => {
  const headers = new Headers(options.headers);
  if (String(url).startsWith(site)) headers.set("Cookie", `better-auth.session_token=${session}.signature`);
  return ask(url, { ...options, headers });
};
"""
AROUND = {
    "authClient": 'import { createAuthClient as make } from "better-auth/client";\n'
    'import { jwtClient as tokens } from "better-auth/client/plugins";\n'
    'const authClient = make({ baseURL: "http://localhost:3000", plugins: [tokens()] });\n',
    "GATEWAY_URL": 'const GATEWAY_URL = "http://localhost:8000";\n',
}
"""What a piece may use that stands in the reader's application."""


@pytest.mark.shows("python")
async def test_every_piece_of_python_runs_and_lets_the_right_ones_in(page: Any, stack: Any) -> None:
    names: dict[str, Any] = {"token": stack.token, "IDENTITY_SECRET": SECRET}
    for number, (_, text) in enumerate(page.blocks("python"), 1):
        source, file = stack.addressed(text), f"{page.name}, piece {number}"
        code = compile(source, file, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        outcome = eval(code, names)
        if inspect.isawaitable(outcome):
            await outcome
    app = names["app"]
    assert isinstance(app, FastAPI)
    [path] = [route.path for route in app.routes if isinstance(route, APIRoute)]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test") as client:
        proof = {"Txn-Token": IdentityMinter([SECRET]).mint("ann"), "X-User-Id": "ann"}
        known = await client.get(path, headers={"Authorization": f"Bearer {stack.token}", **proof})
        assert known.status_code == 200 and known.json()
        assert (await client.get(path)).status_code == 401
    if "verifier" in names:
        await names["verifier"].aclose()


@pytest.mark.shows("ts")
def test_every_piece_of_typescript_runs(page: Any, stack: Any, node_modules: Path, tmp_path: Path) -> None:
    """What is shown has no types in it, so that Node reads it as it stands."""
    (tmp_path / "node_modules").symlink_to(node_modules)
    shown = "\n".join(text for _, text in page.blocks("ts"))
    around = "".join(text for name, text in AROUND.items() if f"const {name} " not in shown)
    browser = BROWSER % {"issuer": stack.issuer_url, "session": stack.session}
    (tmp_path / "page.mjs").write_text(stack.addressed(browser + around + shown))
    ended = subprocess.run(
        ["node", "page.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "Assertion failed" not in ended.stderr
