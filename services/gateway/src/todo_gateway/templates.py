"""The route template of a request, for metrics and logs: one of a few, whatever a client sends.

Task: T-041 · Spec: plan.md#metrics
"""

from collections.abc import Callable, Sequence

from starlette.types import Scope

from todo_gateway.edge import RESOURCES, canonical, is_ambiguous, normal
from todo_gateway.routes import RESERVED, Route, match

OTHER = "other"

_TEMPLATES = {
    ("tasks", 0): "/api/tasks",
    ("tasks", 1): "/api/tasks/{id}",
    ("tasks", 2): "/api/tasks/{id}/{action}",
    ("categories", 0): "/api/categories",
    ("categories", 1): "/api/categories/{id}",
    ("stats", 0): "/api/stats",
}


def of(routes: Sequence[Route]) -> Callable[[Scope], str]:
    """What gives a request its template where these routes are: a service of others has one, its prefix."""
    if all(route.tasks for route in routes):
        return template

    def read(scope: Scope) -> str:
        raw_path: bytes = scope.get("raw_path") or b""
        route = None if is_ambiguous(raw_path) else match(routes, normal(raw_path))
        if route is None or route.tasks or scope["path"] in RESERVED:
            return template(scope)
        return f"{route.prefix.rstrip('/')}/{{path}}"

    return read


def template(scope: Scope) -> str:
    """`/api/tasks/{id}` and the like for every spelling of it, a page of the gateway's own, or `other`."""
    raw_path: bytes = scope.get("raw_path") or b""
    if not raw_path.startswith(b"/api/"):
        path: str = scope["path"]
        return path if path in RESERVED else OTHER
    if b"%" in raw_path:
        target = None if is_ambiguous(raw_path) else canonical(raw_path)
        if target is None:
            return OTHER
        raw_path = target.path.encode("ascii")
    parts = raw_path.decode("latin-1").rstrip("/").split("/", 8)[2:]
    if parts[:1] == ["v1"]:
        del parts[0]
    if parts and parts[0] not in RESOURCES:
        del parts[0]  # a user id
    resource = RESOURCES.get(parts[0]) if parts else None
    return _TEMPLATES.get((resource, len(parts) - 1), OTHER) if resource else OTHER
