"""429: whom it meets, what it says, and what it does not tell."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send
from todo_auth import InvalidToken, KeysUnavailable
from todo_auth.testing import Issuer
from todo_gateway import quotas
from todo_gateway.limits import FailureLimits
from todo_service.problems import Problem

NOW = 1_000_000 * 60.0


@pytest.fixture
def bob(issuer: Issuer) -> dict[str, str]:
    return {"Authorization": f"Bearer {issuer.token('bob')}"}


async def test_a_user_has_so_many_requests_and_is_told_how_many_are_left(
    make_gateway: Callable[..., Any], upstream: Any, issuer: Issuer, ann: dict[str, str], bob: dict[str, str]
) -> None:
    # A window so long that no border of one falls into the test.
    async with make_gateway(upstream.url, issuer, rate_limit="2/year") as http:
        answers = [await http.get("/api/tasks", headers=ann) for _ in range(3)]
        other = await http.get("/api/tasks", headers=bob)
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert other.status_code == 200
    year = 360 * 24 * 3600
    for answer, left in zip(answers, (1, 0, 0), strict=True):
        assert answer.headers["ratelimit-policy"] == f'"user";q=2;w={year}'
        assert answer.headers["ratelimit"].startswith(f'"user";r={left};t=')
    refused = answers[2]
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["error"]["code"] == "too_many_requests"
    assert 0 < int(refused.headers["retry-after"]) <= 2 * year
    assert len(upstream.seen) == 3


async def test_an_upstreams_failure_also_says_how_many_are_left(
    make_gateway: Callable[..., Any], issuer: Issuer, ann: dict[str, str]
) -> None:
    async with make_gateway("http://127.0.0.1:1", issuer, rate_limit="2/year") as http:
        answer = await http.get("/api/tasks", headers=ann)
    assert answer.status_code == 503
    assert answer.headers["ratelimit"].startswith('"user";r=1;')


async def test_an_upstream_cannot_speak_for_the_limits(
    http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    upstream.headers = [(b"ratelimit", b'"theirs";r=0'), (b"ratelimit-policy", b'"theirs";q=1;w=1')]
    answer = await http.get("/api/tasks", headers=ann)
    assert "theirs" not in answer.headers["ratelimit"] + answer.headers["ratelimit-policy"]


async def test_of_several_rates_the_tightest_decides(
    make_gateway: Callable[..., Any], upstream: Any, issuer: Issuer, ann: dict[str, str]
) -> None:
    async with make_gateway(upstream.url, issuer, rate_limit="9/year, 1/month") as http:
        first = await http.get("/api/tasks", headers=ann)
        second = await http.get("/api/tasks", headers=ann)
    assert (first.status_code, second.status_code) == (200, 429)
    assert [part.split(";t=")[0] for part in first.headers["ratelimit"].split(", ")] == [
        '"user-year";r=8',
        '"user-month";r=0',
    ]
    assert '"user-year";r=8' in second.headers["ratelimit"], "the refused one counts against neither"


async def test_an_address_is_limited_before_anybody_looks_at_its_credentials(
    make_gateway: Callable[..., Any], upstream: Any, issuer: Issuer, ann: dict[str, str]
) -> None:
    async with make_gateway(upstream.url, issuer, address_rate_limit="2/year") as http:
        statuses = [(await http.get("/api/tasks")).status_code for _ in range(2)]
        refused = await http.get("/api/tasks", headers=ann)
        health = [(await http.get(path)).status_code for path in ("/healthz", "/readyz")]
        preflight = await http.options(
            "/api/tasks",
            headers={"Origin": "http://localhost:3000", "Access-Control-Request-Method": "PUT"},
        )
    assert (statuses, refused.status_code) == ([401, 401], 429)
    assert refused.headers["ratelimit"].startswith('"address";r=0;')
    assert "retry-after" in refused.headers
    assert (health, preflight.status_code) == ([200, 200], 204)
    assert upstream.seen == []


async def test_clients_behind_a_trusted_proxy_are_counted_each_for_itself(
    make_gateway: Callable[..., Any], upstream: Any, issuer: Issuer
) -> None:
    async def ask(http: httpx.AsyncClient, client: str) -> int:
        return (await http.get("/api/tasks", headers={"X-Forwarded-For": client})).status_code

    limit = {"address_rate_limit": "1/year"}
    async with make_gateway(upstream.url, issuer, trusted_proxies="127.0.0.0/8", **limit) as http:
        clients = ["203.0.113.1", "203.0.113.2", "203.0.113.1", "2001:db8::1", "2001:db8::2"]
        assert [await ask(http, client) for client in clients] == [401, 401, 429, 401, 429]
    async with make_gateway(upstream.url, issuer, **limit) as http:
        assert [await ask(http, client) for client in clients[:2]] == [401, 429]


async def test_after_too_many_refused_tokens_a_valid_one_is_answered_like_any_other(
    make_gateway: Callable[..., Any], upstream: Any, issuer: Issuer, ann: dict[str, str]
) -> None:
    async with make_gateway(upstream.url, issuer, auth_failure_rate_limit="2/year") as http:
        assert (await http.get("/api/tasks", headers=ann)).status_code == 200
        for _ in range(3):
            assert (await http.get("/api/tasks")).status_code == 401, "nothing sent is no failure"
        for token in ("nonsense", issuer.token("ann", exp=1)):
            answer = await http.get("/api/tasks", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401
        bad = await http.get("/api/tasks", headers={"Authorization": "Bearer nonsense"})
        good = await http.get("/api/tasks", headers=ann)
    assert (bad.status_code, good.status_code) == (429, 429)
    assert {**bad.json(), "instance": ""} == {**good.json(), "instance": ""}
    assert set(bad.headers) == set(good.headers)


async def test_off_turns_every_limit_off(
    make_gateway: Callable[..., Any], upstream: Any, issuer: Issuer, ann: dict[str, str]
) -> None:
    off = {"rate_limit": "off", "address_rate_limit": "1/year", "auth_failure_rate_limit": "1/year"}
    async with make_gateway(upstream.url, issuer, **off) as http:
        answers = [await http.get("/api/tasks", headers=ann) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert "ratelimit" not in answers[0].headers


class Failing:
    """An application behind `FailureLimits` that refuses as it is told."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        raise self.error


async def ask(app: FailureLimits) -> int:
    """The status of what rises."""

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    try:
        await app({"type": "http", "state": {"client": "203.0.113.1"}}, receive, send)
    except (Problem, InvalidToken, KeysUnavailable) as error:
        return error.status
    raise AssertionError("nothing rose")


async def test_the_verifier_does_no_work_for_an_address_that_is_over_and_works_again_later() -> None:
    time = [NOW]
    behind = Failing(InvalidToken())
    app = FailureLimits(behind, quotas.parse("2/minute", "auth-failures"), now=lambda: time[0])
    assert [await ask(app) for _ in range(4)] == [401, 401, 429, 429]
    assert behind.asked == 2
    time[0] += 121
    assert await ask(app) == 401


async def test_an_issuer_that_is_away_is_nobodys_failure() -> None:
    app = FailureLimits(Failing(KeysUnavailable()), quotas.parse("1/minute", "auth-failures"))
    assert [await ask(app) for _ in range(3)] == [503, 503, 503]
