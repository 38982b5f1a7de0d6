"""Alive and ready: two answers for whoever watches the process.

Task: T-014 · Spec: plan.md#health
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_FRESH = {"Cache-Control": "no-store"}


def routes(missing: Callable[[], Awaitable[list[str]]]) -> list[Route]:
    """`/healthz`: 200 while the process answers. `/readyz`: 200 when `missing()` is empty, else 503 with its
    names; 503 as well from the moment the server drains.

    The names are of parts ("database", "identity provider"), never addresses: the answer may be public.
    """

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=_FRESH)

    async def readyz(request: Request) -> Response:
        draining = request.scope.get("state", {}).get("draining")
        parts = ["draining"] if draining else await missing()
        if parts:
            document = {"status": "unavailable", "missing": parts}
            return JSONResponse(document, 503, headers={**_FRESH, "Retry-After": "2"})
        return JSONResponse({"status": "ok"}, headers=_FRESH)

    return [
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readyz, methods=["GET"]),
    ]
