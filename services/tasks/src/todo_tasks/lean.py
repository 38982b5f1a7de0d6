"""Typed routes without the framework's work per request.

FastAPI reads a route's signature once, for the document and for its dependencies, and then does so much for
every request that it costs more than the route itself. Where a route and its dependencies are coroutines that
need the request and the path only, and the route returns a `Response`, calling them is all there is to do,
and finding the route is looking it up.

Task: T-020 · Spec: plan.md#tasks-api
"""

from collections.abc import Awaitable, Callable, Iterable
from inspect import iscoroutinefunction
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

_Resolve = Callable[[Request], Awaitable[Any]]


class LeanRoute(APIRoute):
    """An `APIRoute` that calls its endpoint directly where it can, and is an ordinary one where it cannot.

    Errors rise as from an ordinary route. For `APIRouter(route_class=LeanRoute)` whose routes are put into an
    application as they are (`app.routes.extend(router.routes)`): `include_router` wraps each anew.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        answer = _resolver(self.dependant)
        self.is_lean = answer is not None and get_type_hints(endpoint).get("return") is Response
        if answer is None or not self.is_lean:
            return

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await answer(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = app


class LeanRoutes:
    """Pure ASGI middleware before a FastAPI application: calls those of its routes that are lean past the
    framework's layers and its search through all routes. What they raise rises from here.

    Found are paths without parameters, and those whose fourth segment is `{id}` and nothing else a parameter
    (`/api/tasks/{id}/complete`); whatever else there is, the application finds. `app`: as it is called, and
    `owner`: what routes know as `request.app`.
    """

    def __init__(self, app: ASGIApp, owner: object, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._owner = owner
        self._found: dict[tuple[str, str], LeanRoute] = {}
        for route in routes:
            if isinstance(route, LeanRoute) and route.is_lean:
                for method in route.methods or ():
                    self._found.setdefault((method, route.path), route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As the framework's router, for what is found."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, path, parameters = scope["method"], scope["path"], {}
        route = self._found.get((method, path))
        if route is None:
            parts = path.split("/", 4)
            if len(parts) > 3 and parts[3]:
                parameters["id"], parts[3] = parts[3], "{id}"
                route = self._found.get((method, "/".join(parts)))
        if route is None or "{" in path:
            await self._app(scope, receive, send)
            return
        scope["app"], scope["route"], scope["path_params"] = self._owner, route, parameters
        await route.app(scope, receive, send)


def _resolver(dependant: Dependant) -> _Resolve | None:
    """How to call what `dependant` describes with what a request has; None where that needs the framework."""
    call = dependant.call
    needs_the_framework = (
        dependant.query_params
        or dependant.header_params
        or dependant.cookie_params
        or dependant.body_params
        or dependant.websocket_param_name
        or dependant.response_param_name
        or dependant.background_tasks_param_name
        or dependant.security_scopes_param_name
        or any(field.field_info.annotation is not str for field in dependant.path_params)
    )
    if call is None or not iscoroutinefunction(call) or needs_the_framework:
        return None
    in_path = [(field.name, field.alias) for field in dependant.path_params]
    takes_request = dependant.request_param_name or dependant.http_connection_param_name
    resolvers = [(inner.name, _resolver(inner)) for inner in dependant.dependencies]
    found = [(name, resolver) for name, resolver in resolvers if name is not None and resolver is not None]
    if len(found) != len(resolvers):
        return None

    if takes_request is not None and not in_path and not found:
        return lambda request: call(**{takes_request: request})

    async def resolve(request: Request) -> Any:
        arguments = {name: request.path_params[alias] for name, alias in in_path}
        if takes_request is not None:
            arguments[takes_request] = request
        for name, resolver in found:
            arguments[name] = await resolver(request)
        return await call(**arguments)

    return resolve
