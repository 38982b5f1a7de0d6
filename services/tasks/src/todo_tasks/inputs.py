"""From a request's body or query to a model of it, or to the Problem that says what is wrong.

Task: T-020 · Spec: plan.md#tasks-api
"""

import difflib
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import lru_cache
from typing import Annotated, ClassVar, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import Depends, Path, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from todo_service.problems import FieldError, Problem
from todo_tasks import strict_json

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)

MERGE_PATCH = "application/merge-patch+json"
JSON = "application/json"
_REMEMBERED_BYTES = 128
MAX_ERRORS = 20
"""How many errors one answer names; a hostile body could hold any number."""


class Body(BaseModel):
    """The base of what a client sends: exact types, no unknown members.

    `read_only`: members of the answer that a client may send back; they are ignored.
    `other_names`: what members may also be called, each with its name here.
    """

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    read_only: ClassVar[frozenset[str]] = frozenset()
    other_names: ClassVar[Mapping[str, str]] = {}


class Query(BaseModel):
    """The base of query parameters: texts, read leniently; no unknown names. Unchangeable, for one that was
    read is used again.

    `other_names`: what parameters may also be called, each with its name here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    other_names: ClassVar[Mapping[str, str]] = {}


def other_names(table: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """For `other_names`, from a table that is easier to read: each name here with what else it is called."""
    return {other: name for name, others in table.items() for other in others}


def _whole(value: object) -> object:
    """Before a query's int: digits only; `int` would read spaces, signs and underscores, too."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) <= 10):
        raise ValueError("must be a whole number")
    return value


def _flag(value: object) -> object:
    """Before a query's bool: `true` or `false`."""
    if value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value == "true"


Whole = Annotated[int, BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]

B = TypeVar("B", bound=Body)
Q = TypeVar("Q", bound=Query)
M = TypeVar("M", bound=BaseModel)


def body(model: type[B]) -> Callable[[Request], Awaitable[B]]:
    """A dependency that reads the body as `model`.

    Raises Problem 400 for no body or no JSON, 413 for too much of it, 415 for another media type, 422 for
    what does not fit.
    """

    async def read(request: Request) -> B:
        raw = await _read(request)
        if not raw:
            raise Problem(400, "A JSON body is needed here, and the request has none.", code="body_missing")
        return _as_model(request, raw, _in_force(request, model))

    return read


def optional_body(model: type[B]) -> Callable[[Request], Awaitable[B | None]]:
    """As `body`, but None where the request has no body."""

    async def read(request: Request) -> B | None:
        raw = await _read(request)
        return _as_model(request, raw, _in_force(request, model)) if raw else None

    return read


def query(model: type[Q]) -> Callable[[Request], Awaitable[Q]]:
    """A dependency that reads the query as `model`; an empty value is none. Raises Problem 422."""

    async def read(request: Request) -> Q:
        return read_query(request.scope["query_string"], _in_force(request, model))

    return read


def read_query(raw: bytes, model: type[Q]) -> Q:
    """The query string as `model`. Raises Problem 422 for what does not fit, is unknown or given twice."""
    return _remembered(raw, model) if len(raw) <= _REMEMBERED_BYTES else _read_query(raw, model)


def _read_query(raw: bytes, model: type[Q]) -> Q:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise Problem(422, "The query is not percent-encoded UTF-8.", code="invalid_query") from None
    values: dict[str, str] = {}
    for written, value in pairs:
        if "\0" in value:
            raise _invalid([FieldError("holds NUL", parameter=_shown(written))])
        if not value:
            continue
        name = model.other_names.get(written, written)
        if name in values:
            raise _invalid([FieldError("is given twice", parameter=_shown(written))])
        values[name] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        details = _details(error, model, [written for written, _ in pairs])
        raise _invalid([FieldError(detail, parameter=".".join(path)) for path, detail in details]) from None


# A front end asks with the same few queries again and again.
_remembered = lru_cache(maxsize=512)(_read_query)


