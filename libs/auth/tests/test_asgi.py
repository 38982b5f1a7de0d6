"""The middleware: HTTP errors rise, WebSockets are refused before they are accepted."""

from typing import Any

import pytest
from todo_auth import Authenticate, AuthError, CredentialsMissing, Identity, Verifier
from todo_auth.asgi import Receive, Scope, Send, close
from todo_auth.cookies import CrossSiteRefused
from todo_auth.errors import InvalidToken, KeysUnavailable
from todo_auth.sessions import SessionExchange
from todo_auth.testing import Issuer


class App:
    """Notes who asked."""

    def __init__(self) -> None:
        self.users: list[object] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.users.append(scope.get("state", {}).get("identity"))


def scope_of(kind: str, *headers: tuple[bytes, bytes], **members: Any) -> dict[str, Any]:
    return {"type": kind, "path": "/live", "headers": list(headers), **members}


async def nothing() -> dict[str, Any]:
    raise AssertionError("nothing is read of a request that is refused")


class Sent(list[Any]):
    async def __call__(self, message: Any) -> None:
        self.append(message)


def bearer(token: str) -> tuple[bytes, bytes]:
    return (b"authorization", f"Bearer {token}".encode())


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_the_identity_reaches_the_application(kind: str, verifier: Verifier, issuer: Issuer) -> None:
    app = App()
    sent = Sent()
    await Authenticate(app, verifier.authenticate)(scope_of(kind, bearer(issuer.token("ann"))), nothing, sent)
    (user,) = app.users
    assert isinstance(user, Identity) and user.user_id == "ann"
    assert not sent


async def test_the_lifespan_and_exempt_paths_need_no_identity(verifier: Verifier) -> None:
    app = App()
    guarded = Authenticate(app, verifier.authenticate, frozenset({"/live"}))
    await guarded({"type": "lifespan"}, nothing, Sent())
    await guarded(scope_of("http"), nothing, Sent())
    await guarded(scope_of("websocket"), nothing, Sent())
    assert app.users == [None, None, None]


async def test_an_error_of_an_http_request_rises(verifier: Verifier) -> None:
    app = App()
    with pytest.raises(CredentialsMissing):
        await Authenticate(app, verifier.authenticate)(scope_of("http"), nothing, Sent())
    assert not app.users


async def test_a_websocket_is_refused_with_the_errors_answer_where_the_server_can(
    verifier: Verifier, issuer: Issuer
) -> None:
    app, sent = App(), Sent()
    scope = scope_of("websocket", bearer(issuer.token(exp=1)), extensions={"websocket.http.response": {}})
    await Authenticate(app, verifier.authenticate)(scope, nothing, sent)
    start, body = sent
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    headers = dict(start["headers"])
    assert b'error="invalid_token"' in headers[b"www-authenticate"]
    assert headers[b"content-length"] == b"%d" % len(body["body"])
    assert body == {"type": "websocket.http.response.body", "body": b"The access token has expired."}
    assert not app.users


@pytest.mark.parametrize("extensions", [{}, None])
async def test_a_websocket_is_closed_where_the_server_cannot(
    extensions: dict[str, Any] | None, verifier: Verifier, issuer: Issuer
) -> None:
    app, sent = App(), Sent()
    await Authenticate(app, verifier.authenticate)(
        scope_of("websocket", extensions=extensions), nothing, sent
    )
    assert sent == [{"type": "websocket.close", "code": 4401, "reason": "credentials_missing"}]
    assert not app.users


async def test_a_cookie_on_a_websocket_needs_an_allowed_origin(verifier: Verifier) -> None:
    cookie = (b"cookie", b"better-auth.session_token=stolen.ride")
    async with SessionExchange(
        verifier, "http://issuer.test/api/auth/token", origins=["https://app.test"]
    ) as exchange:
        guarded = Authenticate(App(), authenticate_scope=exchange.authenticate_scope)
        for origin in ([], [(b"origin", b"https://evil.test")], [(b"sec-fetch-site", b"none")]):
            sent = Sent()
            await guarded(scope_of("websocket", cookie, *origin), nothing, sent)
            assert sent == [{"type": "websocket.close", "code": 4403, "reason": "cross_site_refused"}]
        assert exchange.state.exchanges == 0


async def test_an_authenticator_of_scopes_learns_the_method(verifier: Verifier) -> None:
    cookie = (b"cookie", b"better-auth.session_token=stolen.ride")
    async with SessionExchange(verifier, "http://issuer.test/api/auth/token", max_waiting=1) as exchange:
        guarded = Authenticate(App(), authenticate_scope=exchange.authenticate_scope)
        with pytest.raises(CrossSiteRefused):
            await guarded(scope_of("http", cookie, method="POST"), nothing, Sent())
        with pytest.raises(AuthError) as other:
            await guarded(scope_of("http", cookie, method="GET"), nothing, Sent())
        assert other.value.status == 503, "a safe method gets as far as the issuer, who is not there"


def test_one_authenticator_is_needed(verifier: Verifier) -> None:
    async def anyone(scope: Scope) -> Identity:
        raise AssertionError

    with pytest.raises(ValueError, match="one of"):
        Authenticate(App())
    with pytest.raises(ValueError, match="one of"):
        Authenticate(App(), verifier.authenticate, authenticate_scope=anyone)


@pytest.mark.parametrize(
    ("error", "code"), [(CredentialsMissing(), 4401), (InvalidToken(), 4401), (KeysUnavailable(), 4503)]
)
async def test_close_codes_tell_the_status(error: AuthError, code: int) -> None:
    sent = Sent()
    await close(error, sent)
    assert sent[0]["code"] == code


async def test_a_client_that_has_gone_is_no_error() -> None:
    async def gone(message: object) -> None:
        raise OSError("closed")

    await close(CredentialsMissing(), gone)
