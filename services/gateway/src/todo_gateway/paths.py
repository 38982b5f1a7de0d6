"""One reading of a path for everybody who asks: what could be read in two ways is refused, and what is
left has one spelling.

Task: T-022 · Spec: plan.md#edge
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

RESOURCES = {"tasks": "tasks", "todos": "tasks", "categories": "categories", "stats": "stats"}
"""What stands in a path for each resource of the tasks service, and the one name of it."""
OTHER = "other"
"""The template of every path that is none of the tasks service's."""

_ROUTE_WORDS = frozenset({*RESOURCES, "v1"})
_TEMPLATES = {
    ("tasks", 0): "/api/tasks",
    ("tasks", 1): "/api/tasks/{id}",
    ("tasks", 2): "/api/tasks/{id}/{action}",
    ("categories", 0): "/api/categories",
    ("categories", 1): "/api/categories/{id}",
    ("stats", 0): "/api/stats",
}
_PLAIN = "-._~!$&'()*+,=:@"  # RFC 3986 §3.3: pchar; the semicolon is refused
_UNRESERVED_PATH = re.compile(rb"/[A-Za-z0-9._~/-]*\Z")  # RFC 3986 §2.3: what needs no second look
_EMPTY_OR_DOTS = re.compile(rb"//|/\.\.?(?:/|\Z)")
_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NEVER = re.compile(rb"[\x00-\x1f\x7f/\\;%]")  # in a segment that was decoded
_REMEMBERED_BYTES = 128  # of a path: 1,024 of them are a megabyte at most


@dataclass(frozen=True, slots=True)
class Path:
    """A path that everybody reads in the same way.

    `normal`: in its one spelling, where only what must be encoded is. `canonical`: what the tasks service
    calls it, None where it is none of its paths; `user_id`: whom it names. `template`: what it is called in
    metrics and logs, one of a few, whatever a client sends.
    """

    normal: str
    canonical: str | None = None
    user_id: str | None = None
    template: str = OTHER


def read(raw_path: bytes) -> Path | None:
    """The path, from the bytes of the request target before `?`; None where two programs could read it
    differently: empty or dot segments, encoded slashes, backslashes, control characters, broken encoding.

    `/api/[v1/][{user_id}/](tasks|todos|categories|stats)[/…][/]` is `/api/(tasks|categories|stats)[/…]` to
    the tasks service. A route word is never a user id.
    """
    return _remembered(raw_path) if len(raw_path) <= _REMEMBERED_BYTES else _read(raw_path)


def _read(raw_path: bytes) -> Path | None:
    if not raw_path.startswith(b"/") or _EMPTY_OR_DOTS.search(raw_path) or _BROKEN.search(raw_path):
        return None
    segments = raw_path[1:].split(b"/")
    try:
        words = [unquote_to_bytes(segment).decode("utf-8") for segment in segments]
    except UnicodeDecodeError:
        return None
    if _UNRESERVED_PATH.match(raw_path):
        normal = raw_path.decode("ascii")
    elif any(word in (".", "..") or _NEVER.search(word.encode()) for word in words):
        return None
    else:
        normal = "/" + "/".join([quote(word, safe=_PLAIN) for word in words])
    if words[-1] == "":
        words.pop()
    if words[:1] != ["api"]:
        return Path(normal)
    rest = words[2:] if words[1:2] == ["v1"] else words[1:]
    user_id = None
    if rest and rest[0] not in _ROUTE_WORDS:
        user_id, *rest = rest
    resource = RESOURCES.get(rest[0]) if rest else None
    if resource is None:
        return Path(normal)
    canonical = "/".join(["/api", resource, *(quote(word, safe="") for word in rest[1:])])
    return Path(normal, canonical, user_id, _TEMPLATES.get((resource, len(rest) - 1), OTHER))


# The same few paths come again and again, and each is asked for several times while a request is served.
_remembered = lru_cache(maxsize=1024)(_read)
