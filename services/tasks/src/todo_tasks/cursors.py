"""The opaque cursor that continues a list: it holds for one user, one order and the same filters, and nobody
but this service can make one.

Task: T-020 · Spec: plan.md#tasks-api
"""

import base64
import hmac
import json
from hashlib import blake2b, sha256
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn
from uuid import UUID

from todo_service.problems import FieldError, Problem

_LABEL = b"todo-tasks cursor 2"
_TAG_BYTES = 16
_as_json = json.JSONEncoder(separators=(",", ":")).encode

CursorKeys = tuple[bytes, ...]
"""The first one signs, all of them verify."""


def cursor_keys(secrets: Sequence[str]) -> CursorKeys:
    """Keys for cursors alone, one from each secret, so that what is signed here is never taken for anything
    else that the same secret signs. A new `_LABEL` refuses all cursors of an older form.
    """
    return tuple(hmac.digest(secret.encode(), _LABEL, sha256) for secret in secrets)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page: its value in the list's order (None for null), and its id."""

    value: str | float | None
    id: UUID

    def encode(self, keys: CursorKeys, list_: bytes) -> str:
        """As it goes into a URL. `list_`: all that makes the list what it is, its user first of all."""
        place = _as_json([self.value, str(self.id)]).encode()
        return base64.urlsafe_b64encode(_tag(keys[0], list_, place) + place).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, keys: CursorKeys, list_: bytes) -> "Cursor":
        """Read a cursor of this list. Raises Problem 422 for any other text."""
        try:
            raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
        except ValueError:
            _refuse()
        tag, place = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not any(hmac.compare_digest(tag, _tag(key, list_, place)) for key in keys):
            _refuse()
        value, id_ = json.loads(place)
        return cls(value, UUID(id_))


def _tag(key: bytes, list_: bytes, place: bytes) -> bytes:
    # Keyed BLAKE2b (RFC 7693 §2.9), a third of what HMAC costs through OpenSSL. The length before the list
    # keeps the border between the two where it was.
    message = len(list_).to_bytes(8, "big") + list_ + place
    return blake2b(message, digest_size=_TAG_BYTES, key=key).digest()


def _refuse() -> NoReturn:
    detail = "is not a cursor of this list in this order"
    errors = [FieldError(detail, parameter="cursor")]
    raise Problem(422, f"cursor {detail}.", code="invalid_cursor", errors=errors)
