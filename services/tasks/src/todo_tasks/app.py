"""Composes the service: middleware in order, routes, lifespan.

A request walks down: Requests (id, access line, metrics) → Traces (where there are any) → Problems (errors
become answers) → Authenticate (the gateway's proof) → HeadAsGet → TrailingSlash → LeanRoutes; what is none of
theirs goes on to the framework.

Task: T-020 · Spec: plan.md#tasks-api
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from prometheus_client import REGISTRY, CollectorRegistry, Gauge
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from todo_auth.asgi import Authenticate
from todo_auth.identity import IdentityVerifier
from todo_service import access, health, logs, problems, settings, tracing
from todo_service.metrics import HttpMetrics, watch
from todo_service.requests import HEALTH, Requests, request_id
from todo_service.tracing.server import Traces
from todo_service.tracing.spans import Tracing
from todo_tasks import document as document_of
from todo_tasks import input_models
from todo_tasks.categories.routes import router as categories
from todo_tasks.cursors import cursor_keys
from todo_tasks.database import Database
from todo_tasks.head import HeadAsGet
from todo_tasks.lean import LeanRoutes
from todo_tasks.purge import keep_purging
from todo_tasks.settings import TasksSettings
from todo_tasks.tasks.routes import router as tasks


def create_app(
    given: TasksSettings,
    *,
    access_line: access.AccessLine = access.logged,
    registry: CollectorRegistry | None = None,
    traces: Tracing | None = None,
) -> "TasksApp":
    """The ASGI application. Everything but the health paths needs the gateway's token.

    `access_line`: writes the access line. `registry`: where the metrics are kept; None: nothing is measured.
    `traces`: what spans are made with; None: there are none.
    """
    database = Database(given, None if traces is None else traces.statement)
    http_metrics = None if registry is None else HttpMetrics(registry)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await database.open()
        purging = asyncio.ensure_future(keep_purging(database, given.trash_days, given.idempotency_hours))
        watching = None
        if registry is not None and http_metrics is not None:
            watching = asyncio.ensure_future(watch(registry, http_metrics.refresh, shown(database, registry)))
        try:
            yield
        finally:
            purging.cancel()
            await asyncio.gather(purging, return_exceptions=True)
            if watching is not None:
                watching.cancel()
            await database.close()
            if traces is not None:
                await traces.aclose()

    app = TasksApp(
        title="Todo tasks",
        version=version("todo-tasks"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=[Middleware(problems.Problems)],  # before the framework answers 500 in its own way
    )
    app.state.database = database
    app.state.max_body_bytes = given.max_body_bytes
    app.state.require_if_match = given.require_if_match
    app.state.profile = given.wire_profile
    app.state.models = input_models.of(given.wire_profile)
    app.state.cursor_keys = cursor_keys(given.identity_secret)
    app.routes.extend([*tasks.routes, *categories.routes, *health.routes(database.missing)])
    problems.install(app)
    app.add_exception_handler(405, _method_not_allowed)

    verifier = IdentityVerifier(given.identity_secret, audience=given.trust_domain)
    # Around the framework and not within it, since its own layers cost as much as a route.
    layers: ASGIApp = LeanRoutes(app.framework, app, app.routes)
    layers = HeadAsGet(TrailingSlash(layers))
    layers = Authenticate(layers, verifier.authenticate, exempt=HEALTH)
    layers = problems.Problems(layers)
    if traces is not None:
        layers = Traces(layers, traces)
    app.layers = Requests(layers, access=access_line, observer=http_metrics)
    return app


def from_environment() -> FastAPI:
    """For a server that makes the application itself, once in each of its processes."""
    given = settings.load(TasksSettings)
    is_production = given.env == "production"
    lines = logs.configure(given.log_level, as_json=is_production)
    return create_app(
        given,
        access_line=access.JsonLines(lines.write) if is_production else access.logged,
        registry=None if given.tasks_metrics_port is None else REGISTRY,
        traces=tracing.from_environment("todo-tasks"),
    )


def shown(database: Database, registry: CollectorRegistry) -> Callable[[], None]:
    """What shows the pools' states in metrics, each time it is called."""
    gauge = Gauge(
        "database_pool_connections",
        "Connections of a pool, those of them that are free, and requests that wait for one.",
        ("pool", "state"),
        registry=registry,
        multiprocess_mode="livesum",
    )

    def show() -> None:
        for pool, state in database.pool_state().items():
            gauge.labels(pool, "size").set(state.size)
            gauge.labels(pool, "idle").set(state.idle)
            gauge.labels(pool, "waiting").set(state.waiting)

    return show


class TasksApp(FastAPI):
    """FastAPI within `layers`, whose document also has the bodies that routes read themselves."""

    layers: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Everything comes in by the outermost layer."""
        await self.layers(scope, receive, send)

    async def framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the framework itself does."""
        await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The document; the schemas of bodies are added to those that FastAPI finds by itself."""
        if self.openapi_schema is None:
            document = super().openapi()
            template = "#/components/schemas/{model}"
            _, bodies = models_json_schema(
                [(body, "validation") for body in input_models.BODIES], ref_template=template
            )
            document.setdefault("components", {}).setdefault("schemas", {}).update(bodies["$defs"])
            document_of.follow(document, self.state.profile)
            self.openapi_schema = document
        return self.openapi_schema


class TrailingSlash:
    """Pure ASGI middleware: `/api/tasks/` is `/api/tasks`, without a redirect, which would lose the body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, its path without one trailing slash."""
        if scope["type"] == "http" and len(scope["path"]) > 1 and scope["path"].endswith("/"):
            # In place: the route that is found is asked for outside of here.
            scope["path"] = scope["path"][:-1]
        await self.app(scope, receive, send)


async def _method_not_allowed(request: Request, error: Exception) -> Response:
    """405 with every method of the address in Allow; the framework names those of the first route alone."""
    assert isinstance(error, HTTPException)
    allowed: set[str] = set()
    for route in (*request.app.routes, *tasks.routes, *categories.routes):
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            allowed |= route.methods or set()
    if "GET" in allowed:
        allowed.add("HEAD")
    problem = problems.Problem(
        405, "This address does not answer to that method.", headers={"Allow": ", ".join(sorted(allowed))}
    )
    return problems.answer(problem, request_id(request.scope))
