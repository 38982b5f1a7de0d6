"""One OpenAPI document for everything behind the gateway, and a page that shows it.

Task: T-027 · Spec: plan.md#openapi
"""

import json
from importlib.resources import files
from typing import Any

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from todo_auth import IdentityMinter
from todo_auth.identity import TXN_TOKEN_HEADER, USER_ID_HEADER
from todo_service.problems import Problem

from todo_gateway.forward import problem_of
from todo_gateway.upstream import Pool, UpstreamError

# The gateway asks for the document in its own name; no user's id has a space-free form like it by chance.
_OWN_ID = "todo-gateway"
_MAX_DOCUMENT_BYTES = 4 * 1024 * 1024

_ERRORS = {
    "401": "No token, or one that is not valid here.",
    "403": "The user in the path is not the token's.",
    "502": "The service behind gave no sound answer.",
    "503": "Not reachable at the moment; see Retry-After.",
    "504": "The service behind did not answer in time.",
}

# What the framework says of its own 422, which nobody here answers with.
_FRAMEWORK_ERRORS = ("HTTPValidationError", "ValidationError")


class Document:
    """The merged document, made at the first call that finds the service behind, then kept."""

    def __init__(self, pool: Pool, minter: IdentityMinter) -> None:
        self._pool = pool
        self._minter = minter
        self._document: dict[str, Any] | None = None

    async def read(self) -> dict[str, Any]:
        """The document. Raises Problem (502, 503, 504) while the service behind does not give its own."""
        if self._document is None:
            self._document = for_the_public(await self._fetch())
        return self._document

    async def _fetch(self) -> dict[str, Any]:
        headers = [
            (USER_ID_HEADER, _OWN_ID.encode()),
            (TXN_TOKEN_HEADER, self._minter.mint(_OWN_ID).encode()),
        ]
        try:
            response = await self._pool.request(b"GET", b"/openapi.json", headers, None)
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
            raise Problem(502, "The service behind the gateway did not give its description.")
        return document


def for_the_public(document: dict[str, Any]) -> dict[str, Any]:
    """A service's document as the gateway's clients need it: bearer tokens, and the answers that the gateway
    itself gives.
    """
    components = document.setdefault("components", {})
    components["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The token of Better Auth's `/api/auth/token`.",
        }
    }
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = _problem_schema()
    for name in _FRAMEWORK_ERRORS:
        schemas.pop(name, None)
    document["security"] = [{"bearer": []}]
    document["servers"] = [{"url": "/"}]
    document["info"] = {**document.get("info", {}), "title": "Todo API"}
    for path in document["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and "responses" in operation:
                if "422" in operation["responses"]:
                    operation["responses"]["422"] = _problem("What is sent is not valid; see errors.")
                for status, description in _ERRORS.items():
                    operation["responses"].setdefault(status, _problem(description))
    return document


def routes(document: Document) -> list[BaseRoute]:
    """`/openapi.json`, and `/docs` with its files from the installed package, so that no other server is
    trusted.
    """

    async def openapi_json(_: Request) -> Response:
        return JSONResponse(await document.read())

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


async def _read_all(stream: Any) -> bytes:
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
