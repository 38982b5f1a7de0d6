"""Services of others behind the gateway: prefixes, claims, limits, and what they are told."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from todo_auth import IdentityVerifier
from todo_auth.testing import Issuer

ROUTES = """
[[route]]
prefix = "/api"
upstream = "{tasks}"
tasks = true

[[route]]
prefix = "/billing"
upstream = "{other}"
scope = "billing:read"
claims = {{ role = ["owner", "accountant"], org = {{ plan = "pro" }} }}
rate_limit = "5/hour"
max_body_bytes = 10

[[route]]
prefix = "/inner"
upstream = "{other}"
strip_prefix = true

[[route]]
prefix = "/hooks"
upstream = "{other}"
public = true
rate_limit = "3/hour"
"""


@pytest.fixture
def gateway(
    make_gateway: Callable[..., Any], upstream: Any, issuer: Issuer, tmp_path: Path, other: Any
) -> Callable[..., Any]:
    file = tmp_path / "routes.toml"
    file.write_text(ROUTES.format(tasks=upstream.url, other=other.url))

    @asynccontextmanager
    async def entered(**changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        async with make_gateway(upstream.url, issuer, gateway_routes=file, **changes) as http:
            yield http

    return entered


@pytest.fixture
async def other(another_upstream: Any) -> Any:
    """The service of somebody else."""
    return another_upstream


def bearer(issuer: Issuer, **claims: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {issuer.keys[0].sign(issuer.claims('ann', **claims), {})}"}


ALLOWED: dict[str, object] = {
    "scope": "billing:read x",
    "role": "user,accountant",
    "org": {"plan": "pro"},
}


async def test_each_prefix_goes_to_its_own_service(
    gateway: Callable[..., Any], upstream: Any, other: Any, issuer: Issuer, door: IdentityVerifier
) -> None:
    async with gateway() as http:
        headers = bearer(issuer, **ALLOWED)
        assert (await http.get("/api/v1/todos/", headers=headers)).status_code == 200
        assert (await http.get("/billing/a%62c/d%20e?x=1", headers=headers)).status_code == 200
        assert (await http.get("/inner/things/", headers=headers)).status_code == 200
        assert (await http.get("/inner", headers=headers)).status_code == 200
        assert (await http.get("/elsewhere", headers=headers)).status_code == 404
        assert (await http.get("/billingx", headers=headers)).status_code == 404
    assert [seen.target for seen in upstream.seen] == ["/api/tasks"]
    assert [seen.target for seen in other.seen] == ["/billing/abc/d%20e?x=1", "/things/", "/"]
    seen = other.seen[0]
    identity = door.verify(seen.all("txn-token")[0], seen.all("x-user-id")[0])
    assert identity.user_id == "ann"


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": None},
        {"scope": "billing:write"},
        {"role": None},
        {"role": "user"},
        {"role": ["user"]},
        {"org": None},
        {"org": "pro"},
        {"org": {"plan": ["free"]}},
        {"org": {"plan": True}},
    ],
)
async def test_a_token_without_the_claims_of_a_route_is_403(
    changes: dict[str, object], gateway: Callable[..., Any], other: Any, issuer: Issuer
) -> None:
    async with gateway() as http:
        answer = await http.get("/billing", headers=bearer(issuer, **{**ALLOWED, **changes}))
        inner = await http.get("/inner", headers=bearer(issuer, **changes))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")
    assert "insufficient_scope" in answer.headers["www-authenticate"]
    assert inner.status_code == 200, "another route asks for nothing"
    assert [seen.target for seen in other.seen] == ["/"]


async def test_a_public_route_needs_no_token_and_passes_no_identity_on(
    gateway: Callable[..., Any], other: Any, issuer: Issuer
) -> None:
    forged = {"X-User-Id": "root", "Txn-Token": "x", "Cookie": "a=b", **bearer(issuer)}
    async with gateway() as http:
        assert (await http.post("/hooks/paid", json={"x": 1})).status_code == 200
        assert (await http.post("/hooks/paid", json={"x": 1}, headers=forged)).status_code == 200
    for seen in other.seen:
        assert seen.body == b'{"x":1}'
        for name in ("x-user-id", "txn-token", "authorization", "cookie"):
            assert seen.all(name) == []


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [("/hooks", 401, 401), ("/hooks", 403, 403), ("/inner", 403, 403), ("/inner", 401, 502)],
)
async def test_what_a_service_says_of_the_client_passes_and_what_it_says_of_the_gateway_does_not(
    path: str, status: int, told: int, gateway: Callable[..., Any], other: Any, issuer: Issuer
) -> None:
    other.status = status
    async with gateway() as http:
        assert (await http.get(path, headers=bearer(issuer))).status_code == told


async def test_a_route_has_limits_of_its_own(gateway: Callable[..., Any], other: Any, issuer: Issuer) -> None:
    headers = bearer(issuer, **ALLOWED)
    async with gateway() as http:
        assert (await http.post("/billing", content=b"x" * 11, headers=headers)).status_code == 413
        assert (await http.post("/billing", content=b"x" * 10, headers=headers)).status_code == 200
        assert (await http.post("/inner", content=b"x" * 11, headers=headers)).status_code == 200
        statuses = [(await http.get("/billing", headers=headers)).status_code for _ in range(6)]
        assert statuses == [200] * 4 + [429] * 2
        policy = (await http.get("/billing", headers=headers)).headers["ratelimit-policy"]
        assert '"billing";q=5;w=3600' in policy
        assert [(await http.get("/hooks")).status_code for _ in range(4)] == [200] * 3 + [429]
        assert (await http.get("/inner", headers=headers)).status_code == 200


async def test_the_gateways_own_pages_are_nobodys(
    make_gateway: Callable[..., Any], upstream: Any, other: Any, issuer: Issuer, tmp_path: Path
) -> None:
    file = tmp_path / "routes.toml"
    file.write_text(f'[[route]]\nprefix = "/"\nupstream = "{other.url}"\npublic = true\n')
    async with make_gateway(upstream.url, issuer, gateway_routes=file) as http:
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        assert (await http.get("/docs/static/swagger-ui.css")).status_code == 200
        assert (await http.get("/")).status_code == 200
        assert (await http.get("/any/where")).status_code == 200
    assert [seen.target for seen in other.seen] == ["/", "/any/where"]


def test_a_file_that_is_wrong_is_told_with_the_settings(
    tmp_path: Path, make_settings: Callable[..., Any]
) -> None:
    file = tmp_path / "routes.toml"
    file.write_text('[[route]]\nprefix = "/a/"\nupstream = "x"\n')
    with pytest.raises(ValueError, match="GATEWAY_ROUTES: route 1: prefix"):
        make_settings(gateway_routes=file)
