"""FastAPI dependencies: the current user of a request, and what that user may do.

Task: T-010 · Spec: plan.md#interfaces
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, HTTPException, Security
from fastapi.openapi.models import APIKey
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.openapi.models import SecurityBase as SecurityBaseModel
from fastapi.requests import HTTPConnection
from fastapi.security import HTTPBearer, SecurityScopes
from fastapi.security.base import SecurityBase

from todo_auth.asgi import Scope
from todo_auth.errors import AuthError, CredentialsMissing
from todo_auth.identity import Identity
from todo_auth.scopes import Claim, InsufficientScope, check_names, require
from todo_auth.sessions import SessionExchange
from todo_auth.verifier import Verifier

_VERIFIED = "todo_auth.verified"


async def current_identity(connection: HTTPConnection) -> Identity:
    """The identity that `todo_auth.asgi.Authenticate` found. Raises CredentialsMissing where that middleware
    did not run.
    """
    identity = connection.scope.get("state", {}).get("identity")
    if not isinstance(identity, Identity):
        raise CredentialsMissing("no identity in the request's state")
    return identity


CurrentUser = Annotated[Identity, Depends(current_identity)]
"""The user of a request behind `Authenticate`: `async def route(user: CurrentUser)`."""


class BearerToken(HTTPBearer):
    """A dependency that verifies the Authorization header itself, for an application without a gateway or
    middleware.

    `CurrentUser = Annotated[Identity, Depends(BearerToken(verifier))]`. Adds the bearer scheme to the OpenAPI
    document. Answers 400, 401 or 503 with the headers of the `AuthError`. A request is verified once, however
    many of its dependencies ask.

    `Security(bearer, scopes=["tasks:write"])` is enforced, by the claim `scope`: 403 without them.
    """

    def __init__(self, verifier: Verifier) -> None:
        super().__init__(bearerFormat="JWT", description="A Better Auth JWT", auto_error=False)
        self._verifier = verifier

    # HTTPBearer answers with the bare credentials; here they are verified.
    async def __call__(  # type: ignore[override]
        self, connection: HTTPConnection, security_scopes: SecurityScopes
    ) -> Identity:
        return await _once(
            connection,
            security_scopes,
            self._verifier,
            lambda scope: self._verifier.authenticate(scope["headers"]),
        )


def session_token(exchange: SessionExchange) -> Callable[..., Awaitable[Identity]]:
    """`BearerToken` for clients that may also show a session token, or the session cookie:
    `Annotated[Identity, Depends(session_token(exchange))]`.

    Make it once and use it in every route. Adds both schemes to the OpenAPI document, either of which is
    enough. Also answers 403, to a cookie on a cross-site request.
    """
    bearer = HTTPBearerModel(description="A Better Auth JWT or session token")
    cookie = APIKey.model_validate(
        {"in": "cookie", "name": exchange.cookie, "description": "Better Auth's session cookie"}
    )

    async def session_token(
        connection: HTTPConnection,
        security_scopes: SecurityScopes,
        _bearer: Annotated[None, Depends(_Scheme("BearerToken", bearer))],
        _cookie: Annotated[None, Depends(_Scheme("SessionCookie", cookie))],
    ) -> Identity:
        return await _once(connection, security_scopes, exchange, exchange.authenticate_scope)

    return session_token


def requires(
    *needed: str,
    user: Callable[..., Awaitable[Identity]] = current_identity,
    claim: Claim = "scope",
    separator: str = " ",
) -> Callable[..., Awaitable[Identity]]:
    """A dependency that answers 403 unless the user's token grants all of `needed`:

    `Writer = Annotated[Identity, Depends(requires("tasks:write", user=bearer))]`. `user`: the dependency that
    knows the user: a `BearerToken`, a `session_token(…)`, or by default what `Authenticate` found. `claim`
    and `separator`: as `todo_auth.scopes.require` has them. Scopes are shown in the OpenAPI document;
    roles and permissions in other claims, which mean nothing to its clients, are not. Raises ValueError for
    names that cannot be scopes.
    """
    check_names(needed)
    depends = Security(user, scopes=list(needed)) if claim == "scope" else Depends(user)

    async def require_granted(identity: Annotated[Identity, depends]) -> Identity:
        try:
            require(identity, *needed, claim=claim, separator=separator)
        except InsufficientScope as error:
            raise _answer(error) from error
        return identity

    return require_granted


class _Scheme(SecurityBase):
    """Declares a security scheme to the OpenAPI document and does nothing else."""

    def __init__(self, scheme_name: str, model: SecurityBaseModel) -> None:
        self.scheme_name = scheme_name
        self.model = model

    async def __call__(self) -> None:
        pass


async def _once(
    connection: HTTPConnection,
    security_scopes: SecurityScopes,
    authority: object,
    authenticate: Callable[[Scope], Awaitable[Identity]],
) -> Identity:
    """The identity by this authority, asked once a request: FastAPI asks again for each set of scopes."""
    verified: dict[int, Identity] = connection.scope.setdefault(_VERIFIED, {})
    try:
        if (identity := verified.get(id(authority))) is None:
            identity = verified[id(authority)] = await authenticate(connection.scope)
        require(identity, *security_scopes.scopes)
    except AuthError as error:
        raise _answer(error) from error
    return identity


def _answer(error: AuthError) -> HTTPException:
    return HTTPException(error.status, error.detail, dict(error.headers))
