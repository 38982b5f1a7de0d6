"""Health, the one OpenAPI document, the page that shows it, and the process."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from todo_auth.testing import Issuer

DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Tasks", "version": "1"},
    "paths": {
        "/api/tasks": {"get": {"responses": {"200": {"description": "ok"}, "422": {"description": "?"}}}}
    },
    "components": {"schemas": {"HTTPValidationError": {}, "TaskPublic": {}}},
}
ENVIRONMENT = {
    "BETTER_AUTH_URL": "http://localhost:3000",
    "IDENTITY_SECRET": "a secret that is long enough to be one",
    "PATH": os.environ["PATH"],
}


async def test_alive_and_ready(http: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await http.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_the_document_is_the_services_own_with_the_gateways_security(
    http: httpx.AsyncClient, upstream: Any
) -> None:
    upstream.body = json.dumps(DOCUMENT).encode()
    document = (await http.get("/openapi.json")).json()
    await http.get("/openapi.json")
    assert len(upstream.seen) == 1, "it is kept"
    assert upstream.seen[0].all("txn-token")
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert document["security"] == [{"bearer": []}]
    responses = document["paths"]["/api/tasks"]["get"]["responses"]
    assert responses["200"] == {"description": "ok"}
    assert "application/problem+json" in responses["401"]["content"]
    assert "application/problem+json" in responses["422"]["content"]
    assert set(document["components"]["schemas"]) == {"TaskPublic", "Problem"}


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"paths":7}'])
async def test_a_service_without_a_document_is_a_problem_and_asked_again(
    body: bytes, http: httpx.AsyncClient, upstream: Any
) -> None:
    upstream.body = body
    assert (await http.get("/openapi.json")).status_code == 502
    upstream.body = json.dumps(DOCUMENT).encode()
    assert (await http.get("/openapi.json")).status_code == 200


async def test_the_docs_page_needs_no_other_server(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    assert page.status_code == 200
    assert "//cdn" not in page.text
    for path in ("/docs/static/swagger-ui-bundle.js", "/docs/static/swagger-ui.css"):
        assert path in page.text
        assert (await http.get(path)).status_code == 200


async def test_an_upstream_that_is_away_makes_the_document_503(
    make_gateway: Callable[..., Any], issuer: Issuer
) -> None:
    async with make_gateway("http://127.0.0.1:1", issuer) as http:
        answer = await http.get("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "todo_gateway", *arguments]
    return subprocess.run(
        command, env={**ENVIRONMENT, **environment}, capture_output=True, text=True, timeout=60
    )


def test_settings_that_are_right_are_checked_in_silence() -> None:
    assert (run("check").returncode, run("check").stderr) == (0, "")


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({"IDENTITY_SECRET": "hunter2"}, ["IDENTITY_SECRET"]),
        ({"BETTER_AUTH_URL": ""}, ["BETTER_AUTH_URL", "NEON_AUTH_BASE_URL"]),
        ({"BETTER_AUTH_URL": "localhost:3000"}, ["BETTER_AUTH_URL"]),
        ({"NEON_AUTH_BASE_URL": "https://x.example.com/auth"}, ["NEON_AUTH_BASE_URL"]),
        ({"BETTER_AUTH_SECRET": "hunter2"}, ["SECRET"]),
        ({"CORS_ORIGINS": "*"}, ["CORS_ORIGINS"]),
        ({"CORS_ORIGINS": "http://localhost:3000/app"}, ["CORS_ORIGINS"]),
        ({"TASKS_URL": "http://tasks:8001/api"}, ["TASKS_URL"]),
        ({"GATEWAY_PORT": "70000", "LOG_LEVEL": "loud"}, ["GATEWAY_PORT", "LOG_LEVEL"]),
    ],
)
def test_settings_that_are_wrong_are_named_and_not_repeated(
    environment: dict[str, str], names: list[str]
) -> None:
    ended = run("serve", **environment)
    assert ended.returncode == 2
    assert all(name in ended.stderr for name in names)
    assert "hunter2" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken_is_named_with_the_setting_that_moves_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", GATEWAY_PORT=str(port))
    assert ended.returncode == 2
    assert str(port) in ended.stderr
    assert "GATEWAY_PORT" in ended.stderr
