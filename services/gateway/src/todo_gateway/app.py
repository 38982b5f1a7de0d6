"""Composes the gateway: middleware in order, routes, lifespan.

A request walks down: Requests (id, access line) → Cors → Problems (errors become answers) → Edge (limits,
stripping) → a route; everything under `/api` is Authenticate (who is it?) → Forward (on to the service).

Task: T-026 · Spec: plan.md#gateway-app
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.routing import Mount
from todo_auth import Authenticate, IdentityMinter, Verifier
from todo_service import health, problems
from todo_service.problems import Problems
from todo_service.requests import Requests

from todo_gateway import openapi
from todo_gateway.cors import Cors
from todo_gateway.edge import Edge, Limits
from todo_gateway.forward import Forward
from todo_gateway.settings import GatewaySettings
from todo_gateway.upstream import Pool, UpstreamError


def create_app(settings: GatewaySettings, *, verifier: Verifier | None = None) -> FastAPI:
    """The gateway as an ASGI application. `verifier`: another than the settings', in tests."""
    verifier = verifier or settings.verifier()
    pool = Pool(
        settings.tasks_url[0],
        max_connections=settings.max_upstream_connections,
        head_timeout_s=settings.upstream_timeout,
    )
    minter = IdentityMinter(settings.identity_secret, audience=settings.trust_domain)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with verifier:
            yield
        await pool.aclose()

    async def missing() -> list[str]:
        parts = [] if verifier.is_ready else ["identity provider"]
        return parts if await _is_ready(pool) else [*parts, "tasks service"]

    limits = Limits(
        settings.max_target_bytes,
        settings.max_headers,
        settings.max_header_bytes,
        settings.max_body_bytes,
        settings.body_timeout,
    )
    app = FastAPI(
        title="Todo API",
        openapi_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        middleware=[
            Middleware(Requests),
            Middleware(Cors, origins=settings.cors_origins),
            Middleware(Problems),
            Middleware(Edge, limits=limits),
        ],
        routes=[
            *health.routes(missing),
            *openapi.routes(openapi.Document(pool, minter)),
            Mount("/api", Authenticate(Forward(pool, minter), verifier.authenticate)),
        ],
    )
    problems.install(app)
    return app


async def _is_ready(pool: Pool) -> bool:
    """Whether the tasks service says that it can serve."""
    try:
        response = await pool.request(b"GET", b"/readyz", [], None)
    except UpstreamError:
        return False
    await response.aclose()
    return response.status == 200
