"""A browser with only Better Auth's cookie, served where SESSION_EXCHANGE is on.

Task: T-048 · Spec: plan.md#session-exchange
"""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from todo_auth import IdentityVerifier
from todo_auth.development import serving
from todo_auth.testing import Issuer, session_cookie

PAGE = "http://localhost:3000"


@pytest.fixture
def served(issuer: Issuer) -> Iterator[str]:
    """The issuer on a port."""
    with serving(issuer) as url:
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
