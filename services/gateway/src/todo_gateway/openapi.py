"""One OpenAPI document for everything behind the gateway, and a page that shows it.

Task: T-027 · Spec: plan.md#openapi
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from todo_auth import IdentityMinter
from todo_auth.identity import TXN_TOKEN_HEADER, USER_ID_HEADER
from todo_service.problems import Problem

from todo_gateway.forward import problem_of
from todo_gateway.upstream import Response as Answer
from todo_gateway.upstream import UpstreamError

# The gateway asks for the document in its own name; no user's id has a space-free form like it by chance.
_OWN_ID = "todo-gateway"
_MAX_DOCUMENT_BYTES = 4 * 1024 * 1024

KEPT_S = 300
"""For how long a service's document is shown before it is asked for again: it may have been upgraded."""

# What the gateway answers before or instead of the service.
_ERRORS = {
    "400": "The request can be read in more than one way, or not at all.",
    "401": "No token, or one that is not valid here.",
    "403": "Not allowed with this token.",
    "408": "The rest of the request did not come in time.",
    "413": "The body is too large.",
    "414": "The path and query are too long.",
    "429": "Too many requests; see Retry-After.",
    "431": "The header fields are too many or too large.",
    "502": "The service behind gave no sound answer.",
    "503": "Not reachable at the moment; see Retry-After.",
    "504": "The service behind did not answer in time.",
}
_NEEDS_A_TOKEN = frozenset({"401", "403"})

# What the framework says of its own 422, which nobody here answers with.
_FRAMEWORK_ERRORS = ("HTTPValidationError", "ValidationError")


@dataclass(frozen=True, slots=True)
class Source:
    """A service that describes itself.

    `request`: of its upstream. `path`: where its document is. `prefix`: what a path must lie under to be
    reachable through the gateway. `mount`: what the gateway has before the service's own paths. `is_public`:
    it is reached without a token.
    """

    name: str
    request: Callable[..., Awaitable[Answer]]
    path: str = "/openapi.json"
    prefix: str = "/api"
    mount: str = ""
    is_public: bool = False


class Document:
    """The merged document. Each service's own is fetched at the first call that finds it, and again after
    `KEPT_S`; a service that is away is shown as it was, or not at all.
    """

    def __init__(
        self, sources: Sequence[Source], minter: IdentityMinter, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._sources = sources
        self._minter = minter
        self._now = now
        self._parts: dict[str, tuple[dict[str, Any], float]] = {}
        self._encoded = b""
        self._refresh: asyncio.Task[None] | None = None

    async def read(self) -> bytes:
        """The document as JSON. Raises Problem (502, 503, 504) while no service behind gives its own."""
        if any(self._is_stale(source) for source in self._sources):
            # Shared by all who ask meanwhile: a service that is slow is not asked by each of them.
            if self._refresh is None:
                self._refresh = asyncio.ensure_future(self._fetch_stale())
            await asyncio.shield(self._refresh)
        return self._encoded

    def _is_stale(self, source: Source) -> bool:
        part = self._parts.get(source.name)
        return part is None or self._now() >= part[1]

    async def _fetch_stale(self) -> None:
        try:
            stale = [source for source in self._sources if self._is_stale(source)]
            outcomes = await asyncio.gather(*map(self._fetch, stale), return_exceptions=True)
            problems = []
            for source, outcome in zip(stale, outcomes, strict=True):
                if isinstance(outcome, dict):
                    self._parts[source.name] = outcome, self._now() + KEPT_S
                elif isinstance(outcome, Problem):
                    problems.append(outcome)
                else:
                    raise outcome
            if not self._parts:
                raise problems[0]
            known = [source for source in self._sources if source.name in self._parts]
            self._encoded = json.dumps(
                merge([(source, self._parts[source.name][0]) for source in known])
            ).encode()
        finally:
            self._refresh = None

    async def _fetch(self, source: Source) -> dict[str, Any]:
        headers = [
            (USER_ID_HEADER, _OWN_ID.encode()),
            (TXN_TOKEN_HEADER, self._minter.mint(_OWN_ID).encode()),
        ]
        try:
            response = await source.request(
                b"GET", source.path.encode(), [] if source.is_public else headers, None
            )
            try:
                body = response.body if response.body is not None else await _read_all(response.stream())
            finally:
                await response.aclose()
        except UpstreamError as error:
            raise problem_of(error) from error
        try:
            document = json.loads(body) if response.status == 200 else None
        except ValueError:
            document = None
        if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
            raise _undescribed()
        return document


def _undescribed() -> Problem:
    return Problem(502, "The service behind the gateway did not give its description.")


def merge(parts: Sequence[tuple[Source, dict[str, Any]]]) -> dict[str, Any]:
    """Services' documents as one, as the gateway's clients need it: bearer tokens, and the answers that the
    gateway itself gives. Components of one name that say different things are told apart by their service's.
    """
    merged: dict[str, Any] = {
        "openapi": parts[0][1].get("openapi", "3.1.0"),
        "info": {**parts[0][1].get("info", {}), "title": "Todo API" if len(parts) == 1 else "API"},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": {},
        "components": {},
    }
    components = merged["components"]
    operations: set[str] = set()
    for source, document in parts:
        document = _told_apart(source, document, components)
        for section, members in document.get("components", {}).items():
            if section != "securitySchemes" and isinstance(members, dict):
                components.setdefault(section, {}).update(members)
        for path, item in document["paths"].items():
            public_path = source.mount + path
            if not (public_path == source.prefix or public_path.startswith(source.prefix.rstrip("/") + "/")):
                continue
            for operation in item.values():
                if isinstance(operation, dict) and "responses" in operation:
                    _complete(operation, source, operations)
            merged["paths"].setdefault(public_path, item)
    schemas = components.setdefault("schemas", {})
    for name in _FRAMEWORK_ERRORS:
        schemas.pop(name, None)
    schemas["Problem"] = _problem_schema()
    components["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The token of Better Auth's `/api/auth/token`.",
        }
    }
    return merged


