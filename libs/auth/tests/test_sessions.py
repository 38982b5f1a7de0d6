"""Sessions exchanged for tokens: at the development issuer on a port, and at one that fails on demand."""

import asyncio
import gc
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from todo_auth import AuthError, CredentialsMissing, Identity, KeysUnavailable, Verifier
from todo_auth.cookies import CookieRepeated, CrossSiteRefused
from todo_auth.development import Accounts, Server
from todo_auth.errors import TokenExpired, TokenMalformed
from todo_auth.sessions import SessionExchange
from todo_auth.testing import Clock, Issuer
from todo_auth.token_endpoint import SessionRefused, SessionsUnavailable

COOKIE = "better-auth.session_token"
PAGE = "https://app.example.com"
ANN = {"name": "Ann", "email": "ann@example.com", "password": "correct horse"}

Headers = list[tuple[bytes, bytes]]


def bearer(token: str) -> Headers:
    return [(b"authorization", f"Bearer {token}".encode())]


def cookie(value: str, name: str = COOKIE) -> Headers:
    return [(b"cookie", f"{name}={value}".encode())]


class BetterAuth:
    """The development issuer on a port, and how often it was asked for a token."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.asked = 0
        accounts = Accounts(issuer)
        make = accounts.token

        def token(session_token: str | None) -> str:
            self.asked += 1
            return make(session_token)

        accounts.token = token  # type: ignore[method-assign]  # counted where the server calls it
        self.server = Server(("127.0.0.1", 0), accounts)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        signed_up = httpx.post(f"{self.url}/api/auth/sign-up/email", json=ANN)
        self.user_id = signed_up.json()["user"]["id"]
        self.session_token: str = signed_up.json()["token"]
        self.cookie: str = signed_up.cookies[COOKIE]

    def sign_out(self) -> None:
        httpx.post(f"{self.url}/api/auth/sign-out", headers={"Authorization": f"Bearer {self.session_token}"})

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def better_auth(issuer: Issuer) -> Iterator[BetterAuth]:
    server = BetterAuth(issuer)
    yield server
    server.close()


@pytest.fixture
async def exchange(
    better_auth: BetterAuth, verifier: Verifier, clock: Clock
) -> AsyncIterator[SessionExchange]:
    url = f"{better_auth.url}/api/auth/token"
    async with SessionExchange(verifier, url, origins=[PAGE], now=clock) as exchange:
        yield exchange


class Scripted:
    """A real socket that answers every request with `answer`, once `gate` is set; the next `hang_ups` get the
    end of the connection instead. `heads` keeps what came, on so many `connections`.
    """

    def __init__(self) -> None:
        self.answer = b""
        self.gate = asyncio.Event()
        self.gate.set()
        self.hang_ups = 0
        self.heads: list[str] = []
        self.connections = 0
        self.arrived = asyncio.Event()
        self.url = ""

    def answers(
        self, body: bytes, status: int = 200, media_type: str = "application/json", headers: str = ""
    ) -> None:
        framing = f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n"
        self.answer = f"HTTP/1.1 {status} X\r\n{framing}{headers}\r\n".encode() + body

    def gives(self, token: str) -> None:
        self.answers(json.dumps({"token": token}).encode())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head.decode())
                self.arrived.set()
                await self.gate.wait()
                if self.hang_ups:
                    self.hang_ups -= 1
                    break
                writer.write(self.answer)
                await writer.drain()
                if not self.answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    script = Scripted()
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/auth/token"
    yield script
    script.gate.set()
    server.close()


@pytest.fixture
async def faulty(scripted: Scripted, verifier: Verifier, clock: Clock) -> AsyncIterator[SessionExchange]:
    async with SessionExchange(verifier, scripted.url, origins=[PAGE], now=clock) as exchange:
        yield exchange


@pytest.mark.parametrize("signed", [False, True])
async def test_a_session_token_as_bearer_is_exchanged(
    signed: bool, exchange: SessionExchange, better_auth: BetterAuth
) -> None:
    shown = better_auth.cookie if signed else better_auth.session_token
    identity = await exchange.authenticate(bearer(shown))
    assert (identity.user_id, identity.claims["email"]) == (better_auth.user_id, ANN["email"])


async def test_a_session_cookie_is_exchanged(exchange: SessionExchange, better_auth: BetterAuth) -> None:
    identity = await exchange.authenticate(cookie(better_auth.cookie), method="GET")
    assert identity.user_id == better_auth.user_id


async def test_a_jwt_goes_to_the_verifier_and_nowhere_else(
    exchange: SessionExchange, better_auth: BetterAuth, issuer: Issuer
) -> None:
    assert (await exchange.authenticate(bearer(issuer.token("bob")))).user_id == "bob"
    with pytest.raises(TokenExpired):
        await exchange.authenticate(bearer(issuer.token(exp=1)))
    with pytest.raises(TokenMalformed):
        await exchange.authenticate(bearer("five.parts.of.a.jwe"))
    assert better_auth.asked == 0


async def test_authorization_decides_where_there_is_a_cookie_too(
    exchange: SessionExchange, better_auth: BetterAuth, issuer: Issuer
) -> None:
    both = bearer(issuer.token("bob")) + cookie(better_auth.cookie)
    assert (await exchange.authenticate(both, method="GET")).user_id == "bob"
    with pytest.raises(SessionRefused):
        await exchange.authenticate(bearer("stranger") + cookie(better_auth.cookie), method="GET")
    with pytest.raises(CredentialsMissing):
        await exchange.authenticate(
            [(b"authorization", b"Basic YTpi"), *cookie(better_auth.cookie)], method="GET"
        )


async def test_no_credentials_are_missing_credentials(exchange: SessionExchange) -> None:
    for headers in ([], cookie(""), cookie("x", "other"), cookie("x", "better-auth.session_data")):
        with pytest.raises(CredentialsMissing):
            await exchange.authenticate(headers, method="GET")


async def test_a_session_is_exchanged_once_until_it_is_due(
    exchange: SessionExchange, better_auth: BetterAuth, clock: Clock
) -> None:
    for _ in range(10):
        await exchange.verify(better_auth.session_token)
        clock.moment += 5
    assert better_auth.asked == 1
    clock.moment += 15
    await exchange.verify(better_auth.session_token)
    assert better_auth.asked == 2
    assert (exchange.state.remembered, exchange.state.exchanges, exchange.state.waiting) == (1, 2, 0)


async def test_signing_out_is_noticed_within_the_configured_time(
    exchange: SessionExchange, better_auth: BetterAuth, clock: Clock
) -> None:
    await exchange.verify(better_auth.session_token)
    better_auth.sign_out()
    clock.moment += 60
    with pytest.raises(SessionRefused) as refusal:
        await exchange.verify(better_auth.session_token)
    assert 'error="invalid_token"' in refusal.value.headers["WWW-Authenticate"]
    assert exchange.state.remembered == 0


async def test_a_refusal_is_remembered_briefly(
    exchange: SessionExchange, better_auth: BetterAuth, clock: Clock
) -> None:
    for _ in range(3):
        with pytest.raises(SessionRefused):
            await exchange.verify("stranger")
    assert (better_auth.asked, exchange.state.refused) == (1, 1)
    clock.moment += 5
    with pytest.raises(SessionRefused):
        await exchange.verify("stranger")
    assert better_auth.asked == 2


async def test_a_kept_connection_that_the_issuer_closes_is_nobodys_failure(
    faulty: SessionExchange, scripted: Scripted, issuer: Issuer
) -> None:
    scripted.gives(issuer.token("ann"))
    await faulty.verify("one")
    scripted.hang_ups = 1
    assert (await faulty.verify("two")).user_id == "ann"
    assert (len(scripted.heads), scripted.connections) == (3, 2), "the first two came on one connection"
    assert (faulty.state.exchanges, faulty.state.failures) == (2, 0)


async def test_a_hundred_requests_of_one_session_share_one_exchange(
    faulty: SessionExchange, scripted: Scripted, issuer: Issuer
) -> None:
    scripted.gives(issuer.token("ann"))
    scripted.gate.clear()
    requests = [asyncio.create_task(faulty.verify("session")) for _ in range(100)]
    await scripted.arrived.wait()
    assert (faulty.state.waiting, faulty.state.exchanging) == (100, 1)
    requests[0].cancel()
    scripted.gate.set()
    answers = await asyncio.gather(*requests, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError), "and one client that leaves takes nobody along"
    assert {answer.user_id for answer in answers[1:] if isinstance(answer, Identity)} == {"ann"}
    assert (len(scripted.heads), faulty.state.waiting, faulty.state.exchanging) == (1, 0, 0)


async def test_an_exchange_that_fails_after_everybody_has_left_complains_to_nobody(
    faulty: SessionExchange, scripted: Scripted
) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    scripted.answers(b"", 500)
    scripted.gate.clear()
    request = asyncio.create_task(faulty.verify("session"))
    await scripted.arrived.wait()
    request.cancel()
    await asyncio.wait([request])
    del request  # it keeps the exchange alive
    scripted.gate.set()
    while faulty.state.exchanging:
        await asyncio.sleep(0)
    gc.collect()
    assert (faulty.state.failures, complaints) == (1, [])


async def test_requests_that_wait_at_the_end_are_answered(
    scripted: Scripted, verifier: Verifier, clock: Clock
) -> None:
    scripted.gate.clear()
    async with SessionExchange(verifier, scripted.url, now=clock) as exchange:
        request = asyncio.create_task(exchange.verify("session"))
        await scripted.arrived.wait()
    with pytest.raises(SessionsUnavailable):
        await request


async def test_an_answer_is_read_to_a_limit_however_good_it_begins(
    faulty: SessionExchange, scripted: Scripted, issuer: Issuer
) -> None:
    body = json.dumps({"token": issuer.token("ann")}).encode()
    scripted.answers(body.ljust(64 * 1024))
    assert (await faulty.verify("one")).user_id == "ann"
    scripted.answers(body.ljust(64 * 1024 + 1))
    with pytest.raises(SessionsUnavailable):
        await faulty.verify("two")


async def test_a_cookie_and_a_bearer_token_of_one_value_are_two_sessions(
    faulty: SessionExchange, scripted: Scripted, issuer: Issuer
) -> None:
    scripted.gives(issuer.token("ann"))
    await faulty.verify("value")
    scripted.gives(issuer.token("bob"))
    assert (await faulty.authenticate(cookie("value"), method="GET")).user_id == "bob"


async def test_the_issuer_sees_the_session_and_nothing_else_of_the_request(
    faulty: SessionExchange, scripted: Scripted, issuer: Issuer
) -> None:
    scripted.gives(issuer.token("ann"))
    rest = [(b"x-forwarded-for", b"10.0.0.1"), (b"user-agent", b"Agent"), (b"origin", PAGE.encode())]
    crumbs = [
        (b"cookie", b"theme=dark"),
        (b"cookie", f" a=b;  {COOKIE}=s.g%3D ; better-auth.session_data=d".encode()),
    ]
    await faulty.authenticate(rest + crumbs, method="POST")
    await faulty.authenticate(rest + bearer("opaque"), method="POST")
    sent = [set(head.lower().splitlines()) for head in scripted.heads]
    common = {
        f"host: {scripted.url.split('/')[2]}",
        "accept: application/json",
        "get /api/auth/token http/1.1",
        "",
    }
    assert sent == [common | {f"cookie: {COOKIE}=s.g%3d"}, common | {"authorization: bearer opaque"}]


async def test_a_cookie_that_the_issuer_sets_for_one_session_never_goes_out_with_another(
    faulty: SessionExchange, scripted: Scripted, issuer: Issuer
) -> None:
    body = json.dumps({"token": issuer.token("ann")}).encode()
    scripted.answers(body, headers=f"Set-Cookie: {COOKIE}=anns; Path=/\r\n")
    await faulty.verify("one")
    await faulty.verify("two")
    assert "cookie" not in scripted.heads[1].lower()


async def test_the_secure_cookie_counts_alone_and_goes_on_under_its_own_name(
    faulty: SessionExchange, scripted: Scripted, issuer: Issuer
) -> None:
    scripted.gives(issuer.token("ann"))
    planted = cookie("planted") + cookie("real", f"__Secure-{COOKIE}")
    await faulty.authenticate(planted, method="GET")
    assert f"cookie: __Secure-{COOKIE}=real\r\n" in scripted.heads[0]
    assert "planted" not in scripted.heads[0]


async def test_a_cookie_of_the_applications_own_name_is_read(
    scripted: Scripted, verifier: Verifier, issuer: Issuer
) -> None:
    scripted.gives(issuer.token("ann"))
    async with SessionExchange(verifier, scripted.url, cookie="shop.session_token") as exchange:
        identity = await exchange.authenticate(cookie("x", "shop.session_token"), method="GET")
        assert identity.user_id == "ann"
        with pytest.raises(CredentialsMissing):
            await exchange.authenticate(cookie("x"), method="GET")


@pytest.mark.parametrize(
    "headers", [cookie("one") + cookie("two"), [(b"cookie", f"{COOKIE}=same; {COOKIE}=same".encode())]]
)
async def test_two_session_cookies_are_refused(
    headers: Headers, faulty: SessionExchange, scripted: Scripted
) -> None:
    with pytest.raises(CookieRepeated) as refusal:
        await faulty.authenticate(headers, method="GET")
    assert (refusal.value.status, refusal.value.code) == (400, "cookie_repeated")
    assert "cookie" in refusal.value.headers["WWW-Authenticate"]
    assert not scripted.heads


@pytest.mark.parametrize("value", ["x" * 1025, "a\r\nX-Injected: 1", "a\tb", "ü", "a\x00"])
async def test_what_no_session_token_can_be_does_not_reach_the_issuer(
    value: str, faulty: SessionExchange, scripted: Scripted
) -> None:
    with pytest.raises(SessionRefused):
        await faulty.verify(value)
    with pytest.raises(SessionRefused):
        await faulty.authenticate(cookie(value), method="GET")
    assert not scripted.heads


UNUSABLE: list[dict[str, Any]] = [
    {"body": b"", "status": 500},
    {"body": b"{}", "status": 404},
    {"body": b'{"message":"no"}', "status": 403},
    {"body": b"<html>", "media_type": "text/html; charset=utf-8"},
    {"body": b"<html>log in to the proxy", "status": 401, "media_type": "text/html"},
    {"body": b"", "status": 302, "headers": "Location: /sign-in\r\n"},
    {"body": b"[]"},
    {"body": b"null"},
    {"body": b"{"},
    {"body": b'{"token":null}'},
    {"body": b'{"token":"a","token":"b"}'},
    {"body": b'{"token":"' + b"x" * 70_000 + b'"}'},
    {"body": b'{"token":"not a jwt"}'},
]


@pytest.mark.parametrize("answer", UNUSABLE, ids=lambda answer: str(answer)[:60])
async def test_an_answer_that_says_nothing_about_the_session_is_503_and_not_remembered(
    answer: dict[str, Any], faulty: SessionExchange, scripted: Scripted, issuer: Issuer
) -> None:
    scripted.answers(**answer)
    with pytest.raises(SessionsUnavailable) as trouble:
        await faulty.verify("session")
    assert (trouble.value.status, trouble.value.headers) == (503, {"Retry-After": "2"})
    assert faulty.state.refused == 0
    scripted.gives(issuer.token("ann"))
    assert (await faulty.verify("session")).user_id == "ann"


@pytest.mark.parametrize("fault", ["hangs", "hangs up", "refuses"])
async def test_an_issuer_that_does_not_answer_is_503_and_nobody_else_finds_out_for_himself(
    fault: str, scripted: Scripted, verifier: Verifier, issuer: Issuer, clock: Clock
) -> None:
    scripted.gives(issuer.token("ann"))
    url = scripted.url
    if fault == "hangs":
        scripted.gate.clear()
    elif fault == "hangs up":
        scripted.answer = b""
    else:
        taken = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{taken.sockets[0].getsockname()[1]}/"
        taken.close()
    async with SessionExchange(verifier, url, timeout_s=0.1, now=clock) as exchange:
        for session in ("one", "two", "three"):
            with pytest.raises(SessionsUnavailable) as trouble:
                await exchange.verify(session)
            assert trouble.value.status == 503
        assert (exchange.state.exchanges, exchange.state.failures) == (1, 1)
        clock.moment += 2
        with pytest.raises(SessionsUnavailable):
            await exchange.verify("one")
        assert exchange.state.exchanges == 2


async def test_a_known_session_goes_on_while_the_issuer_fails_until_its_token_ends(
    faulty: SessionExchange, scripted: Scripted, issuer: Issuer, clock: Clock
) -> None:
    scripted.gives(issuer.token("ann"))
    await faulty.verify("session")
    scripted.answers(b"", 500)
    clock.moment += 60
    for _ in range(3):
        assert (await faulty.verify("session")).user_id == "ann"
    assert len(scripted.heads) == 2, "asked again only after a while"
    clock.moment += 838
    assert (await faulty.verify("session")).user_id == "ann"
    clock.moment += 2
    with pytest.raises(SessionsUnavailable):
        await faulty.verify("session")


async def test_a_token_whose_key_is_withdrawn_is_exchanged_anew_at_once(
    faulty: SessionExchange, scripted: Scripted, issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    old = issuer.keys[0]
    scripted.gives(issuer.token("ann"))
    await faulty.verify("session")
    issuer.rotate()
    issuer.withdraw(old)
    clock.moment += 2
    scripted.gives(issuer.token("ann", name="by the new key"))
    await verifier.start()
    assert (await faulty.verify("session")).claims["name"] == "by the new key"


@pytest.mark.parametrize("claims", [{"aud": "somebody else"}, {"exp": 1}, {"sub": None}])
async def test_the_issuers_token_is_judged_as_any_other_but_is_not_the_clients_fault(
    claims: dict[str, Any], faulty: SessionExchange, scripted: Scripted, issuer: Issuer
) -> None:
    scripted.gives(issuer.token("ann", **claims))
    with pytest.raises(SessionsUnavailable):
        await faulty.verify("session")


async def test_keys_that_cannot_be_had_are_503_here_too(scripted: Scripted, issuer: Issuer) -> None:
    issuer.down = True
    scripted.gives(issuer.token("ann"))
    async with Verifier(issuer.trusted()) as verifier, SessionExchange(verifier, scripted.url) as exchange:
        with pytest.raises(KeysUnavailable):
            await exchange.verify("session")


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ("Retry-After: 7\r\n", 7),
        ("X-Retry-After: 9\r\n", 9),
        ("Retry-After: 99999\r\n", 60),
        ("Retry-After: Wed, 01 Jan 2031 00:00:00 GMT\r\n", 2),
        ("Retry-After: 0\r\n", 1),
    ],
)
async def test_the_issuers_rate_limit_pauses_exchanges_for_everybody(
    headers: str, pause_s: int, faulty: SessionExchange, scripted: Scripted, issuer: Issuer, clock: Clock
) -> None:
    scripted.answers(b"{}", 429, headers=headers)
    for session in ("one", "two"):
        with pytest.raises(SessionsUnavailable) as trouble:
            await faulty.verify(session)
        assert trouble.value.headers == {"Retry-After": str(pause_s)}
    assert len(scripted.heads) == 1
    scripted.gives(issuer.token("ann"))
    clock.moment += pause_s
    assert (await faulty.verify("two")).user_id == "ann"


async def test_memory_is_bounded_and_refusals_push_no_session_out(
    scripted: Scripted, verifier: Verifier, issuer: Issuer, clock: Clock
) -> None:
    async with SessionExchange(verifier, scripted.url, remembered=3, now=clock) as exchange:
        scripted.gives(issuer.token("ann"))
        for n in range(5):
            await exchange.verify(f"good{n}")
        scripted.answers(b"{}", 401)
        for n in range(5):
            with pytest.raises(SessionRefused):
                await exchange.verify(f"bad{n}")
        assert (exchange.state.remembered, exchange.state.refused) == (3, 3)
        for n in (2, 3, 4):
            assert (await exchange.verify(f"good{n}")).user_id == "ann"
        with pytest.raises(SessionRefused):
            await exchange.verify("good0")


async def test_waiting_requests_and_exchanges_are_bounded(
    scripted: Scripted, verifier: Verifier, issuer: Issuer, clock: Clock
) -> None:
    scripted.gives(issuer.token("ann"))
    scripted.gate.clear()
    async with SessionExchange(verifier, scripted.url, max_exchanges=1, max_waiting=2, now=clock) as exchange:
        waiting = [asyncio.create_task(exchange.verify(name)) for name in ("one", "two")]
        await scripted.arrived.wait()
        with pytest.raises(SessionsUnavailable):
            await exchange.verify("one")
        assert (len(scripted.heads), exchange.state.exchanging) == (1, 2), "one asks, the other has no slot"
        waiting[1].cancel()
        await asyncio.wait([waiting[1]])
        with pytest.raises(SessionsUnavailable):
            await exchange.verify("three")  # two exchanges are still under way, whoever waits for them
        scripted.gate.set()
        assert (await waiting[0]).user_id == "ann"


async def test_secrets_are_not_kept(exchange: SessionExchange, better_auth: BetterAuth) -> None:
    await exchange.verify(better_auth.session_token)
    kept = "".join(map(repr, vars(exchange).values()))
    assert better_auth.session_token not in kept


Sent = tuple[str | None, str | None]


@pytest.mark.parametrize(
    ("site", "origin", "safe", "unsafe"),
    [
        ("same-origin", None, True, True),
        ("same-origin", "https://api.example.com", True, True),
        ("same-site", PAGE, True, True),
        ("same-site", "https://evil.example.com", False, False),
        ("same-site", None, False, False),
        ("cross-site", None, False, False),
        ("cross-site", PAGE, False, False),
        ("none", None, True, False),
        ("none", PAGE, False, False),
        ("nonsense", PAGE, False, False),
        (None, PAGE, True, True),
        (None, PAGE + ".evil.com", False, False),
        (None, "http://app.example.com", False, False),
        (None, "null", False, False),
        (None, "", False, False),
        (None, None, True, False),
    ],
)
async def test_a_cookie_counts_only_on_requests_of_the_applications_pages(
    site: str | None,
    origin: str | None,
    safe: bool,
    unsafe: bool,
    faulty: SessionExchange,
    scripted: Scripted,
    issuer: Issuer,
) -> None:
    scripted.gives(issuer.token("ann"))
    headers = cookie("session")
    if site is not None:
        headers.append((b"sec-fetch-site", site.encode()))
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    allowed = {"GET": safe, "HEAD": safe, "POST": unsafe, "DELETE": unsafe, "OPTIONS": unsafe, None: unsafe}
    for method, passes in allowed.items():
        if passes:
            assert (await faulty.authenticate(headers, method=method)).user_id == "ann"
        else:
            with pytest.raises(CrossSiteRefused) as refusal:
                await faulty.authenticate(headers, method=method)
            assert (refusal.value.status, refusal.value.headers) == (403, {})
    assert bool(scripted.heads) == (safe or unsafe), "the issuer is not asked for a request that is refused"


@pytest.mark.parametrize("name", [b"origin", b"sec-fetch-site"])
async def test_a_repeated_header_proves_nothing(name: bytes, faulty: SessionExchange) -> None:
    value = PAGE.encode() if name == b"origin" else b"same-origin"
    with pytest.raises(CrossSiteRefused):
        await faulty.authenticate([*cookie("session"), (name, value), (name, value)], method="GET")


async def test_a_bearer_token_is_not_ambient_and_may_come_from_anywhere(
    exchange: SessionExchange, better_auth: BetterAuth
) -> None:
    headers = [*bearer(better_auth.session_token), (b"sec-fetch-site", b"cross-site")]
    assert (await exchange.authenticate(headers, method="POST")).user_id == better_auth.user_id


@pytest.mark.parametrize(
    "url", ["ftp://issuer.test/token", "https://", "https://user:secret@issuer.test/", "x"]
)
def test_an_address_that_cannot_be_asked_is_refused_at_once(url: str, verifier: Verifier) -> None:
    with pytest.raises(ValueError, match="token_url"):
        SessionExchange(verifier, url)


@pytest.mark.parametrize("limit", ["recheck_s", "refused_s", "timeout_s", "remembered", "max_waiting"])
def test_limits_must_be_positive(limit: str, verifier: Verifier) -> None:
    settings: dict[str, Any] = {limit: 0}
    with pytest.raises(ValueError, match="positive"):
        SessionExchange(verifier, "https://issuer.test/api/auth/token", **settings)


@pytest.mark.parametrize("error", [CookieRepeated, CrossSiteRefused, SessionRefused, SessionsUnavailable])
def test_every_refusal_is_of_the_one_tree(error: type[AuthError]) -> None:
    assert issubclass(error, AuthError)
    assert error.code != AuthError.code
