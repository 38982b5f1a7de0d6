"""The interfaces: ASGI middleware and FastAPI dependencies."""

from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Security
from todo_auth import Authenticate, CredentialsMissing, Identity, IdentityMinter, IdentityVerifier, Verifier
from todo_auth.fastapi import BearerToken, CurrentUser, requires, session_token
from todo_auth.sessions import SessionExchange
from todo_auth.testing import Clock, Issuer

SECRET = "a secret that has more than enough bytes"


def client(app: object) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # its scope type is narrower
    return httpx.AsyncClient(transport=transport, base_url="http://app.test")


@pytest.fixture
def bearer_app(verifier: Verifier) -> FastAPI:
    app = FastAPI()

    @app.get("/me")
    async def me(user: Annotated[Identity, Depends(BearerToken(verifier))]) -> str:
        return user.user_id

    return app


async def test_a_dependency_protects_an_application_that_has_nothing_else(
    bearer_app: FastAPI, issuer: Issuer
) -> None:
    async with client(bearer_app) as http:
        answer = await http.get("/me", headers={"Authorization": f"Bearer {issuer.token('ann')}"})
        assert (answer.status_code, answer.json()) == (200, "ann")


@pytest.mark.parametrize(
    ("headers", "status", "challenge"),
    [
        ([], 401, 'Bearer realm="api"'),
        (
            [("Authorization", "Bearer nonsense")],
            401,
            'Bearer realm="api", error="invalid_token", '
            'error_description="The access token is malformed, revoked or not meant for this service."',
        ),
        (
            [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
            400,
            'Bearer realm="api", error="invalid_request", '
            "error_description=\"Send exactly one Authorization header of the form 'Bearer <token>'.\"",
        ),
    ],
)
async def test_refusals_answer_as_rfc_6750_says(
    headers: list[tuple[str, str]], status: int, challenge: str, bearer_app: FastAPI
) -> None:
    async with client(bearer_app) as http:
        answer = await http.get("/me", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (status, challenge)


async def test_an_expired_token_is_told_apart_so_that_a_client_fetches_a_new_one(
    bearer_app: FastAPI, issuer: Issuer
) -> None:
    async with client(bearer_app) as http:
        answer = await http.get("/me", headers={"Authorization": f"Bearer {issuer.token(exp=1)}"})
    assert "expired" in answer.headers["www-authenticate"]


async def test_keys_that_cannot_be_had_answer_503_with_retry_after(issuer: Issuer) -> None:
    issuer.down = True
    app = FastAPI()
    async with Verifier(issuer.trusted()) as verifier:

        @app.get("/me")
        async def me(user: Annotated[Identity, Depends(BearerToken(verifier))]) -> str:
            return user.user_id

        async with client(app) as http:
            answer = await http.get("/me", headers={"Authorization": f"Bearer {issuer.token()}"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_the_openapi_document_names_the_bearer_scheme(bearer_app: FastAPI) -> None:
    document = bearer_app.openapi()
    assert document["components"]["securitySchemes"]["BearerToken"] == {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A Better Auth JWT",
    }
    assert document["paths"]["/me"]["get"]["security"] == [{"BearerToken": []}]


@pytest.fixture
def inner_app() -> FastAPI:
    app = FastAPI()

    @app.get("/me")
    async def me(user: CurrentUser) -> str:
        return user.user_id

    @app.get("/healthz")
    async def healthz() -> str:
        return "ok"

    return app


async def test_the_middleware_finds_the_identity_for_current_user(inner_app: FastAPI) -> None:
    guarded = Authenticate(inner_app, IdentityVerifier([SECRET]).authenticate, frozenset({"/healthz"}))
    async with client(guarded) as http:
        headers = {"X-User-Id": "ann", "Txn-Token": IdentityMinter([SECRET]).mint("ann")}
        assert (await http.get("/me", headers=headers)).json() == "ann"
        assert (await http.get("/healthz")).json() == "ok"
        for path in ("/me", "/nowhere", "/healthz/", "/openapi.json"):
            with pytest.raises(CredentialsMissing):
                await http.get(path)


async def test_current_user_without_the_middleware_lets_nobody_in(inner_app: FastAPI) -> None:
    async with client(inner_app) as http:
        with pytest.raises(CredentialsMissing):
            await http.get("/me")


class Counting(Verifier):
    """Counts how often it is asked."""

    asked = 0

    async def verify(self, token: str) -> Identity:
        self.asked += 1
        return await super().verify(token)


async def test_a_request_is_verified_once_however_many_dependencies_ask(issuer: Issuer, clock: Clock) -> None:
    app = FastAPI()
    async with Counting(issuer.trusted(), now=clock) as verifier:
        one, other = BearerToken(verifier), BearerToken(verifier)

        @app.get("/me")
        async def me(
            user: Annotated[Identity, Depends(one)],
            reader: Annotated[Identity, Security(one, scopes=["tasks:read"])],
            writer: Annotated[Identity, Depends(requires("tasks:write", user=other))],
        ) -> bool:
            return user is reader is writer

        async with client(app) as http:
            token = issuer.token("ann", scope="tasks:read tasks:write")
            for n in (1, 2):
                answer = await http.get("/me", headers={"Authorization": f"Bearer {token}"})
                assert (answer.json(), verifier.asked) == (True, n)


async def test_two_verifiers_of_one_request_are_both_asked(verifier: Verifier, issuer: Issuer) -> None:
    stranger = Issuer("http://other.test")
    app = FastAPI()
    async with Verifier(stranger.trusted()) as other:

        @app.get("/me")
        async def me(
            user: Annotated[Identity, Depends(BearerToken(verifier))],
            same: Annotated[Identity, Depends(BearerToken(other))],
        ) -> str:
            return user.user_id

        async with client(app) as http:
            answer = await http.get("/me", headers={"Authorization": f"Bearer {issuer.token('ann')}"})
            assert answer.status_code == 401


@pytest.fixture
def scoped_app(verifier: Verifier) -> FastAPI:
    app = FastAPI()
    bearer = BearerToken(verifier)

    @app.get("/security")
    async def security(user: Annotated[Identity, Security(bearer, scopes=["tasks:write"])]) -> str:
        return user.user_id

    @app.get("/requires")
    async def required(user: Annotated[Identity, Depends(requires("tasks:write", user=bearer))]) -> str:
        return user.user_id

    @app.get("/role", dependencies=[Depends(requires("admin", user=bearer, claim="role", separator=","))])
    async def role() -> str:
        return "ann"

    return app


@pytest.mark.parametrize(
    ("path", "good", "bad", "named"),
    [
        ("/security", {"scope": "tasks:read tasks:write"}, {"scope": "tasks:read"}, True),
        ("/requires", {"scope": ["tasks:write"]}, {}, True),
        ("/role", {"role": "user,admin"}, {"role": "user", "scope": "admin"}, False),
    ],
)
async def test_scopes_and_roles_are_enforced(
    path: str,
    good: dict[str, Any],
    bad: dict[str, Any],
    named: bool,
    scoped_app: FastAPI,
    issuer: Issuer,
) -> None:
    async with client(scoped_app) as http:
        answer = await http.get(path, headers={"Authorization": f"Bearer {issuer.token('ann', **good)}"})
        assert (answer.status_code, answer.json()) == (200, "ann")
        answer = await http.get(path, headers={"Authorization": f"Bearer {issuer.token('ann', **bad)}"})
        assert answer.status_code == 403
        challenge = answer.headers["www-authenticate"]
        assert 'error="insufficient_scope"' in challenge
        assert ('scope="tasks:write"' in challenge) == named
        assert (await http.get(path)).status_code == 401


async def test_the_openapi_document_shows_the_scopes(scoped_app: FastAPI) -> None:
    paths = scoped_app.openapi()["paths"]
    shown = {path: paths[path]["get"]["security"] for path in paths}
    assert shown == {
        "/security": [{"BearerToken": ["tasks:write"]}],
        "/requires": [{"BearerToken": ["tasks:write"]}],
        "/role": [{"BearerToken": []}],
    }


async def test_scopes_are_required_of_what_the_middleware_found_too(
    verifier: Verifier, issuer: Issuer
) -> None:
    app = FastAPI()

    @app.get("/me")
    async def me(user: Annotated[Identity, Depends(requires("tasks:write"))]) -> str:
        return user.user_id

    async with client(Authenticate(app, verifier.authenticate)) as http:
        for scope, status in (("tasks:write", 200), ("tasks:read", 403)):
            token = issuer.token("ann", scope=scope)
            answer = await http.get("/me", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == status


def test_a_scope_that_cannot_be_one_is_refused_when_the_route_is_made() -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        requires("tasks write")


@pytest.fixture
def session_app(verifier: Verifier) -> FastAPI:
    """Nobody listens where its sessions are exchanged."""
    app = FastAPI()
    user = session_token(SessionExchange(verifier, "http://127.0.0.1:9/", origins=["http://app.test"]))

    @app.get("/me")
    @app.post("/me")
    async def me(user: Annotated[Identity, Depends(user)]) -> str:
        return user.user_id

    @app.get("/write")
    async def write(user: Annotated[Identity, Depends(requires("tasks:write", user=user))]) -> str:
        return user.user_id

    return app


async def test_sessions_answer_as_a_dependency(session_app: FastAPI, issuer: Issuer) -> None:
    cookie = {"Cookie": "better-auth.session_token=s.g"}
    async with client(session_app) as http:
        by_token = {"Authorization": f"Bearer {issuer.token('ann')}"}
        assert (await http.get("/me", headers=by_token)).json() == "ann"
        assert (await http.get("/write", headers=by_token)).status_code == 403
        assert (await http.get("/me")).status_code == 401
        assert (await http.post("/me", headers=cookie)).status_code == 403
        for answer in (
            await http.get("/me", headers=cookie),
            await http.post("/me", headers={**cookie, "Origin": "http://app.test"}),
            await http.get("/me", headers={"Authorization": "Bearer opaque"}),
        ):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_the_openapi_document_shows_that_token_or_cookie_is_enough(session_app: FastAPI) -> None:
    document = session_app.openapi()
    schemes = document["components"]["securitySchemes"]
    assert {name: scheme["type"] for name, scheme in schemes.items()} == {
        "BearerToken": "http",
        "SessionCookie": "apiKey",
    }
    assert (schemes["SessionCookie"]["in"], schemes["SessionCookie"]["name"]) == (
        "cookie",
        "better-auth.session_token",
    )
    assert document["paths"]["/me"]["get"]["security"] == [{"BearerToken": []}, {"SessionCookie": []}]
    assert document["paths"]["/me"]["get"].get("parameters", []) == []
    assert document["paths"]["/write"]["get"]["security"] == [
        {"BearerToken": ["tasks:write"]},
        {"SessionCookie": ["tasks:write"]},
    ]
