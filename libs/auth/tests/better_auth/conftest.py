"""Better Auth from npm, installed once for each version and run by Node."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

ALGORITHMS = ("default", "EdDSA", "ES256", "ES384", "ES512", "PS256", "RS256")
MIN_NODE = 20

# The oldest: before 1.3.4 the key set has no alg where /token made the key, and a key that is bound to no
# algorithm is skipped. The newest: as tried; the canary tries `latest`.
DEFAULT_VERSIONS = "1.3.4,1.7.25"
VERSIONS = os.environ.get("BETTER_AUTH_VERSIONS", DEFAULT_VERSIONS).split(",")

# What npm says where there is no network; any other failure is a failure.
_NO_NETWORK = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH)\b")


@pytest.fixture(scope="session", params=VERSIONS)
def servers(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The URL of a Better Auth for each algorithm, one version after the other."""
    folder = _installed(str(request.param), request.config)
    command = ["node", "server.mjs", ",".join(ALGORITHMS)]
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        line = process.stdout.readline()
        if not line:
            pytest.fail(f"Better Auth {request.param} does not start:\n{process.stderr.read()}")
        # Nobody reads what it logs: it is little, and goes with the process.
        yield json.loads(line)
        process.stdin.close()
        process.stdout.read()
        process.stderr.read()


def _installed(version: str, config: pytest.Config) -> Path:
    """The folder with that version and the server, kept in pytest's cache for the next run."""
    if missing := _missing():
        _absent(missing)
    assert config.cache is not None
    folder = config.cache.mkdir("better-auth") / version
    if version == "latest" or not (folder / "node_modules" / "better-auth" / "package.json").exists():
        folder.mkdir(exist_ok=True)
        quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--loglevel=error"]
        command = ["npm", "install", "--no-save", "--no-package-lock", *quiet, f"better-auth@{version}"]
        # Its own package, so that npm looks for no other one further up.
        (folder / "package.json").write_text('{"private":true,"type":"module"}')
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
        if ended.returncode:
            # Half an installation must not pass for a whole one.
            shutil.rmtree(folder)
            if _NO_NETWORK.search(ended.stderr):
                _absent("npm reaches no registry")
            pytest.fail(f"npm cannot install Better Auth {version}:\n{ended.stderr}")
    shutil.copy(Path(__file__).with_name("server.mjs"), folder)
    return folder


def _missing() -> str | None:
    """What is not on this machine and is needed."""
    if not shutil.which("npm") or not shutil.which("node"):
        return "Node and npm are not on PATH"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < MIN_NODE:
        return f"Node {version.strip()} is older than {MIN_NODE}"
    return None


def _absent(what: str) -> NoReturn:
    """Skips; but who names versions wants them tried."""
    if "BETTER_AUTH_VERSIONS" in os.environ:
        pytest.fail(f"the real Better Auth cannot be tried: {what}")
    pytest.skip(f"the real Better Auth is not tried: {what}")
