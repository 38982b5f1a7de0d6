"""How rows that have been kept long enough are found and deleted, user by user.

Task: T-018 · Spec: plan.md#statements
"""

from typing import Any

from sqlalchemy import ColumnElement, Integer, Table, and_, bindparam, delete, select

from todo_tasks.statement import Statement

_limit = bindparam("limit", type_=Integer())


def users_with_expired(table: Table, since: ColumnElement[Any]) -> Statement:
    """Users who have rows from before `before`, in their order after the user `after_user`, up to `limit`.
    Rows: (user_id).
    """
    user_id = table.c.user_id
    expired = and_(
        since < bindparam("before", type_=since.type), user_id > bindparam("after_user", type_=user_id.type)
    )
    return Statement.of(select(user_id).where(expired).distinct().order_by(user_id).limit(_limit))


def expired_rows(table: Table, since: ColumnElement[Any]) -> Statement:
    """Delete up to `limit` of a user's rows from before `before`. Rows that somebody else is working on are
    left for the next time. Rows: one for each deleted.
    """
    its_user = table.c.user_id == bindparam("user_id", type_=table.c.user_id.type)
    (id_,) = (column for column in table.primary_key if column.name != "user_id")
    expired = and_(its_user, since < bindparam("before", type_=since.type))
    # As a subquery the planner might run it more than once, and each time it would find other rows.
    chosen = select(id_).where(expired).limit(_limit).with_for_update(skip_locked=True).cte("chosen")
    return Statement.of(delete(table).where(its_user, id_.in_(select(chosen.c[id_.name]))).returning(id_))
