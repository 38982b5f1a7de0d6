"""Every statement on kept answers. Each names the user; times are parameters that the service makes.

Task: T-018 · Spec: plan.md#statements
"""

from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    LargeBinary,
    Select,
    Text,
    bindparam,
    insert,
    null,
    select,
)

from todo_tasks.expiry import expired_rows, users_with_expired
from todo_tasks.idempotency.models import IdempotencyKey
from todo_tasks.statement import Statement

_key = IdempotencyKey.metadata.tables["idempotency_key"]


def kept(answer: Select[Any], user_id: BindParameter[str], id_: BindParameter[Any]) -> Statement:
    """A statement that answers with (json), or (json, version), made to keep its answer, too; where the key
    is there already, it fails whole. Rows: as of `answer`, and the id.

    Parameters on top: `idempotency_key`, `fingerprint`, `kept_at`.
    """
    answered = answer.cte("answered")
    version = answered.c.version if "version" in answered.c else null()
    values: dict[str, ColumnElement[Any]] = {
        "user_id": user_id,
        "key": bindparam("idempotency_key", type_=Text()),
        "fingerprint": bindparam("fingerprint", type_=LargeBinary()),
        "answer_id": id_,
        "answer_version": version,
        "answer": answered.c.json,
        "created_at": bindparam("kept_at", type_=_key.c.created_at.type),
    }
    rows = select(*(value.label(name) for name, value in values.items())).select_from(answered)
    keep = insert(_key).from_select(list(values), rows).cte("keep")
    return Statement.of(select(*answered.c, id_.label("id")).select_from(answered).add_cte(keep))


@lru_cache
def find() -> Statement:
    """A kept answer. Rows: 0 or 1 of (fingerprint, json, version, id)."""
    return Statement.of(
        select(
            _key.c.fingerprint,
            _key.c.answer.label("json"),
            _key.c.answer_version.label("version"),
            _key.c.answer_id.label("id"),
        ).where(
            _key.c.user_id == bindparam("user_id", type_=Text()),
            _key.c.key == bindparam("idempotency_key", type_=Text()),
        )
    )


@lru_cache
def users_with_old() -> Statement:
    """As `expiry.users_with_expired`, for kept answers."""
    return users_with_expired(_key, _key.c.created_at)


@lru_cache
def delete_old() -> Statement:
    """As `expiry.expired_rows`, for kept answers."""
    return expired_rows(_key, _key.c.created_at)
