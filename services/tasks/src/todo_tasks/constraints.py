"""What it means to a client when a constraint of the tables refuses a write.

Task: T-020 · Spec: plan.md#tasks-api
"""

import re
from collections.abc import Callable

import psycopg2
from sqlalchemy import exc

from todo_service.problems import FieldError, Problem


class KeyTaken(Problem):
    """An `Idempotency-Key` is there already, or the id that was made for the request: it was carried out, by
    this same statement even, if its connection was lost after it.
    """

    def __init__(self) -> None:
        super().__init__(409, "A request with this Idempotency-Key was carried out already.")


def _user_deleted() -> Problem:
    return Problem(403, "This account does not exist any more.", code="user_deleted")


def _category_unknown() -> Problem:
    detail = "must be the id of one of your categories"
    errors = [FieldError(detail, pointer="/category_id")]
    return Problem(422, f"category_id {detail}.", code="validation_failed", errors=errors)


def _name_taken() -> Problem:
    detail = "You have a category of this name already."
    return Problem(409, detail, errors=[FieldError("is taken", pointer="/name")])


_ANSWERS: dict[str, Callable[[], Problem]] = {
    "fk_category_user": _user_deleted,
    "fk_task_user": _user_deleted,
    "fk_idempotency_key_user": _user_deleted,
    "pk_idempotency_key": KeyTaken,
    "pk_task": KeyTaken,
    "pk_category": KeyTaken,
    "fk_task_category": _category_unknown,
    "uq_category_user_id_name_key": _name_taken,
}


def answer(constraint: str | None) -> Problem | None:
    """The Problem to answer with; None where a request should not have come this far."""
    make = _ANSWERS.get(constraint or "")
    return make() if make else None


_OF_A_SHARD = re.compile(rf"\b({'|'.join(_ANSWERS)})_\d+\b")


def violated(name: str | None, message: str) -> str | None:
    """The constraint that an error of the server is about: its `name` there, or where there is none, the one
    in its primary `message`. The coordinator of a cluster passes on only the words of the node that refused,
    which name the constraint of a shard: ours and a number.
    """
    if name is not None:
        return name
    found = _OF_A_SHARD.search(message)
    return found[1] if found else None


def violated_in(error: exc.DBAPIError) -> str | None:
    """As `violated`, of what a session raised."""
    cause = error.orig
    if not isinstance(cause, psycopg2.Error):
        return None
    return violated(cause.diag.constraint_name, cause.diag.message_primary or "")
