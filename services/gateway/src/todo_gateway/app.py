"""Composes the gateway: middleware in order, routes, lifespan.

A request walks down: Requests (id, access line) → Cors → Problems (errors become answers) → Edge (limits,
stripping). Then everything under `/api` goes to Authenticate (who is it?) → Forward (on to the service), and
the rest to a route.

Task: T-026 · Spec: plan.md#gateway-app
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send
from todo_auth import Authenticate, IdentityMinter, Verifier
from todo_service import health, logs, problems, settings
from todo_service.problems import Problems
from todo_service.requests import Requests

from todo_gateway import openapi
from todo_gateway.cors import Cors
from todo_gateway.edge import Edge, Limits
from todo_gateway.forward import Forward
from todo_gateway.settings import GatewaySettings
from todo_gateway.upstream import Pool, UpstreamError


def create_app(configured: GatewaySettings, *, verifier: Verifier | None = None) -> FastAPI:
    """The gateway as an ASGI application. `verifier`: another than the settings', in tests."""
    verifier = verifier or configured.verifier()
    pool = Pool(
        configured.tasks_url[0],
        max_connections=configured.max_upstream_connections,
        head_timeout_s=configured.upstream_timeout,
    )
    minter = IdentityMinter(configured.identity_secret, audience=configured.trust_domain)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with verifier:
            yield
        await pool.aclose()

    async def missing() -> list[str]:
        parts = [] if verifier.is_ready else ["identity provider"]
        return parts if await _is_ready(pool) else [*parts, "tasks service"]

    limits = Limits(
        configured.max_target_bytes,
        configured.max_headers,
        configured.max_header_bytes,
        configured.max_body_bytes,
        configured.body_timeout,
    )
    app = FastAPI(
        title="Todo API",
        openapi_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        middleware=[
            Middleware(Requests),
            Middleware(Cors, origins=configured.cors_origins),
            Middleware(Problems),
            Middleware(Edge, limits=limits),
            Middleware(Api, forward=Authenticate(Forward(pool, minter), verifier.authenticate)),
        ],
        routes=[
            *health.routes(missing),
            *openapi.routes(openapi.Document([openapi.Source("tasks", pool.request)], minter)),
        ],
    )
    problems.install(app)
    return app


class Api:
    """Pure ASGI middleware, innermost: `/api` goes to `forward`, past the framework's router."""

    def __init__(self, app: ASGIApp, forward: ASGIApp) -> None:
        self.app = app
        self._forward = forward

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judged by the path as it was sent: `Edge` has refused every other reading of it."""
        under_api = scope["type"] == "http" and scope["raw_path"].startswith(b"/api/")
        await (self._forward if under_api else self.app)(scope, receive, send)


def from_environment() -> FastAPI:
    """For a server that makes the application itself, once in each of its processes."""
    configured = settings.load(GatewaySettings)
    logs.configure(configured.log_level, as_json=configured.env == "production")
    return create_app(configured)


async def _is_ready(pool: Pool) -> bool:
    """Whether the tasks service says that it can serve."""
    try:
        response = await pool.request(b"GET", b"/readyz", [], None)
    except UpstreamError:
        return False
    await response.aclose()
    return response.status == 200
