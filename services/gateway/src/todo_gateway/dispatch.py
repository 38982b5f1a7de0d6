"""Which service a request is for, and whether its user may ask it.

Task: T-047 · Spec: plan.md#routes-file
"""

from collections.abc import Mapping, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send
from todo_auth import Identity
from todo_auth.scopes import InsufficientScope, require

from todo_gateway import paths
from todo_gateway.routes import RESERVED, Route, match


class Dispatch:
    """Pure ASGI middleware, innermost: what lies under a route's prefix goes to `services`, past the
    framework's router, and the rest to the application.

    The route is left in the scope's state. `routes`: the longest prefix first.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[Route], services: ASGIApp) -> None:
        self.app = app
        self._routes = routes
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judged by the one reading of the path: `Edge` has refused what has others."""
        route = None
        if scope["type"] == "http" and not _is_own(scope["path"]):
            path = paths.read(scope["raw_path"])
            route = None if path is None else match(self._routes, path.normal)
        if route is None:
            await self.app(scope, receive, send)
        else:
            scope["state"]["route"] = route
            await self._services(scope, receive, send)


class Services:
    """The ASGI application behind `Dispatch`: `doors` has what stands before each service, by its prefix."""

    def __init__(self, doors: Mapping[str, ASGIApp]) -> None:
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises what stands at the door does."""
        await self._doors[scope["state"]["route"].prefix](scope, receive, send)


class Claims:
    """Pure ASGI middleware behind `Authenticate`: the user's token must have what the route asks for.

    `claims`: by the path of a claim, the values of which it must be one; of a list, or of words with commas
    between them, one must be among them. `scope`: words of the claim `scope`, all of them.
    """

    def __init__(
        self,
        app: ASGIApp,
        claims: Mapping[tuple[str, ...], Sequence[str | int | bool]],
        scope: Sequence[str] = (),
    ) -> None:
        self.app = app
        self._claims = claims
        self._scope = tuple(scope)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises InsufficientScope (403)."""
        identity: Identity = scope["state"]["identity"]
        if self._scope:
            require(identity, *self._scope)
        for path, accepted in self._claims.items():
            if not _has(identity.claims, path, accepted):
                raise InsufficientScope(f"the claim {'.'.join(path)} does not allow it")
        await self.app(scope, receive, send)


def _is_own(path: str) -> bool:
    """Whether the gateway answers it itself, whatever a route for `/` says."""
    return path in RESERVED or path.startswith("/docs/")


def _has(claims: Mapping[str, object], path: tuple[str, ...], accepted: Sequence[str | int | bool]) -> bool:
    value: object = claims
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    values = value if isinstance(value, list) else [value]
    if isinstance(value, str) and "," in value:
        values = [word.strip() for word in value.split(",")]  # Better Auth's admin plugin writes roles so
    # In Python 1 == True, and in a token they are two things.
    return any(item == one and type(item) is type(one) for item in values for one in accepted)
