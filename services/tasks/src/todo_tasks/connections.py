"""asyncpg's pool, and what asyncpg does not say of a connection: whether it can still be used.

Task: T-019 · Spec: plan.md#connections
"""

import select as readiness
import time
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from todo_tasks import database_url
from todo_tasks.engine import APPLICATION_NAME
from todo_tasks.settings import DatabaseSettings


class _Connection(asyncpg.Connection):
    """A connection without the query that resets the session at every release: none of ours sets anything."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.made_at = time.monotonic()

    def get_reset_query(self) -> str:
        return ""


async def create_pool(settings: DatabaseSettings) -> "asyncpg.Pool[asyncpg.Record]":
    """The pool; connections are made when they are needed, so that a database may come later."""
    arguments = database_url.asyncpg_arguments(settings.database_url.get_secret_value(), APPLICATION_NAME)
    arguments.setdefault("timeout", settings.database_connect_timeout_s)
    if not settings.database_statement_cache:
        arguments["statement_cache_size"] = 0
    pool: "asyncpg.Pool[asyncpg.Record]" = await asyncpg.create_pool(  # type: ignore[call-overload]
        min_size=0,
        max_size=settings.database_pool_size,
        max_inactive_connection_lifetime=settings.database_idle_s,
        # asyncpg cancels on the server what takes longer (CancelRequest), which poolers pass on.
        command_timeout=settings.database_timeout_s,
        connection_class=_Connection,
        **arguments,
    )
    return pool


def is_usable(connection: "PoolConnectionProxy[asyncpg.Record]", lifetime_s: float) -> bool:
    """Whether a statement can be sent on it: it is open, not too old, and its server has not said goodbye."""
    if connection.is_closed() or _has_unread(connection):
        return False
    age_s: float = time.monotonic() - connection.made_at  # type: ignore[attr-defined]  # of _Connection
    return age_s < lifetime_s


def is_open(connection: "PoolConnectionProxy[asyncpg.Record]") -> bool:
    """Whether the connection outlived the error that a statement ended with."""
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        return False  # lost within a transaction, and so taken back by the pool already


def _has_unread(connection: "PoolConnectionProxy[asyncpg.Record]") -> bool:
    """Whether bytes, or the end, have come that the event loop has not seen: between two statements that is a
    server saying goodbye. Asked before every statement, since a write is sent only once; takes about 1 µs.
    """
    poll = readiness.poll()
    transport = connection._transport  # type: ignore[attr-defined]  # asyncpg shows no other way to it
    poll.register(transport.get_extra_info("socket"), readiness.POLLIN)
    return bool(poll.poll(0))
