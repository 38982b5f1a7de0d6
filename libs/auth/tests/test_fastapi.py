"""The interfaces: ASGI middleware and FastAPI dependencies."""

from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI
from todo_auth import Authenticate, CredentialsMissing, Identity, IdentityMinter, IdentityVerifier, Verifier
from todo_auth.fastapi import BearerToken, CurrentUser
from todo_auth.testing import Issuer

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
