"""FastAPI dependencies: the current user of a request.

Task: T-010 · Spec: plan.md#interfaces
"""

from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.requests import HTTPConnection
from fastapi.security import HTTPBearer

from todo_auth.errors import AuthError, CredentialsMissing
from todo_auth.identity import Identity
from todo_auth.verifier import Verifier


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
    document. Answers 400, 401 or 503 with the headers of the `AuthError`.
    """

    def __init__(self, verifier: Verifier) -> None:
        super().__init__(bearerFormat="JWT", description="A Better Auth JWT", auto_error=False)
        self._verifier = verifier

    # HTTPBearer answers with the bare credentials; here they are verified.
    async def __call__(self, connection: HTTPConnection) -> Identity:  # type: ignore[override]
        try:
            return await self._verifier.authenticate(connection.scope["headers"])
        except AuthError as error:
            raise HTTPException(error.status, error.detail, dict(error.headers)) from error
