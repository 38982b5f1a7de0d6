"""What every table has in common: one metadata, one convention for the names of constraints.

Task: T-016 · Spec: plan.md#tables
"""

from sqlalchemy import MetaData
from sqlmodel import SQLModel


class Table(SQLModel):
    """The base of the tables. Its metadata is this service's own, not the one that every SQLModel shares."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )
