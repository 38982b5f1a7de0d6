"""Composes the gateway: middleware in order, routes, lifespan.

A request walks down: Requests (id, access line, metrics) → Traces (where there are any) → Cors → Problems
(errors become answers) → ClientAddress → Edge (limits, stripping) → RateLimits by address → Dispatch. What is
a service's goes to Overload → FailureLimits → Authenticate (who is it?) → RateLimits by user → Claims (where
a route asks for some) → Forward; the rest to a route of the framework.

Task: T-026 · Spec: plan.md#gateway-app
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from prometheus_client import REGISTRY, CollectorRegistry
from starlette.middleware import Middleware
from starlette.types import ASGIApp
from todo_auth import Authenticate, IdentityMinter, Verifier
from todo_service import access, health, logs, problems, settings, tracing
from todo_service.metrics import HttpMetrics, watch
from todo_service.problems import Problems
from todo_service.requests import HEALTH, Requests
from todo_service.tracing.server import Traces
from todo_service.tracing.spans import Tracing

from todo_gateway import limits, openapi, paths, seeds, templates
from todo_gateway.client_address import ClientAddress
from todo_gateway.cors import Cors
from todo_gateway.dispatch import Claims, Dispatch, Services
from todo_gateway.edge import Edge, Limits
from todo_gateway.forward import Forward, plain_path, tasks_path
from todo_gateway.limits import FailureLimits, RateLimits
from todo_gateway.metrics import GatewayMetrics
from todo_gateway.overload import Overload
from todo_gateway.quotas import Quota, parse
from todo_gateway.routes import Route, match
from todo_gateway.settings import GatewaySettings
from todo_gateway.shared import Sharing
from todo_gateway.upstream import Balance, Pool
from todo_gateway.upstream.traced import TracedPool


def create_app(
    configured: GatewaySettings,
    *,
    verifier: Verifier | None = None,
    access_line: access.AccessLine = access.logged,
    registry: CollectorRegistry | None = None,
    traces: Tracing | None = None,
) -> ASGIApp:
    """The gateway as an ASGI application.

    `verifier`: another than the settings', in tests. `access_line`: writes the access line. `registry`: where
    the metrics are kept; None: nothing is measured. `traces`: what spans are made with; None: there are none.
    """
    verifier = verifier or configured.verifier()
    exchange = configured.exchange(verifier)
    minter = IdentityMinter(configured.identity_secret, audience=configured.trust_domain)
    http_metrics = None if registry is None else HttpMetrics(registry)
    own_metrics = None if registry is None else GatewayMetrics(registry)
    refused = None if own_metrics is None else own_metrics.refused
    quotas: list[Quota] = []

    def counted(rate: str | None, name: str) -> tuple[Quota, ...]:
        made = () if rate is None or configured.limits_are_off else parse(rate, name)
        quotas.extend(made)
        return made

    by_address = counted(configured.address_rate_limit, "address")
    by_failure = counted(configured.auth_failure_rate_limit, "auth-failures")
    by_user = counted(configured.rate_limit, "user")
    balances = {route.prefix: _balance(configured, route, own_metrics, traces) for route in configured.routes}

    def door(route: Route) -> ASGIApp:
        """What stands before a service: who is it, may they, how often."""
        own = counted(route.rate_limit, route.name)
        balance, read = balances[route.prefix], tasks_path if route.tasks else plain_path(route.stripped)
        if route.public:
            service: ASGIApp = Forward(
                balance, minter, read, frozenset({401, 403}), configured.max_user_concurrency
            )
            return RateLimits(service, own, limits.address, announce=True, refused=refused)
        refusals: frozenset[int] = frozenset() if route.tasks else frozenset({403})
        service = Forward(balance, minter, read, refusals, configured.max_user_concurrency)
        if route.claims or route.scope:
            service = Claims(service, route.claims, route.scope)
        service = RateLimits(service, [*by_user, *own], limits.user, announce=True, refused=refused)
        if exchange is None:
            service = Authenticate(service, verifier.authenticate)
        else:
            service = Authenticate(service, authenticate_scope=exchange.authenticate_scope)
        return FailureLimits(service, by_failure, refused=refused)

    overload = Overload(
        Services({route.prefix: door(route) for route in configured.routes}),
        max_concurrency=configured.max_concurrency,
        max_waiting=configured.max_waiting,
        max_wait_s=configured.max_wait,
    )
    sharing = None
    if configured.redis_url is not None:
        sharing = Sharing(configured.redis_url.get_secret_value(), quotas)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if traces is not None:
                stack.push_async_callback(traces.aclose)  # last of all
            for balance in balances.values():
                stack.push_async_callback(balance.aclose)
            if (kept := seeds.file()) is not None:
                for keys in verifier.key_sets:
                    seeds.sow(keys, kept)
            await stack.enter_async_context(verifier)
            if kept is not None:
                for keys in verifier.key_sets:
                    _run(stack, seeds.keep(keys, kept))
            if exchange is not None:
                await stack.enter_async_context(exchange)
            if sharing is not None:
                await stack.enter_async_context(sharing)
            if registry is not None and http_metrics is not None and own_metrics is not None:
                upstreams = tuple(balances.values())
                show = partial(own_metrics.show, verifier.key_sets, upstreams, overload, sharing)
                _run(stack, watch(registry, http_metrics.refresh, show))
            yield

    async def missing() -> list[str]:
        parts = [] if verifier.is_ready else ["identity provider"]
        watched = [balances[route.prefix] for route in configured.routes if route.health is not None]
        ready = await asyncio.gather(*(balance.is_ready() for balance in watched))
        return [*parts, "tasks service"] if watched and not any(ready) else parts

    sources = [
        openapi.Source(
            route.name,
            balances[route.prefix].request,
            path=route.openapi,
            prefix=route.prefix,
            mount=route.stripped,
            is_public=route.public,
        )
        for route in configured.routes
        if route.openapi is not None
    ]
    own = FastAPI(
        title="Todo API",
        openapi_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        middleware=[Middleware(Problems)],  # before the framework answers 500 in its own way
        routes=[*health.routes(missing), *openapi.routes(openapi.Document(sources, minter))],
    )
    problems.install(own)
    # Around the framework and not within it, since its own layers would cost every forwarded request as well.
    app: ASGIApp = Dispatch(own, routes=configured.routes, services=overload)
    app = RateLimits(app, by_address, limits.address, exempt=HEALTH, refused=refused)
    app = Edge(app, _sizes(configured), _body_bytes_of(configured))
    app = ClientAddress(app, configured.proxies)
    app = Cors(Problems(app), configured.cors_origins)
    route_of = templates.of(configured.routes)
    if traces is not None:
        app = Traces(app, traces, route_of=route_of)
    return Requests(
        app,
        route_of=route_of,
        access=access_line,
        observer=http_metrics,
        timing=configured.env != "production",
    )


def from_environment() -> ASGIApp:
    """For a server that makes the application itself, once in each of its processes."""
    configured = settings.load(GatewaySettings)
    is_production = configured.env == "production"
    lines = logs.configure(configured.log_level, as_json=is_production)
    return create_app(
        configured,
        access_line=access.JsonLines(lines.write) if is_production else access.logged,
        registry=None if configured.gateway_metrics_port is None else REGISTRY,
        traces=tracing.from_environment("todo-gateway", is_edge=True),
    )


def _balance(
    configured: GatewaySettings, route: Route, metrics: GatewayMetrics | None, traces: Tracing | None
) -> Balance:
    """A service's addresses, with the route's own times where it has them."""
    timeout_s = route.timeout or configured.upstream_timeout
    pool = Pool if traces is None else partial(TracedPool, tracing=traces)
    return Balance(
        [
            pool(address, max_connections=configured.max_upstream_connections, head_timeout_s=timeout_s)
            for address in route.upstream
        ],
        timeout_s=timeout_s,
        try_timeout_s=route.try_timeout or configured.upstream_try_timeout,
        health_path=None if route.health is None else route.health.encode(),
        idempotency_keys=route.idempotency_keys,
        on_try=None if metrics is None else metrics.tried,
    )


def _sizes(configured: GatewaySettings) -> Limits:
    return Limits(
        configured.max_target_bytes,
        configured.max_headers,
        configured.max_header_bytes,
        configured.max_body_bytes,
        configured.body_timeout,
        configured.min_body_rate,
    )


def _body_bytes_of(configured: GatewaySettings) -> Callable[[bytes], int] | None:
    """The largest body by path, where some route has a limit of its own."""
    if all(route.max_body_bytes is None for route in configured.routes):
        return None

    def most(raw_path: bytes) -> int:
        path = paths.read(raw_path)
        route = None if path is None else match(configured.routes, path.normal)
        own = None if route is None else route.max_body_bytes
        return configured.max_body_bytes if own is None else own

    return most


def _run(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Runs beside the service until the stack ends."""
    task = asyncio.ensure_future(work)
    stack.callback(task.cancel)
