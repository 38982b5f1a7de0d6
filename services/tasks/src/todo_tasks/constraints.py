"""What it means to a client when a constraint of the tables refuses a write.

Task: T-020 · Spec: plan.md#tasks-api
"""

from collections.abc import Callable

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
