"""Requests that may be repeated (draft-ietf-httpapi-idempotency-key-header-07): with the same
`Idempotency-Key` a POST is carried out once, and answered as the first time when it comes again.

Task: T-020 · Spec: plan.md#tasks-api
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import Request

from todo_service.problems import Problem
from todo_tasks.constraints import KeyTaken
from todo_tasks.database import Database, LockTimeout, Rows, Unavailable
from todo_tasks.idempotency import statements
from todo_tasks.idempotency.models import MAX_KEY
from todo_tasks.inputs import Body
from todo_tasks.statement import Statement

LOCK_TIMEOUT_MS = 1_000
"""How long a request waits for another one with its key, before it is told that it is under way."""

_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_KEY = re.compile(rf"[\x21-\x7e]{{1,{MAX_KEY}}}")


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request with a key, and the fingerprint of what it asks for."""

    user_id: str
    key: str
    fingerprint: bytes

    def parameters(self) -> dict[str, object]:
        """The parameters of the statements on kept answers."""
        return {
            "user_id": self.user_id,
            "idempotency_key": self.key,
            "fingerprint": self.fingerprint,
            "kept_at": datetime.now(UTC),
        }


def repeatable(request: Request, user_id: str, sent: Body | None) -> Repeatable | None:
    """What makes this request one that may be repeated; None for a method that is so by itself, or without a
    key. Raises Problem 400 for a key that is none.

    The fingerprint is of what the body means, not of its bytes: a client may write it anew.
    """
    key = _key(request) if request.method == "POST" else None
    if key is None:
        return None
    meaning = sent.model_dump_json(exclude_unset=True) if sent else "{}"
    # No path has a space, so that nothing can move from one part to the other.
    asked = f"{request.scope['path']} {meaning}"
    return Repeatable(user_id, key, hashlib.sha256(asked.encode()).digest())


async def write(
    database: Database, statement: Statement, values: dict[str, object], once: Repeatable | None
) -> Rows:
    """As `Database.write`; with a key, `statement` must be one that keeps its answer, and the rows are those
    of the first request with it.

    Raises Problem 422 where the key was used for something else, and 409 while the first one is under way.
    """
    if once is None:
        return await database.write(statement, values)
    parameters = once.parameters()
    refused: Problem | None = None
    try:
        written = await database.write(
            statement, values | parameters, lock_timeout_ms=LOCK_TIMEOUT_MS, repeatable=True
        )
        if written:
            return written
    except LockTimeout:
        raise _under_way() from None
    except Unavailable:
        raise
    except Problem as problem:
        refused = problem
    # Refused, or nothing there to change: that may be what the first request with this key has done.
    rows = await database.read(statements.find(), parameters)
    if not rows and refused is not None:
        raise _under_way() if isinstance(refused, KeyTaken) else refused
    if rows and rows[0]["fingerprint"] != once.fingerprint:
        detail = "This Idempotency-Key was used for another request already."
        raise Problem(422, detail, code="idempotency_key_reused")
    return rows


def _key(request: Request) -> str | None:
    """The key: a string of RFC 9651 in its quotes, or what many clients send, the same without."""
    values = [value for name, value in request.scope["headers"] if name == b"idempotency-key"]
    if not values:
        return None
    text: str = values[0].decode("latin-1").strip(" \t")
    quoted = _QUOTED.fullmatch(text)
    if quoted:
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    if len(values) > 1 or (text.startswith('"') and not quoted) or not _KEY.fullmatch(text):
        detail = f"Idempotency-Key must be one string of 1 to {MAX_KEY} visible ASCII characters."
        raise Problem(400, detail, code="invalid_header")
    return text


def _under_way() -> Problem:
    return Problem(
        409,
        "A request with this Idempotency-Key is still under way.",
        code="idempotency_key_in_use",
        headers={"Retry-After": "1"},
    )