def _complete(operation: dict[str, Any], source: Source, seen: set[str]) -> None:
    """An operation with the gateway's answers and credentials, and an id that no other has."""
    responses = operation["responses"]
    if "422" in responses:
        responses["422"] = _problem("What is sent is not valid; see errors.")
    for status, description in _ERRORS.items():
        if not (source.is_public and status in _NEEDS_A_TOKEN):
            responses.setdefault(status, _problem(description))
    operation.pop("security", None)
    if source.is_public:
        operation["security"] = []
    if operation_id := operation.get("operationId"):
        if operation_id in seen:
            operation["operationId"] = operation_id = f"{source.name}-{operation_id}"
        seen.add(operation_id)


def _told_apart(source: Source, document: dict[str, Any], taken: dict[str, Any]) -> dict[str, Any]:
    """The document with another name for each component whose name is taken by one that differs."""
    renamed = {
        f"#/components/{section}/{name}": f"#/components/{section}/{source.name}-{name}"
        for section, members in document.get("components", {}).items()
        if isinstance(members, dict)
        for name, member in members.items()
        if name in taken.get(section, {}) and taken[section][name] != member
    }
    copied: dict[str, Any] = _with_references(document, renamed)
    for old, new in renamed.items():
        section, _, name = old.removeprefix("#/components/").partition("/")
        copied["components"][section][new.rpartition("/")[2]] = copied["components"][section].pop(name)
    return copied


def _with_references(value: Any, renamed: dict[str, str]) -> Any:
    """A deep copy in which references follow the new names."""
    if isinstance(value, dict):
        return {
            name: (
                renamed.get(item, item)
                if name == "$ref" and isinstance(item, str)
                else _with_references(item, renamed)
            )
            for name, item in value.items()
        }
    return [_with_references(item, renamed) for item in value] if isinstance(value, list) else value


def routes(document: Document) -> list[BaseRoute]:
    """`/openapi.json`, and `/docs` with its files from the installed package, so that no other server is
    trusted.
    """

    async def openapi_json(_: Request) -> Response:
        return Response(await document.read(), media_type="application/json")

    async def docs(_: Request) -> Response:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Todo API",
            swagger_js_url="/docs/static/swagger-ui-bundle.js",
            swagger_css_url="/docs/static/swagger-ui.css",
            swagger_favicon_url="/docs/static/favicon.png",
        )

    static = StaticFiles(directory=str(files("fastapi_offline") / "static"))
    return [
        Route("/openapi.json", openapi_json, methods=["GET"]),
        Route("/docs", docs, methods=["GET"]),
        Mount("/docs/static", static),
    ]


async def _read_all(stream: AsyncIterator[bytes]) -> bytes:
    body = bytearray()
    async for chunk in stream:
        body += chunk
        if len(body) > _MAX_DOCUMENT_BYTES:
            raise Problem(502, "The service behind the gateway gave too large a description.")
    return bytes(body)


def _problem(description: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": description, "content": content}


def _problem_schema() -> dict[str, Any]:
    """RFC 9457, with the members that front ends read."""
    text = {"type": "string"}
    field = {
        "type": "object",
        "properties": {"detail": text, "pointer": text, "parameter": text},
        "required": ["detail"],
    }
    return {
        "type": "object",
        "title": "Problem",
        "required": ["type", "title", "status", "detail", "instance", "message", "error"],
        "properties": {
            "type": text,
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "instance": {**text, "description": "The request's id, as in X-Request-Id."},
            "message": {**text, "description": "The same as detail."},
            "error": {"type": "object", "properties": {"code": text, "message": text}},
            "errors": {"type": "array", "items": field},
        },
    }
