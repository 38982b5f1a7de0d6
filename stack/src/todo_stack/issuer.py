"""Which identity provider signs the tokens, and making the one in `web/` ready to run.

Task: T-003 · Spec: plan.md#identity-provider
"""

import asyncio
import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from todo_stack.data import locked
from todo_stack.errors import StackError
from todo_stack.processes import Processes
from todo_stack.settings import ROOT, Settings
from todo_stack.terminal import Terminal

OLDEST_NODE = 20
WEB = ROOT / "web"


@dataclass(frozen=True)
class Issuer:
    """An identity provider. `url` is its public base address.

    `endpoints`: where sign-up, sign-in and token are; `name`: what it is, in words; `reason`: why it is not
    Better Auth, or empty.
    """

    kind: Literal["external", "better-auth", "development"]
    url: str
    endpoints: str
    name: str
    reason: str = ""


def choose(settings: Settings) -> Issuer:
    """Return the issuer that the settings and this machine lead to; see the plan for the order."""
    environment = settings.environment
    if url := environment.get("BETTER_AUTH_URL"):
        return Issuer("external", url, f"{url.rstrip('/')}/api/auth", "the issuer at BETTER_AUTH_URL")
    if url := environment.get("NEON_AUTH_BASE_URL"):
        return Issuer("external", url, url.rstrip("/"), "the issuer at NEON_AUTH_BASE_URL")
    url = f"http://localhost:{settings.web_port}"
    lacking = _lacking(environment)
    if lacking:
        return Issuer("development", url, f"{url}/api/auth", "the development issuer", lacking)
    return Issuer("better-auth", url, f"{url}/api/auth", "Better Auth in web/")


def _lacking(environment: Mapping[str, str]) -> str | None:
    """What keeps `web/` from running here, or None."""
    path = environment.get("PATH")
    node = shutil.which("node", path=path)
    if node is None:
        return f"Node is not on PATH (Better Auth needs Node {OLDEST_NODE} or newer)"
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return f"{node} does not run"
    version = re.match(r"v(\d+)\.", answer.stdout)
    if version is None:
        return f"{node} does not say its version"
    if int(version[1]) < OLDEST_NODE:
        return f"Node {answer.stdout.strip()} is too old (Better Auth needs Node {OLDEST_NODE} or newer)"
    if shutil.which("npm", path=path) is None:
        return "npm is not on PATH"
    return None


async def build_web(environment: Mapping[str, str], processes: Processes, terminal: Terminal) -> None:
    """Install and build `web/` where that has not been done for exactly these sources.

    Raises `StackError` when npm or the build fails. Two starts at the same time build once.
    """
    # With NODE_ENV=production npm would leave out what the build needs.
    environment = {name: value for name, value in environment.items() if name != "NODE_ENV"}
    with (WEB / "package.json").open() as lock:
        while not locked(lock):
            await asyncio.sleep(0.2)
        dependencies = _digest([WEB / "package.json", WEB / "package-lock.json"])
        installed = WEB / "node_modules" / ".installed"
        if not _holds(installed, dependencies):
            with terminal.step("web: npm ci"):
                await _npm(["ci", "--no-audit", "--no-fund"], environment, processes)
            installed.write_text(dependencies)
        sources = _digest(_sources())
        built = WEB / ".next" / "built-from"
        if not _holds(built, sources):
            with terminal.step("web: build"):
                await _npm(["run", "build"], environment, processes)
            built.write_text(sources)


async def _npm(arguments: list[str], environment: Mapping[str, str], processes: Processes) -> None:
    npm = shutil.which("npm", path=environment.get("PATH"))
    assert npm
    try:
        await processes.run("npm", [npm, *arguments], environment, WEB)
    except StackError as error:
        sign = re.search(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH", str(error))
        if sign:
            raise StackError(f"npm needs the network to install web/ the first time ({sign[0]}).") from error
        raise


def _holds(stamp: Path, content: str) -> bool:
    return stamp.exists() and stamp.read_text() == content


def _sources() -> Iterable[Path]:
    """Every file of `web/` that decides what the build makes."""
    unrelated = {"node_modules", ".next", "tests", "test-results", "README.md", "next-env.d.ts"}
    for top in sorted(WEB.iterdir()):
        if top.name not in unrelated and top.suffix != ".tsbuildinfo":
            yield from sorted(path for path in [top, *top.rglob("*")] if path.is_file())


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(WEB)}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
