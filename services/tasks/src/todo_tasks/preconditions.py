"""Conditional requests (RFC 9110 §13): `If-Match` and `If-None-Match` against the version of a task.

Task: T-020 · Spec: plan.md#tasks-api
"""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from todo_service.problems import Problem

_TAG = re.compile(r'[ \t,]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?=,|\Z)')
_VERSION = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_MAX_VERSION = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What a request says about the version that it is meant for. `match`: it must be one of these; None:
    any. `none_match`: it must be none of these; `none_at_all`: of any, so that there must be no task.
    """

    match: list[int] | None = None
    none_match: tuple[int, ...] = ()
    none_at_all: bool = False

    @property
    def are_none(self) -> bool:
        """Whether every version will do."""
        return self.match is None and not self.none_match and not self.none_at_all

    def matches(self, version: int) -> bool:
        """Whether `If-Match` holds."""
        return self.match is None or version in self.match

    def is_known(self, version: int) -> bool:
        """Whether `If-None-Match` names this version: the client has it already."""
        return self.none_at_all or version in self.none_match

    def hold(self, version: int) -> bool:
        """Whether a task of this version may be changed."""
        return self.matches(version) and not self.is_known(version)

    def parameters(self) -> dict[str, object]:
        """The parameters of a conditional statement."""
        return {"match": [] if self.none_at_all else self.match, "none_match": list(self.none_match)}


_NONE = Preconditions()


async def preconditions(request: Request) -> Preconditions:
    """Read both headers; strong comparison for `If-Match`, weak for `If-None-Match` (RFC 9110 §8.8.3.2).
    Raises Problem 400 for what they cannot hold.
    """
    if_match = _field(request, b"if-match")
    if_none_match = _field(request, b"if-none-match")
    if if_match is None and if_none_match is None:
        return _NONE
    match = None
    if if_match is not None and if_match != "*":
        match = [version for version, weak in _tags("If-Match", if_match) if not weak]
    if if_none_match is None or if_none_match == "*":
        return Preconditions(match, none_at_all=if_none_match == "*")
    return Preconditions(match, tuple(version for version, _ in _tags("If-None-Match", if_none_match)))


async def write_preconditions(request: Request) -> Preconditions:
    """As `preconditions`, for a request that changes something. Raises Problem 428 (RFC 6585 §3) where the
    service requires `If-Match` and there is none.
    """
    found = await preconditions(request)
    if request.app.state.require_if_match and _field(request, b"if-match") is None:
        detail = "This request must say in If-Match which version it is meant for: the task's ETag."
        raise Problem(428, detail)
    return found


ReadPreconditions = Annotated[Preconditions, Depends(preconditions)]
WritePreconditions = Annotated[Preconditions, Depends(write_preconditions)]


def etag(version: int) -> str:
    """Strong (RFC 9110 §8.8.3): the version moves on with every change of the representation."""
    return f'"{version}"'


def failed() -> Problem:
    """412: the task is not of a version that the request is meant for."""
    return Problem(412, "The task has changed since the version that this request is meant for.")


def _field(request: Request, name: bytes) -> str | None:
    """A header's value, several lines of it put together (RFC 9110 §5.3)."""
    values = [value for key, value in request.scope["headers"] if key == name]
    return b", ".join(values).decode("latin-1").strip(" \t") if values else None


def _tags(name: str, text: str) -> list[tuple[int, bool]]:
    """The versions among the entity tags of a header, and whether each is weak. Tags that are none of ours
    name no version.
    """
    found, end = [], 0
    while tag := _TAG.match(text, end):
        end = tag.end()
        if _VERSION.fullmatch(tag[2]) and int(tag[2]) <= _MAX_VERSION:
            found.append((int(tag[2]), tag[1] is not None))
    if text[end:].strip(" \t,") or not end:
        raise Problem(
            400, f'{name} must be * or entity tags in their quotes, such as "3".', code="invalid_header"
        )
    return found
