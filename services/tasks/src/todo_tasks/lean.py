"""Typed routes without the framework's work per request.

FastAPI reads a route's signature once, for the document and for its dependencies, and then does so much for
every request that it costs more than the route itself. Where a route and its dependencies are coroutines that
need the request and the path only, and the route returns a `Response`, calling them is all there is to do.

Task: T-020 · Spec: plan.md#tasks-api
"""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

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

    async def resolve(request: Request) -> Any:
        arguments = {name: request.path_params[alias] for name, alias in in_path}
        if takes_request is not None:
            arguments[takes_request] = request
        for name, resolver in found:
            arguments[name] = await resolver(request)
        return await call(**arguments)

    return resolve
