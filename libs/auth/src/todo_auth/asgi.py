"""ASGI middleware that lets nothing through without an identity.

Task: T-010 · Spec: plan.md#interfaces
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from todo_auth.identity import Identity, RawHeaders

Scope = MutableMapping[str, Any]  # the ASGI specification leaves the values' types to each event
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class Authenticate:
    """Puts the request's `Identity` into `scope["state"]["identity"]`, or lets the `AuthError` rise.

    `authenticate`: from raw headers to an identity, such as `Verifier.authenticate` or
    `IdentityVerifier.authenticate`. `exempt`: exact paths that need none.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticate: Callable[[RawHeaders], Awaitable[Identity]],
        exempt: frozenset[str] = frozenset(),
    ) -> None:
        self.app = app
        self._authenticate = authenticate
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises AuthError before the application sees anything of the request."""
        if scope["type"] != "lifespan" and scope["path"] not in self._exempt:
            scope.setdefault("state", {})["identity"] = await self._authenticate(scope["headers"])
        await self.app(scope, receive, send)
