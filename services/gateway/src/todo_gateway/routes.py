"""The routes file: what else stands behind the gateway, and how it may be reached.

    [[route]]
    prefix = "/billing"                       # the path, and everything below it
    upstream = ["http://billing:9000"]        # one address or several of the same service
    scope = "billing:read"                    # claims that the token must have
    claims = { role = ["owner", "accountant"] }
    rate_limit = "60/minute"                  # per user, beside the gateway's own limits

    [[route]]
    prefix = "/hooks"
    upstream = "http://hooks:9000"
    public = true                             # no token is asked for, and none is passed on

Task: T-047 · Spec: plan.md#routes-file
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from todo_gateway import quotas
from todo_gateway import paths

RESERVED = ("/healthz", "/readyz", "/openapi.json", "/docs")
"""What the gateway answers itself."""


class RoutesError(ValueError):
    """The file does not say what the gateway needs. `problems`: one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


def address(value: str) -> str:
    """An upstream's address: scheme, host and port, no path. Raises ValueError."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("must be one or more http:// or https:// addresses without a user")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must be one or more http:// or https:// addresses without a path")
    return value.rstrip("/")


def _rate(value: str) -> str:
    quotas.parse(value, "")
    return value


def _path(value: str) -> str:
    path = paths.read(value.encode())
    if value != "/" and (path is None or value.endswith("/") or path.normal != value):
        raise ValueError("must be a plain path like /billing, without a slash at its end")
    return value


def _prefix(value: str) -> str:
    _path(value)
    if any(value == own or value.startswith(f"{own}/") for own in RESERVED):
        raise ValueError("is a path that the gateway answers itself")
    return value


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _words(value: Any) -> Any:
    return value.split() if isinstance(value, str) else value


def _claims(value: Any, path: tuple[str, ...] = ()) -> Any:
    """Nested tables as paths; a claim's one accepted value may stand without a list."""
    if not isinstance(value, Mapping):
        return value
    found: dict[tuple[str, ...], Any] = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            found |= _claims(item, (*path, name))
        else:
            found[*path, name] = item if isinstance(item, list) else [item]
    return found


Addresses = Annotated[
    tuple[Annotated[str, AfterValidator(address)], ...], BeforeValidator(_several), Field(min_length=1)
]


class Route(BaseModel):
    """One prefix and the service behind it. Times in seconds, sizes in bytes; None: as the gateway has it.

    `claims`: each named claim (a nested table leads into objects) must have one of the values, or hold one in
    its list. `scope`: words that the `scope` claim must all have. `tasks`: it is the tasks service, whose
    paths have many spellings. `strip_prefix`: the service is told the path without the prefix. `rate_limit`:
    of a user, or of an address where it is public. `openapi`: the path of the service's own document, merged
    into the gateway's; absent, it is not described. `health`: a path that answers below 500 while an address
    can serve; absent, requests themselves are the trials. `idempotency_keys`: the service honours
    `Idempotency-Key`, so that a POST with one may be sent again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: Annotated[str, AfterValidator(_prefix)]
    upstream: Addresses
    public: bool = False
    tasks: bool = False
    strip_prefix: bool = False
    idempotency_keys: bool = False
    claims: Annotated[dict[tuple[str, ...], tuple[str | int | bool, ...]], BeforeValidator(_claims)] = {}
    scope: Annotated[tuple[str, ...], BeforeValidator(_words)] = ()
    rate_limit: Annotated[str, AfterValidator(_rate)] | None = None
    timeout: Annotated[float, Field(gt=0)] | None = None
    try_timeout: Annotated[float, Field(gt=0)] | None = None
    max_body_bytes: Annotated[int, Field(ge=0)] | None = None
    openapi: Annotated[str, AfterValidator(_path)] | None = None
    health: Annotated[str, AfterValidator(_path)] | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.public and (self.claims or self.scope or self.tasks):
            raise ValueError("public cannot go with claims, scope or tasks: those need a token")
        if self.tasks and (self.prefix != "/api" or self.strip_prefix):
            raise ValueError("tasks is for the prefix /api, which stays in the path")
        return self

    @property
    def name(self) -> str:
        """How logs and metrics call the service: the prefix without its slash."""
        return self.prefix.strip("/").replace("/", "-") or "root"

    @property
    def stripped(self) -> str:
        """What the gateway's path has before the service's own."""
        return self.prefix if self.strip_prefix and self.prefix != "/" else ""


def tasks(addresses: tuple[str, ...]) -> Route:
    """The route of the tasks service, where there is no file."""
    return Route(
        prefix="/api",
        upstream=addresses,
        tasks=True,
        openapi="/openapi.json",
        health="/readyz",
        idempotency_keys=True,
    )


def read(file: Path) -> tuple[Route, ...]:
    """The routes of a TOML file, the longest prefix first. Raises RoutesError with every problem in it."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RoutesError([f"the file cannot be read ({error.strerror})."]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RoutesError([f"the file is not TOML ({error})."]) from None
    tables = document.pop("route", None)
    problems = [f"{name!r} is not known at the top of the file: it has [[route]] only." for name in document]
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise RoutesError([*problems, "the file has no [[route]]."])
    routes: list[Route] = []
    for number, table in enumerate(tables, 1):
        try:
            routes.append(Route(**table))
        except ValidationError as error:
            problems += [f"route {number}: {_sentence(item)}" for item in error.errors()]
    prefixes = [route.prefix for route in routes]
    problems += [f"the prefix {prefix} is there twice." for prefix in sorted(set(_repeated(prefixes)))]
    if problems:
        raise RoutesError(problems)
    return tuple(sorted(routes, key=lambda route: len(route.prefix), reverse=True))


def match(routes: Iterable[Route], path: str) -> Route | None:
    """The first route whose prefix is the path's, on the border of a segment."""
    for route in routes:
        prefix = route.prefix
        if prefix == "/" or path == prefix or path.startswith(prefix + "/"):
            return route
    return None


def _repeated(values: list[str]) -> list[str]:
    return [value for value in values if values.count(value) > 1]


def _sentence(item: Any) -> str:
    """One of pydantic's errors, with the name as it stands in the file, and the nearest one it could have
    been.
    """
    name = str(item["loc"][0]) if item["loc"] else ""
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, Route.model_fields, 1)
        return f"{name!r} is not known." + (f" Did you mean {near[0]!r}?" if near else "")
    if item["type"] == "missing":
        return f"{name} is missing."
    text = item["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{name}: {text}." if name else f"{text}."
