"""Cross-origin requests, through the whole gateway."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from todo_auth.testing import Issuer

ORIGIN = "http://localhost:3000"


async def test_a_preflight_of_an_allowed_origin_is_answered_without_the_upstream(
    http: httpx.AsyncClient, upstream: Any
) -> None:
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = await http.options("/api/tasks/7", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    allowed = {method.strip() for method in answer.headers["access-control-allow-methods"].split(",")}
    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= allowed
    named = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert named == {
        "authorization",
        "content-type",
        "if-match",
        "if-none-match",
        "idempotency-key",
        "x-request-id",
        "traceparent",
        "tracestate",
    }
    assert int(answer.headers["access-control-max-age"]) > 0
    assert answer.headers["x-request-id"]
    assert upstream.seen == []


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:3001",
        "https://localhost:3000",
        "http://localhost:3000.evil.test",
        "HTTP://LOCALHOST:3000",
        "null",
        "*",
    ],
)
async def test_another_origin_gets_no_permission(
    origin: str, http: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    preflight = await http.options(
        "/api/tasks", headers={"Origin": origin, "Access-Control-Request-Method": "GET"}
    )
    answer = await http.get("/api/tasks", headers={**ann, "Origin": origin})
    assert preflight.status_code == 403
    for response in (preflight, answer):
        assert "access-control-allow-origin" not in response.headers
        assert "Origin" in response.headers["vary"]


@pytest.mark.parametrize(
    ("method", "path", "signed_in", "status"),
    [
        ("GET", "/api/tasks", True, 200),
        ("GET", "/api/tasks", False, 401),
        ("GET", "/api/bob/tasks", True, 403),
        ("GET", "/api/nowhere", True, 404),
        ("GET", "/nowhere", True, 404),
        ("POST", "/healthz", True, 405),
        ("GET", "/api/tasks/%2e%2e", True, 400),
        ("POST", "/api/tasks", True, 413),
        ("GET", "/healthz", False, 200),
    ],
)
async def test_every_answer_carries_the_headers_errors_included(
    method: str, path: str, signed_in: bool, status: int, http: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    headers = {"Origin": ORIGIN, **(ann if signed_in else {})}
    body = b"x" * (1024 * 1024 + 1) if status == 413 else b""
    answer = await http.request(method, path, headers=headers, content=body)
    assert answer.status_code == status
    assert answer.headers.get_list("access-control-allow-origin") == [ORIGIN]
    assert answer.headers["access-control-allow-credentials"] == "true"
    exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert {"ETag", "Link", "Location", "Retry-After", "X-Request-Id", "X-Total-Count"} <= exposed
    assert "Origin" in answer.headers["vary"]
    assert answer.headers["x-request-id"]


async def test_an_answer_without_an_origin_still_varies_by_it(
    http: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    answer = await http.get("/api/tasks", headers=ann)
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-origin" not in answer.headers


async def test_an_upstream_cannot_widen_what_is_allowed(
    http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    upstream.headers += [(b"access-control-allow-origin", b"*"), (b"vary", b"Accept")]
    answer = await http.get("/api/tasks", headers={**ann, "Origin": "http://evil.test"})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == "Accept, Origin"


async def test_an_unreachable_upstream_answers_with_cors_headers_too(
    make_gateway: Callable[..., Any], issuer: Issuer, ann: dict[str, str]
) -> None:
    async with make_gateway("http://127.0.0.1:1", issuer) as http:
        answer = await http.get("/api/tasks", headers={**ann, "Origin": ORIGIN})
    assert answer.status_code == 503
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("https://a-1.preview.example.com", True),
        ("https://pr-7-team.vercel.app", True),
        ("https://.preview.example.com", False),
        ("https://a.b.preview.example.com", False),
        ("https://a.preview.example.com:8443", False),
        ("http://a.preview.example.com", False),
        ("https://a.previewxexample.com", False),
        ("https://evil.test/.preview.example.com", False),
        ("https://pr-7-other.vercel.app", False),
    ],
)
async def test_a_star_stands_for_one_part_of_a_host(
    origin: str, is_allowed: bool, make_gateway: Callable[..., Any], upstream: Any, issuer: Issuer
) -> None:
    origins = "https://*.preview.example.com,https://pr-*-team.vercel.app"
    async with make_gateway(upstream.url, issuer, cors_origins=origins) as http:
        answer = await http.get("/healthz", headers={"Origin": origin})
    assert answer.headers.get("access-control-allow-origin") == (origin if is_allowed else None)


@pytest.mark.parametrize(
    "origins", ["*", "https://*", "https://*.com", "https://a.*.com", "http*://a.example.com", "https://a:*"]
)
def test_a_star_that_would_let_strangers_in_is_refused_at_start(
    origins: str, make_settings: Callable[..., Any]
) -> None:
    with pytest.raises(ValueError, match="cors_origins"):
        make_settings(cors_origins=origins)


async def test_a_page_on_the_internet_may_ask_a_private_network(http: httpx.AsyncClient) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    asked = {**headers, "Access-Control-Request-Private-Network": "true"}
    answer = await http.options("/api/tasks", headers=asked)
    assert answer.headers["access-control-allow-private-network"] == "true"
    answer = await http.options("/api/tasks", headers=headers)
    assert "access-control-allow-private-network" not in answer.headers


async def test_no_answer_is_sniffed_and_none_is_kept_unless_it_says_so(
    http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    for answer in (await http.get("/api/tasks"), await http.get("/api/tasks", headers=ann)):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    upstream.headers.append((b"cache-control", b"private, no-cache"))
    assert (await http.get("/api/tasks", headers=ann)).headers["cache-control"] == "private, no-cache"
