"""A compact JWS, read strictly before any signature is looked at.

Task: T-006 · Spec: plan.md#verifying-tokens
"""

import binascii
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from todo_auth.errors import AlgorithmRefused, TokenMalformed, TokenTooLarge, TypeRefused

MAX_TOKEN_CHARS = 16 * 1024
MAX_DEPTH = 64

Claims = Mapping[str, object]

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*\Z")


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token whose form is right and whose signature nobody has checked yet."""

    algorithm: str
    key_id: str | None
    claims: Claims
    signing_input: bytes
    signature: bytes


def read(token: str, *, types: frozenset[str | None]) -> UnverifiedToken:
    """Takes a compact JWS apart.

    `types`: the values of `typ` that are accepted, in lower case; `None` stands for its absence.

    Refused: more than 16 KiB; anything but three canonical base64url parts (no padding, no loose bits: RFC
    7515 §2, RFC 4648 §3.5); JSON that `strict_json` refuses; `crit` and `b64` (RFC 7515
    §4.1.11, RFC 7797). `jku`, `x5u`, `jwk` and `x5c` are never followed.

    Raises TokenTooLarge, TokenMalformed, AlgorithmRefused, TypeRefused.
    """
    if not isinstance(token, str):
        raise TokenMalformed(f"a {type(token).__name__}")
    if len(token) > MAX_TOKEN_CHARS:
        raise TokenTooLarge(f"{len(token)} characters")
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenMalformed(f"{len(parts)} parts instead of 3")
    header = _read_object(parts[0], "header")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise AlgorithmRefused("no alg")
    if "crit" in header or "b64" in header:
        raise TokenMalformed("crit and b64 are not understood")
    key_id = header.get("kid")
    if key_id is not None and not isinstance(key_id, str):
        raise TokenMalformed("kid is not a string")
    if (name := _read_type(header)) not in types:
        raise TypeRefused(f"typ is {name!r}")
    claims = _read_object(parts[1], "payload")
    signing_input = token[: len(parts[0]) + 1 + len(parts[1])].encode("ascii")
    return UnverifiedToken(algorithm, key_id, claims, signing_input, decode(parts[2], "signature"))


def decode(text: str, name: str) -> bytes:
    """Decodes canonical base64url without padding (RFC 7515 §2). Raises TokenMalformed naming the part."""
    if _BASE64URL.match(text) is None:
        raise TokenMalformed(f"{name} is not base64url")
    try:
        data = binascii.a2b_base64(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4))
    except binascii.Error:
        raise TokenMalformed(f"{name} is not base64url") from None
    if encode(data) != text:
        raise TokenMalformed(f"{name} is not canonical base64url")
    return data


def encode(data: bytes) -> str:
    """Encodes as base64url without padding (RFC 7515 §2)."""
    return (
        binascii.b2a_base64(data, newline=False)
        .decode("ascii")
        .rstrip("=")
        .replace("+", "-")
        .replace("/", "_")
    )


def strict_json(data: bytes) -> object:
    """Parses JSON that has one reading only and that everybody can write again: UTF-8, no repeated members,
    finite numbers, no lone surrogates (RFC 7493 §2), nested at most 64 deep. Raises ValueError.
    """
    text = data.decode("utf-8")
    try:
        value: object = json.loads(
            text, object_pairs_hook=_unique_members, parse_float=_finite, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    # Both questions are settled for nearly every document by a glance at its text.
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise ValueError("nested too deeply")
    if "\\u" in text:
        _refuse_surrogates(value)
    return value


def numeric_date(claims: Claims, name: str) -> float | None:
    """A NumericDate claim (RFC 7519 §2) in seconds since the epoch, None when absent. Raises
    TokenMalformed.
    """
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 2**53:
        raise TokenMalformed(f"{name} is not a number of seconds")
    return value


def _read_object(part: str, name: str) -> dict[str, object]:
    try:
        value = strict_json(decode(part, name))
    except ValueError as error:
        raise TokenMalformed(f"{name}: {error}") from None
    if not isinstance(value, dict):
        raise TokenMalformed(f"{name} is not an object")
    return value


def _read_type(header: Mapping[str, object]) -> str | None:
    """`typ` in lower case without the `application/` that RFC 7515 §4.1.9 lets a sender write."""
    value = header.get("typ")
    if value is None and "typ" not in header:
        return None
    if not isinstance(value, str):
        raise TypeRefused("typ is not a string")
    return value.lower().removeprefix("application/")


def _unique_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _is_deeper(value: object, depth: int) -> bool:
    """Whether objects and arrays are nested more than `depth` deep."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return depth == 0 or any(_is_deeper(item, depth - 1) for item in value)


def _refuse_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a lone surrogate") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is out of range")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
