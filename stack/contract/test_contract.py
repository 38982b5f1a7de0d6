"""Schemathesis over the gateway's own OpenAPI document, as two users at once.

Task: T-027 · Spec: plan.md#openapi
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from todo_stack.accounts import Accounts
from todo_stack.background import Running, running

NOT_JUDGED = {
    # A refused OPTIONS names what the gateway lets through; the resource behind is not asked.
    "allow_header_conformance",
    # Preconditions, keys used twice and ids of nobody's categories are refused, and no schema can say so.
    "positive_data_acceptance",
    # The answer to a repeated Idempotency-Key is the first one, whatever became of the resource since.
    "ensure_resource_availability",
}
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """Outside of pytest's own, which is closed to the account that PostgreSQL runs under."""
    with tempfile.TemporaryDirectory(prefix="todo-contract-") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def stack(directory: Path) -> Iterator[Running]:
    """The whole; every limit is off, since what is sent here would meet them all."""
    with running(directory, {"RATE_LIMIT": "off"}) as started:
        yield started


@pytest.fixture(scope="module")
def users(stack: Running, directory: Path) -> Path:
    """Two users' tokens in a file of Web Fuzzing Commons' form."""

    async def token(name: str) -> str:
        accounts = Accounts(f"{stack.issuer_url}/api/auth")
        session = await accounts.sign_up(f"{name}@example.com", secrets.token_urlsafe(16), name)
        assert session is not None
        return await accounts.token(session)

    tokens = {name: asyncio.run(token(name)) for name in ("ann", "ben")}
    file = directory / "users.json"
    bearers = {name: [{"name": "Authorization", "value": f"Bearer {tokens[name]}"}] for name in tokens}
    file.write_text(json.dumps({"auth": [{"name": name, "fixedHeaders": bearers[name]} for name in bearers]}))
    return file


@pytest.mark.timeout(900)
def test_every_operation_keeps_what_the_document_says(stack: Running, users: Path, directory: Path) -> None:
    command = [
        *(sys.executable, "-m", "schemathesis.cli", f"--config-file={CONFIG}", "run"),
        f"{stack.gateway_url}/openapi.json",
        *("--checks=all", f"--exclude-checks={','.join(sorted(NOT_JUDGED))}"),
        *("--continue-on-failure", "--generation-deterministic", "--no-color"),
        # NUL is no character of a text here (422), which JSON Schema has no word for.
        "--generation-allow-x00=false",
        f"--max-examples={os.environ.get('CONTRACT_EXAMPLES', '30')}",
    ]
    run = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, "CONTRACT_USERS": str(users)},
        capture_output=True,
        text=True,
        check=False,
    )
    print(run.stdout[:20_000], run.stdout[-4_000:], run.stderr[-2_000:])
    assert run.returncode == 0
