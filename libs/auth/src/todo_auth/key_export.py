"""A key set handed from one worker to another, so that a new one starts warm.

Task: T-007 · Spec: plan.md#key-set
"""

import json
from collections.abc import Iterable, Mapping

from todo_auth import jws
from todo_auth.errors import TokenMalformed
from todo_auth.jwk import Jwk, distinct_members

CLOCK_SKEW_S = 30


class SeedRefused(ValueError):
    """Another worker's key set that cannot be taken over; the text says why."""


def write_export(url: str, fetched_at: float, keys: Iterable[Jwk]) -> bytes:
    """A JWK Set (RFC 7517 §5) with two members besides: `url`, and `fetched_at` in seconds since the
    epoch.
    """
    return json.dumps({"url": url, "fetched_at": fetched_at, "keys": list(keys)}).encode()


def read_export(document: bytes, url: str, now: float) -> tuple[Mapping[str, Jwk], float]:
    """The members of an export of `url`, and their age in seconds at `now` (since the epoch). Raises
    SeedRefused for what is none, and for one that is over 30 s from the future.
    """
    try:
        value = jws.strict_json(document)
        members = distinct_members(value)
        assert isinstance(value, dict), "it has members"
        fetched_at = jws.numeric_date(value, "fetched_at")
    except (ValueError, TokenMalformed) as error:
        raise SeedRefused(str(error)) from None
    if fetched_at is None:
        raise SeedRefused("it does not say when it was fetched")
    if value.get("url") != url:
        raise SeedRefused("it is of another address")
    if fetched_at > now + CLOCK_SKEW_S:
        raise SeedRefused("it is from the future")
    return members, max(0.0, now - fetched_at)
