"""What reaches the service behind, and what comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from todo_auth import IdentityVerifier
from todo_auth.testing import Issuer


@pytest.mark.parametrize(
    "path",
    ["/api/tasks", "/api/ann/tasks", "/api/v1/tasks", "/api/v1/ann/todos/", "/api/todos?limit=5&q=a%20b"],
)
async def test_every_spelling_reaches_the_service_as_one(
    path: str, http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    answer = await http.get(path, headers=ann)
    assert (answer.status_code, answer.json()) == (200, [])
    assert upstream.seen[0].target == "/api/tasks" + (path[path.index("?") :] if "?" in path else "")


async def test_the_service_is_told_who_it_is_with_proof(
    http: httpx.AsyncClient, upstream: Any, ann: dict[str, str], door: IdentityVerifier
) -> None:
    await http.get("/api/tasks", headers=ann)
    (seen,) = upstream.seen
    assert seen.all("x-user-id") == ["ann"]
    (token,) = seen.all("txn-token")
    assert door.verify(token, "ann").user_id == "ann"


@pytest.mark.parametrize(
    "name", ["X-User-Id", "x-user-id", "X_User_Id", "X-USER_ID", "Txn-Token", "txn_token"]
)
async def test_an_identity_that_a_client_claims_is_thrown_away(
    name: str, http: httpx.AsyncClient, upstream: Any, ann: dict[str, str], door: IdentityVerifier
) -> None:
    await http.get(
        "/api/tasks", headers=[*ann.items(), (name, "~bob"), (name, "~eve"), ("Connection", f"{name}, close")]
    )
    (seen,) = upstream.seen
    assert seen.all("x-user-id") == ["ann"]
    assert door.verify(seen.all("txn-token")[0], "ann").user_id == "ann"
    assert "~bob" not in str(seen.headers)  # no token has a ~ in it
    assert "~eve" not in str(seen.headers)


async def test_credentials_cookies_and_hop_by_hop_headers_stay_here(
    http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    headers = {
        **ann,
        "Cookie": "better-auth.session_token=secret",
        "Proxy-Authorization": "Basic secret",
        "Keep-Alive": "timeout=5",
        "TE": "trailers",
        "Upgrade": "h2c",
        "Connection": "keep-alive, X-Private",
        "X-Private": "secret",
        "X-Forwarded-For": "10.0.0.1",
        "Forwarded": "for=10.0.0.1",
        "Idempotency-Key": "abc",
        "If-Match": '"3"',
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "X-Request-Id": "req-1",
    }
    await http.get("/api/tasks", headers=headers)
    (seen,) = upstream.seen
    names = {name for name, _ in seen.headers}
    assert names.isdisjoint(
        {"authorization", "cookie", "proxy-authorization", "keep-alive", "te", "upgrade", "x-private"}
        | {"forwarded"}
    )
    assert seen.all("x-forwarded-for") == ["127.0.0.1"], "made anew"
    assert seen.all("via") == ["1.1 todo-gateway"]
    assert "secret" not in str(seen.headers)
    assert (seen.all("idempotency-key"), seen.all("if-match")) == (["abc"], ['"3"'])
    assert seen.all("x-request-id") == ["req-1"]
    assert seen.all("traceparent") == [headers["traceparent"]]


async def test_status_headers_and_body_come_back_as_they_were(
    http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    upstream.status = 201
    upstream.body = b'{"id":"7"}'
    upstream.headers += [
        (b"etag", b'"1"'),
        (b"location", b"/api/tasks/7"),
        (b"link", b'</api/tasks?cursor=x>; rel="next"'),
        (b"server", b"inside"),
        (b"x-powered-by", b"inside"),
        (b"set-cookie", b"a=b"),
        (b"x-request-id", b"the service's own"),
    ]
    answer = await http.post("/api/tasks", headers={**ann, "X-Request-Id": "mine"}, json={"title": "x"})
    assert (answer.status_code, answer.content) == (201, b'{"id":"7"}')
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["location"] == "/api/tasks/7"
    assert answer.headers["link"] == '</api/tasks?cursor=x>; rel="next"'
    assert answer.headers.get_list("x-request-id") == ["mine"]
    assert answer.headers.get_list("content-length") == ["10"]
    assert len(answer.headers.get_list("date")) == 1
    assert not {"server", "x-powered-by", "set-cookie"} & set(answer.headers)


@pytest.mark.parametrize("size", [0, 1, 100, 70_000, 1024 * 1024])
async def test_a_body_arrives_whole_whatever_its_size(
    size: int, http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    body = bytes(n % 251 for n in range(size))
    answer = await http.post("/api/tasks", headers={**ann, "Content-Type": "application/json"}, content=body)
    assert answer.status_code == 200
    (seen,) = upstream.seen
    assert seen.body == body
    assert seen.all("content-length") == [str(size)]


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(5):
        yield b"x" * 1000


async def test_a_chunked_body_arrives_whole(
    http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    await http.post("/api/tasks", headers=ann, content=chunks())
    assert upstream.seen[0].body == b"x" * 5000


async def endless() -> AsyncIterator[bytes]:
    for _ in range(40):
        yield b"x" * 32_768


async def test_a_body_that_grows_past_the_limit_is_refused_while_it_streams(
    http: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    answer = await http.post("/api/tasks", headers=ann, content=endless())
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "content_too_large"


async def test_a_large_answer_streams_through(
    http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    upstream.body = b"0123456789" * 500_000
    answer = await http.get("/api/tasks", headers=ann)
    assert answer.content == upstream.body


async def test_head_says_the_length_and_sends_no_body(
    http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    async def head(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4711")]})
        await send({"type": "http.response.body", "body": b""})

    upstream.answer = head
    answer = await http.head("/api/tasks", headers=ann)
    assert (answer.headers["content-length"], answer.content) == ("4711", b"")


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body_stay_without(
    status: int, http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    async def bare(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"etag", b'"1"')]})
        await send({"type": "http.response.body", "body": b""})

    upstream.answer = bare
    answer = await http.request("GET", "/api/tasks", headers=ann)
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (status, b"", '"1"')
    assert "content-length" not in answer.headers


@pytest.mark.parametrize(
    ("token", "status", "code", "challenge"),
    [
        (None, 401, "credentials_missing", 'Bearer realm="api"'),
        ("Bearer nonsense", 401, "token_malformed", "invalid_token"),
        ("Basic YTpi", 401, "credentials_missing", 'Bearer realm="api"'),
        ("Bearer a b", 400, "invalid_request", "invalid_request"),
    ],
)
async def test_nobody_gets_through_without_a_good_token(
    token: str | None, status: int, code: str, challenge: str, http: httpx.AsyncClient, upstream: Any
) -> None:
    answer = await http.get("/api/tasks", headers={"Authorization": token} if token else {})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert challenge in answer.headers["www-authenticate"]
    assert ("error=" in answer.headers["www-authenticate"]) == (
        token is not None and code != "credentials_missing"
    )
    assert upstream.seen == []


async def test_two_authorization_headers_are_one_too_many(
    http: httpx.AsyncClient, issuer: Issuer, upstream: Any
) -> None:
    headers = [("Authorization", f"Bearer {issuer.token(name)}") for name in ("ann", "bob")]
    answer = await http.get("/api/tasks", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert upstream.seen == []


async def test_the_paths_user_must_be_the_tokens(
    http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    for path in ("/api/bob/tasks", "/api/ANN/tasks", "/api/v1/bob/stats"):
        answer = await http.get(path, headers=ann)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "user_mismatch")
    assert upstream.seen == []


async def test_an_issuer_that_was_never_reached_is_503_not_401(
    make_gateway: Callable[..., Any], issuer: Issuer, upstream: Any, ann: dict[str, str]
) -> None:
    issuer.down = True
    async with make_gateway(upstream.url, issuer) as http:
        answer = await http.get("/api/tasks", headers=ann)
        ready = await http.get("/readyz")
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert (ready.status_code, ready.json()["missing"]) == (503, ["identity provider"])


@pytest.mark.parametrize("status", [401, 403])
async def test_a_service_that_refuses_the_gateway_is_the_gateways_502(
    status: int, http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    upstream.status = status
    upstream.headers += [(b"www-authenticate", b"Bearer")]
    answer = await http.get("/api/tasks", headers=ann)
    assert answer.status_code == 502
    assert "www-authenticate" not in answer.headers
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_service_may_say_that_the_user_is_gone(
    http: httpx.AsyncClient, upstream: Any, ann: dict[str, str]
) -> None:
    upstream.status = 403
    upstream.body = b'{"error":{"code":"user_deleted"}}'
    answer = await http.post("/api/tasks", headers=ann, json={})
    assert (answer.status_code, answer.content) == (403, upstream.body)


async def test_a_service_that_is_not_there_is_503_with_retry_after(
    make_gateway: Callable[..., Any], issuer: Issuer, ann: dict[str, str]
) -> None:
    async with make_gateway("http://127.0.0.1:1", issuer) as http:
        answer = await http.get("/api/tasks", headers=ann)
        ready = await http.get("/readyz")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "127.0.0.1" not in answer.text
    assert (ready.status_code, ready.json()["missing"]) == (503, ["tasks service"])


async def test_a_service_that_does_not_answer_in_time_is_504(
    make_gateway: Callable[..., Any], issuer: Issuer, upstream: Any, ann: dict[str, str]
) -> None:
    answered = asyncio.Event()

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        await answered.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    upstream.answer = silent
    async with make_gateway(upstream.url, issuer, upstream_timeout=0.05) as http:
        answer = await http.get("/api/tasks", headers=ann)
        answered.set()
    assert answer.status_code == 504


async def test_a_service_that_answers_garbage_is_502(
    make_gateway: Callable[..., Any], issuer: Issuer, ann: dict[str, str]
) -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        writer.close()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with make_gateway(f"http://127.0.0.1:{port}", issuer) as http:
            answer = await http.get("/api/tasks", headers=ann)
    assert answer.status_code == 502
    assert "SSH" not in answer.text


async def test_methods_that_the_contract_does_not_have_are_refused(
    http: httpx.AsyncClient, ann: dict[str, str], upstream: Any
) -> None:
    for method in ("TRACE", "PROPFIND", "OPTIONS"):
        answer = await http.request(method, "/api/tasks", headers=ann)
        assert answer.status_code == 405
        assert "GET" in answer.headers["allow"]
    assert upstream.seen == []


@pytest.mark.parametrize(
    ("path", "extra", "status"),
    [
        ("/api/tasks?q=" + "x" * 9000, {}, 414),
        ("/api/tasks", {f"x-{n}": "y" for n in range(101)}, 431),
        ("/api/tasks", {"x-large": "y" * 33_000}, 431),
    ],
)
async def test_requests_over_the_limits_are_refused_before_anyone_looks_at_them(
    path: str, extra: dict[str, str], status: int, http: httpx.AsyncClient, upstream: Any
) -> None:
    answer = await http.get(path, headers=extra)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert upstream.seen == []


async def test_many_users_at_once_never_meet(http: httpx.AsyncClient, upstream: Any, issuer: Issuer) -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        user = dict(scope["headers"])[b"x-user-id"]
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": user})

    upstream.answer = echo
    names = [f"user{n}" for n in range(200)]

    async def ask(name: str) -> str:
        answer = await http.get("/api/tasks", headers={"Authorization": f"Bearer {issuer.token(name)}"})
        return answer.text

    assert await asyncio.gather(*map(ask, names)) == names
