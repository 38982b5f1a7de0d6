"""Composes the gateway: middleware in order, routes, lifespan.

A request walks down: Requests (id, access line, metrics) → Cors → Problems (errors become answers) →
ClientAddress → Edge (limits, stripping) → RateLimits by address. Then everything under `/api` goes to
Overload → FailureLimits → Authenticate (who is it?) → RateLimits by user → Forward (on to the service), and
the rest to a route.

Task: T-026 · Spec: plan.md#gateway-app
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from fastapi import FastAPI
from prometheus_client import REGISTRY, CollectorRegistry
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send
from todo_auth import Authenticate, IdentityMinter, Verifier
from todo_service import access, health, logs, problems, settings
from todo_service.metrics import HttpMetrics, watch
from todo_service.problems import Problems
from todo_service.requests import HEALTH, Requests

from todo_gateway import limits, openapi, quotas
from todo_gateway.client_address import ClientAddress
from todo_gateway.cors import Cors
from todo_gateway.edge import Edge, Limits
from todo_gateway.forward import Forward
from todo_gateway.limits import FailureLimits, RateLimits
from todo_gateway.metrics import GatewayMetrics
from todo_gateway.overload import Overload
from todo_gateway.quotas import Quota
from todo_gateway.settings import GatewaySettings
from todo_gateway.shared import Sharing
from todo_gateway.templates import template
from todo_gateway.upstream import Balance, Pool


def create_app(
    configured: GatewaySettings,
    *,
    verifier: Verifier | None = None,
    access_line: access.AccessLine = access.logged,
    registry: CollectorRegistry | None = None,
) -> FastAPI:
    """The gateway as an ASGI application.

    `verifier`: another than the settings', in tests. `access_line`: writes the access line. `registry`: where
    the metrics are kept; None: nothing is measured.
    """
    issuer = configured.issuer()
    keys = issuer.keys if verifier is None else None
    verifier = verifier or configured.verifier(issuer)
    minter = IdentityMinter(configured.identity_secret, audience=configured.trust_domain)
    by_address = _quotas(configured, configured.address_rate_limit, "address")
    by_failure = _quotas(configured, configured.auth_failure_rate_limit, "auth-failures")
    by_user = _quotas(configured, configured.rate_limit, "user")
    sharing = None
    if configured.redis_url is not None:
        url = configured.redis_url.get_secret_value()
        sharing = Sharing(url, [*by_address, *by_failure, *by_user])
    http_metrics = None if registry is None else HttpMetrics(registry)
    own_metrics = None if registry is None else GatewayMetrics(registry)
    refused = None if own_metrics is None else own_metrics.refused
    tasks = Balance(
        [
            Pool(
                address,
                max_connections=configured.max_upstream_connections,
                head_timeout_s=configured.upstream_timeout,
            )
            for address in configured.tasks_url
        ],
        timeout_s=configured.upstream_timeout,
        try_timeout_s=configured.upstream_try_timeout,
        on_try=None if own_metrics is None else own_metrics.tried,
    )
    forward = RateLimits(Forward(tasks, minter), by_user, limits.user, announce=True, refused=refused)
    authenticated = Authenticate(forward, verifier.authenticate)
    overload = Overload(
        FailureLimits(authenticated, by_failure, refused=refused),
        max_concurrency=configured.max_concurrency,
        max_waiting=configured.max_waiting,
        max_wait_s=configured.max_wait,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(tasks.aclose)
            await stack.enter_async_context(verifier)
            if sharing is not None:
                await stack.enter_async_context(sharing)
            if registry is not None and http_metrics is not None and own_metrics is not None:
                show = partial(own_metrics.show, keys, tasks, overload, sharing)
                watching = asyncio.ensure_future(watch(registry, http_metrics.refresh, show))
                stack.callback(watching.cancel)
            yield

    async def missing() -> list[str]:
        parts = [] if verifier.is_ready else ["identity provider"]
        return parts if await tasks.is_ready() else [*parts, "tasks service"]

    sizes = Limits(
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
            Middleware(
                Requests,
                route_of=template,
                access=access_line,
                observer=http_metrics,
                timing=configured.env != "production",
            ),
            Middleware(Cors, origins=configured.cors_origins),
            Middleware(Problems),
            Middleware(ClientAddress, trusted=configured.proxies),
            Middleware(Edge, limits=sizes),
            Middleware(RateLimits, quotas=by_address, of=limits.address, exempt=HEALTH, refused=refused),
            Middleware(Api, forward=overload),
        ],
        routes=[
            *health.routes(missing),
            *openapi.routes(openapi.Document([openapi.Source("tasks", tasks.request)], minter)),
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
    is_production = configured.env == "production"
    lines = logs.configure(configured.log_level, as_json=is_production)
    return create_app(
        configured,
        access_line=access.JsonLines(lines.write) if is_production else access.logged,
        registry=None if configured.gateway_metrics_port is None else REGISTRY,
    )


def _quotas(configured: GatewaySettings, rate: str, name: str) -> tuple[Quota, ...]:
    return () if configured.limits_are_off else quotas.parse(rate, name)
