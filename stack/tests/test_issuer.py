"""The choice of the identity provider, by settings and by what the machine has."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from todo_stack import issuer
from todo_stack.errors import StackError
from todo_stack.issuer import Issuer, build_web, choose
from todo_stack.processes import Processes
from todo_stack.settings import Settings
from todo_stack.terminal import Terminal


def chosen(root: Path, environ: Mapping[str, str]) -> Issuer:
    """The issuer that an environment leads to."""
    return choose(Settings.load(environ, root))


def programs(directory: Path, **scripts: str) -> str:
    """A PATH with nothing on it but these shell scripts."""
    directory.mkdir()
    for name, script in scripts.items():
        (directory / name).write_text(f"#!/bin/sh\n{script}\n")
        (directory / name).chmod(0o755)
    return str(directory)


def test_better_auth_elsewhere_comes_first(tmp_path: Path) -> None:
    found = chosen(tmp_path, {"BETTER_AUTH_URL": "https://app.example/"})
    assert (found.kind, found.url, found.endpoints) == (
        "external",
        "https://app.example/",
        "https://app.example/api/auth",
    )


def test_neon_auth_has_its_endpoints_at_its_base(tmp_path: Path) -> None:
    found = chosen(tmp_path, {"NEON_AUTH_BASE_URL": "https://x.neonauth.example/db/auth"})
    assert (found.kind, found.endpoints) == ("external", "https://x.neonauth.example/db/auth")


def test_node_20_or_newer_means_better_auth_in_web(tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", node="echo v20.0.0", npm="")
    found = chosen(tmp_path, {"PATH": path, "WEB_PORT": "3100"})
    assert (found.kind, found.url) == ("better-auth", "http://localhost:3100")


@pytest.mark.parametrize(
    ("scripts", "reason"),
    [
        ({}, "Node is not on PATH"),
        ({"node": "echo v18.19.1", "npm": ""}, "Node v18.19.1 is too old"),
        ({"node": "echo v20.1.0"}, "npm is not on PATH"),
        ({"node": "exit 1", "npm": ""}, "does not say its version"),
    ],
)
def test_without_a_node_that_fits_the_development_issuer_says_why(
    tmp_path: Path, scripts: Mapping[str, str], reason: str
) -> None:
    found = chosen(tmp_path, {"PATH": programs(tmp_path / "bin", **scripts)})
    assert found.kind == "development"
    assert reason in found.reason and "\n" not in found.reason


NPM = """
echo "$@" >> "$LOG"
[ "$1" = ci ] && mkdir -p node_modules
[ "$1" = run ] && mkdir -p .next
exit 0
"""


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of two files, in place of the real one."""
    web = tmp_path / "web"
    (web / "app").mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "app/page.tsx"):
        (web / name).write_text("{}")
    monkeypatch.setattr(issuer, "WEB", web)
    return web


async def test_the_page_is_installed_and_built_when_its_sources_change_and_only_then(
    web: Path, tmp_path: Path, terminal: Terminal
) -> None:
    log = tmp_path / "log"
    environment = {"PATH": f"{programs(tmp_path / 'bin', npm=NPM)}:/usr/bin:/bin", "LOG": str(log)}

    async def build() -> list[str]:
        log.write_text("")
        async with Processes(terminal) as processes:
            await build_web(environment, processes, terminal)
        return [line.split()[0] for line in log.read_text().splitlines()]

    assert await build() == ["ci", "run"]
    assert await build() == []
    (web / "app" / "page.tsx").write_text("changed")
    assert await build() == ["run"]
    (web / "tests").mkdir()
    (web / "tests" / "test_page.py").write_text("a test is no source")
    assert await build() == []
    (web / "package-lock.json").write_text("changed")
    assert await build() == ["ci", "run"]


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo npm error code ENOTFOUND; exit 1", "npm needs the network"),
        ("echo npm error ENOSPC; exit 1", "npm failed"),
    ],
)
async def test_an_installation_that_fails_is_not_taken_for_done(
    web: Path, tmp_path: Path, terminal: Terminal, script: str, sentence: str
) -> None:
    environment = {"PATH": f"{programs(tmp_path / 'bin', npm=script)}:/usr/bin:/bin"}
    for _ in range(2):
        with pytest.raises(StackError, match=sentence):
            async with Processes(terminal) as processes:
                await build_web(environment, processes, terminal)
