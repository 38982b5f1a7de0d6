"""The table of answers that are kept for requests which may be repeated.

Task: T-016 · Spec: plan.md#tables
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, Index, Integer, LargeBinary, Text
from sqlmodel import Field

from todo_tasks.tables import Table

MAX_KEY = 255


class IdempotencyKey(Table, table=True):
    """A key that a user has sent, what was asked with it (`fingerprint`, SHA-256), and what was answered: the
    body, and the id and version of what it is about.
    """

    __tablename__ = "idempotency_key"
    __table_args__ = (
        CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name="user_id"),
        CheckConstraint(f"char_length(key) BETWEEN 1 AND {MAX_KEY}", name="key"),
        # The purge of what is old.
        Index(None, "user_id", "created_at"),
    )

    user_id: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)
    fingerprint: bytes = Field(sa_type=LargeBinary)
    answer_id: UUID
    answer_version: int | None = Field(default=None, sa_type=Integer)
    answer: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
