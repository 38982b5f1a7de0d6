"""The route template of a request, for metrics and logs: one of a few, whatever a client sends.

Task: T-041 · Spec: plan.md#metrics
"""

from collections.abc import Callable, Sequence

from starlette.types import Scope

from todo_gateway import paths
from todo_gateway.paths import OTHER
from todo_gateway.routes import RESERVED, Route, match


def of(routes: Sequence[Route]) -> Callable[[Scope], str]:
    """What gives a request its template where these routes are: `/api/tasks/{id}` and the like for every
    spelling of it, a page of the gateway's own, the prefix of a service of others, or `other`.
    """

    def read(scope: Scope) -> str:
        page: str = scope["path"]
        if page in RESERVED:
            return page
        path = paths.read(scope.get("raw_path") or b"")
        route = None if path is None else match(routes, path.normal)
        if path is None or route is None:
            return OTHER
        return path.template if route.tasks else f"{route.prefix.rstrip('/')}/{{path}}"

    return read
