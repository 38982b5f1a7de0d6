"""RFC 9457 answers: every error of both services gets its body here and nowhere else.

Task: T-012 · Spec: plan.md#problem-details
"""

import http
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from todo_service.requests import request_id

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a request. `pointer` (RFC 6901) names a member of the body, `parameter` one of the
    query.
    """

    detail: str
    pointer: str | None = None
    parameter: str | None = None

    def as_dict(self) -> dict[str, str]:
        """The member of `errors`, without what is not set."""
        members = {"pointer": self.pointer, "parameter": self.parameter, "detail": self.detail}
        return {name: value for name, value in members.items() if value is not None}


@runtime_checkable
class Answerable(Protocol):
    """What an exception needs to become an answer. `Problem` has it, and so has every
    `todo_auth.AuthError`.
    """

    @property
    def status(self) -> int: ...
    @property
    def code(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class Problem(Exception):
    """An answer of RFC 9457, raised where the error is noticed.

    `detail`: one plain sentence for a person. `code`: stable, for programs; by default the status's name
    (`not_found`). `errors`: for 422.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code or title(status).lower().replace(" ", "_").replace("-", "_")
        self.errors = tuple(errors)
        self.headers: Mapping[str, str] = headers or {}


def title(status: int) -> str:
    """The status's name, as RFC 9110 has it."""
    names = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}
    return names.get(status) or http.HTTPStatus(status).phrase


def answer(error: Answerable, instance: str) -> Response:
    """The problem document of an error. `instance`: the request id."""
    document: dict[str, object] = {
        "type": "about:blank",
        "title": title(error.status),
        "status": error.status,
        "detail": error.detail,
        "instance": instance,
        "message": error.detail,
        "error": {"code": error.code, "message": error.detail},
    }
    if isinstance(error, Problem) and error.errors:
        document["errors"] = [field.as_dict() for field in error.errors]
    # Escaped, so that a lone surrogate of the client's cannot break the answer's encoding.
    body = json.dumps(document, separators=(",", ":")).encode("ascii")
    return Response(body, error.status, dict(error.headers), MEDIA_TYPE)


class Problems:
    """Pure ASGI middleware: turns the errors that rise through it into answers. What nobody foresaw is logged
    and becomes a bare 500.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Once an answer has begun, an error can only be passed on: the server ends the connection, so that
        nobody takes half an answer for a whole one.
        """
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except Exception as error:
            if started:
                raise
            await self._answer(error, scope)(scope, receive, send)

    def _answer(self, error: Exception, scope: Scope) -> Response:
        instance = request_id(scope)
        if isinstance(error, Answerable):
            _log.log(
                logging.ERROR if error.status >= 500 else logging.INFO,
                "%s: %s",
                error.code,
                error,
                extra={"request_id": instance, "code": error.code},
            )
            return answer(error, instance)
        _log.error("unforeseen error", exc_info=error, extra={"request_id": instance})
        return answer(Problem(500, "Something went wrong on our side."), instance)


def install(app: FastAPI) -> None:
    """Gives the framework's own errors (no route, wrong method, validation) the same answers as the rest."""
    app.add_exception_handler(HTTPException, _framework_error)
    app.add_exception_handler(RequestValidationError, _validation_error)


async def _framework_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {
        404: "There is nothing at this address.",
        405: "This address does not answer to that method.",
    }
    detail = sentences.get(error.status_code) or str(error.detail)
    return answer(Problem(error.status_code, detail, headers=error.headers), request_id(request.scope))


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = [_field_error(item) for item in error.errors()]
    problem = Problem(422, "The request is not valid: see errors.", code="validation_failed", errors=fields)
    return answer(problem, request_id(request.scope))


def _field_error(item: Mapping[str, object]) -> FieldError:
    """One of pydantic's errors; its `input` is left out, since it is the client's and may be large."""
    location = item.get("loc")
    path = [str(part) for part in location] if isinstance(location, tuple | list) else []
    detail = str(item.get("msg", "not valid"))
    if path[:1] == ["query"] or path[:1] == ["path"]:
        return FieldError(detail, parameter=".".join(path[1:]))
    escaped = [part.replace("~", "~0").replace("/", "~1") for part in path[1:]]
    return FieldError(detail, pointer="".join(f"/{part}" for part in escaped))
