"""A browser with only Better Auth's cookie, served where SESSION_EXCHANGE is on.

Task: T-048 · Spec: plan.md#session-exchange
"""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from todo_auth import IdentityVerifier, development
from todo_auth.testing import Issuer, session_cookie

PAGE = "http://localhost:3000"


@pytest.fixture
def served(issuer: Issuer) -> Iterator[str]:
    """The issuer on a port."""
    with development.serving(issuer) as url:
        yield url


@pytest.fixture
async def http(
    served: str, make_server: Callable[..., Any], upstream: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway that takes sessions."""
    async with make_server(better_auth_url=served, tasks_url=upstream.url, session_exchange=True) as client:
        yield client


@pytest.fixture
def cookie(issuer: Issuer) -> str:
    return session_cookie(issuer.open_session("ann"))


async def test_a_browser_with_only_the_cookie_is_served(
    http: httpx.AsyncClient, cookie: str, upstream: Any, door: IdentityVerifier
) -> None:
    same_origin = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}
    same_site = {"Cookie": cookie, "Sec-Fetch-Site": "same-site", "Origin": PAGE}
    assert (await http.get("/api/tasks", headers=same_origin)).status_code == 200
    assert (await http.post("/api/tasks", json={}, headers=same_site)).status_code == 200
    for seen in upstream.seen:
        assert door.verify(seen.all("txn-token")[0], seen.all("x-user-id")[0]).user_id == "ann"
        assert seen.all("cookie") == []


async def test_a_session_is_shown_where_the_keys_are_fetched(
    served: str, issuer: Issuer, make_server: Callable[..., Any], upstream: Any, cookie: str
) -> None:
    issuer.base_url = "http://app.test"  # the public address, which is none from here
    inner = {"better_auth_url": issuer.base_url, "better_auth_jwks_url": f"{served}/api/auth/jwks"}
    async with make_server(**inner, tasks_url=upstream.url, session_exchange=True) as http:
        own = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}
        assert (await http.get("/api/tasks", headers=own)).status_code == 200
    (seen,) = upstream.seen
    assert seen.all("x-user-id") == ["ann"]


async def test_neon_auth_takes_the_place_of_better_auth(
    issuer: Issuer, make_server: Callable[..., Any], serving: Any, upstream: Any
) -> None:
    asked: list[str] = []

    async def neon(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        asked.append(scope["path"])
        answers = {
            "/db/auth/.well-known/jwks.json": issuer.jwks(),
            "/db/auth/token": {"token": issuer.token("bob")},
        }
        answer = JSONResponse(answers.get(scope["path"]), 200 if scope["path"] in answers else 404)
        await answer(scope, receive, send)

    async with serving(neon) as origin:
        issuer.base_url = origin
        neon_auth = {"better_auth_url": None, "neon_auth_base_url": f"{origin}/db/auth"}
        async with make_server(**neon_auth, tasks_url=upstream.url, session_exchange=True) as http:
            token = {"Authorization": f"Bearer {issuer.token('ann')}"}
            assert (await http.get("/api/tasks", headers=token)).status_code == 200
            own = {"Cookie": session_cookie("a session of bob's"), "Sec-Fetch-Site": "same-origin"}
            assert (await http.get("/api/tasks", headers=own)).status_code == 200
    assert [seen.all("x-user-id") for seen in upstream.seen] == [["ann"], ["bob"]]
    assert set(asked) == {"/db/auth/.well-known/jwks.json", "/db/auth/token"}


@pytest.mark.parametrize(
    "sent",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": PAGE},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://evil.test"},
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {},
    ],
)
async def test_a_write_that_another_site_may_have_caused_is_refused(
    sent: dict[str, str], http: httpx.AsyncClient, cookie: str, upstream: Any
) -> None:
    answer = await http.post("/api/tasks", json={}, headers={"Cookie": cookie, **sent})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_site_refused")
    assert upstream.seen == []


async def test_a_session_token_as_bearer_is_served_and_a_foreign_one_is_401(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    token = issuer.open_session("ann")
    assert (await http.get("/api/tasks", headers={"Authorization": f"Bearer {token}"})).status_code == 200
    refused = await http.get("/api/tasks", headers={"Authorization": "Bearer nobodys"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "session_refused")
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


async def test_a_token_is_served_as_ever(http: httpx.AsyncClient, issuer: Issuer) -> None:
    headers = {"Authorization": f"Bearer {issuer.token('ann')}"}
    assert (await http.get("/api/tasks", headers=headers)).status_code == 200
    assert (await http.get("/api/tasks")).status_code == 401


async def test_without_the_setting_a_session_is_nothing(
    served: str, make_server: Callable[..., Any], upstream: Any, issuer: Issuer, cookie: str
) -> None:
    async with make_server(better_auth_url=served, tasks_url=upstream.url) as http:
        for headers in (
            {"Cookie": cookie, "Sec-Fetch-Site": "same-origin"},
            {"Authorization": f"Bearer {issuer.open_session('ann')}"},
        ):
            assert (await http.get("/api/tasks", headers=headers)).status_code == 401
    assert upstream.seen == []
