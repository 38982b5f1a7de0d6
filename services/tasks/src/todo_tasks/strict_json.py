"""JSON (RFC 8259) read strictly: what two readers could take for two things is refused.

Task: T-020 · Spec: plan.md#tasks-api
"""

import json
from typing import Any, NoReturn

from todo_service.problems import FieldError, Problem

MAX_DEPTH = 64


def parse(body: bytes) -> object:
    """The value of a JSON text.

    Raises Problem 400 for what is not UTF-8 or not JSON at all; 422 for members repeated in one object (RFC
    8259 §4), NaN and infinities, numbers out of range, more than 64 levels, NUL and lone surrogates.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Problem(400, "The body is not UTF-8.", code="not_utf8") from None
    try:
        value: object = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int
        )
    except json.JSONDecodeError as error:
        detail = f"The body is not JSON: line {error.lineno}, column {error.colno}."
        raise Problem(400, detail, code="not_json") from None
    except RecursionError:
        raise _refused(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
    # As many brackets as that are needed to be deeper, and an escape to write what is looked for.
    if text.count("[") + text.count("{") > MAX_DEPTH or "\\u" in text:
        _inspect(value)
    return value


def _refused(detail: str) -> Problem:
    return Problem(422, detail, code="invalid_json", errors=[FieldError(detail, pointer="")])


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _refused("A member is repeated in one object of the body.")
    return members


def _constant(name: str) -> NoReturn:
    raise _refused(f"{name} is not a JSON number.")


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise _refused("A number in the body is out of range.")
    return number


def _int(digits: str) -> int:
    # No number of the contract needs more than 64 bits; Python itself would refuse only at 4,300 digits.
    if len(digits) > 20:
        raise _refused("A number in the body is out of range.")
    return int(digits)


def _inspect(value: Any) -> None:
    """Walks without recursion: the body decides how deep it is."""
    pending = [(value, 1)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, str):
            if "\0" in item or any("\ud800" <= character <= "\udfff" for character in item):
                raise _refused("A text in the body holds NUL or half of a surrogate pair.")
        elif isinstance(item, dict | list):
            if depth > MAX_DEPTH:
                raise _refused(f"The body is nested deeper than {MAX_DEPTH} levels.")
            inner = [*item, *item.values()] if isinstance(item, dict) else item
            pending.extend((child, depth + 1) for child in inner)