def not_found() -> Problem:
    """404: no such id, or not yours, or not an id at all; the same bytes for each."""
    return Problem(404, "There is nothing with this id.")


async def path_id(id: Annotated[str, Path(json_schema_extra={"format": "uuid"})]) -> UUID:
    """The id in the path, in RFC 9562's canonical form and no other that `UUID` reads. Raises Problem 404."""
    value = canonical_uuid(id)
    if value is None:
        raise not_found()
    return value


RowId = Annotated[UUID, Depends(path_id)]


def canonical_uuid(text: str) -> UUID | None:
    """A UUID of 36 characters, in any case; None for anything else."""
    return UUID(text) if _UUID.fullmatch(text) else None


def _in_force(request: Request, model: type[M]) -> type[M]:
    """The model that takes this one's place under the wire profile, or itself."""
    found: type[M] = request.app.state.models.get(model, model)
    return found


async def _read(request: Request) -> bytes:
    limit: int = request.app.state.max_body_bytes
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > limit:
            raise Problem(413, f"The body has more than {limit} bytes.", code="body_too_large")
    return bytes(raw)


def _as_model(request: Request, raw: bytes, model: type[B]) -> B:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    accepted = (JSON, MERGE_PATCH) if request.method == "PATCH" else (JSON,)
    if media_type not in accepted:
        detail = f"The body must be {' or '.join(accepted)}."
        raise Problem(
            415, detail, headers={"Accept-Patch" if len(accepted) > 1 else "Accept": ", ".join(accepted)}
        )
    value = strict_json.parse(raw)
    if not isinstance(value, dict):
        raise _invalid([FieldError("must be a JSON object", pointer="")])
    members: dict[str, object] = {}
    for written, item in value.items():
        name = model.other_names.get(written, written)
        if name in model.read_only:
            continue
        if name in members and members[name] != item:
            detail = "says otherwise than another name of the same member"
            raise _invalid([FieldError(detail, pointer=_pointer([written]))])
        members[name] = item
    try:
        return model.model_validate(members)
    except ValidationError as error:
        details = _details(error, model, value)
        raise _invalid([FieldError(detail, pointer=_pointer(path)) for path, detail in details]) from None


def _details(
    error: ValidationError, model: type[Body] | type[Query], written: Iterable[str]
) -> list[tuple[list[str], str]]:
    """Where (as the client has `written` it) and what, for each of pydantic's errors, in our words where its
    own speak of Python.
    """
    as_written = {model.other_names.get(name, name): name for name in written}
    known = [*model.model_fields, *model.other_names]
    details = []
    for item in error.errors(include_url=False, include_input=False)[:MAX_ERRORS]:
        first, *inner = [str(part) for part in item["loc"]]
        path = [_shown(part) for part in (as_written.get(first, first), *inner)]
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(path[-1], known, n=1)
            detail = f"is not known here; did you mean {near[0]!r}?" if near else "is not known here"
        elif item["type"] == "missing":
            detail = "is needed"
        else:
            message = item["msg"].removeprefix("Value error, ")
            for python, plain in _PLAIN.items():
                message = message.replace(python, plain)
            detail = message
        details.append((path, detail))
    return details


_PLAIN = {
    "Input should be": "must be",
    "String should have": "must have",
    "List should have": "must have",
    "a valid string": "text",
    "a valid list": "a list",
    "a valid boolean": "true or false",
    "a valid number": "a number",
}


def _invalid(errors: list[FieldError]) -> Problem:
    first = errors[0]
    name = first.parameter or (first.pointer or "").removeprefix("/") or "The body"
    more = f" (and {len(errors) - 1} more: see errors)" if len(errors) > 1 else ""
    return Problem(422, f"{name} {first.detail}{more}.", code="validation_failed", errors=errors)


def _pointer(path: list[str]) -> str:
    """RFC 6901."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def _shown(name: str) -> str:
    """A client's name, cut to what a person can read."""
    return name if len(name) <= 60 else f"{name[:60]}…"
