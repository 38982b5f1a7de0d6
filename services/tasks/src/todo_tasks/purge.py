"""Deletes in the background what has been kept long enough: tasks in the trash, and kept answers.

Every process of the service does it, a batch at a time; they leave each other the rows they hold.

Task: T-020 · Spec: plan.md#tasks-api
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from todo_service.problems import Problem
from todo_tasks.database import Database
from todo_tasks.idempotency import statements as idempotency
from todo_tasks.statement import Statement
from todo_tasks.tasks import trash

INTERVAL_S = 3_600
USERS = 100
ROWS = 500
"""How many users one statement lists, and how many rows one deletes."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows were deleted."""

    tasks: int
    answers: int


async def purge(database: Database, now: datetime, trash_days: int, idempotency_hours: int) -> Purged:
    """Delete what is older than that. Raises Unavailable where the database is."""
    return Purged(
        await _delete(database, trash.users_with_old(), trash.delete_old(), now - timedelta(days=trash_days)),
        await _delete(
            database,
            idempotency.users_with_old(),
            idempotency.delete_old(),
            now - timedelta(hours=idempotency_hours),
        ),
    )


async def keep_purging(
    database: Database,
    trash_days: int,
    idempotency_hours: int,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Purge about once in `INTERVAL_S`, for ever. The waits differ, so that processes started together do not
    come together.
    """
    while True:
        await sleep(random.uniform(0.5, 1.5) * INTERVAL_S)
        try:
            purged = await purge(database, datetime.now(UTC), trash_days, idempotency_hours)
        except (Problem, asyncpg.PostgresError) as error:
            _log.warning("purge put off: %s", error)
        else:
            _log.info("purged %d tasks in the trash and %d kept answers", purged.tasks, purged.answers)


async def _delete(database: Database, users: Statement, delete: Statement, before: datetime) -> int:
    deleted, after_user = 0, ""
    while True:
        listed = await database.read(users, {"before": before, "after_user": after_user, "limit": USERS})
        for (user_id,) in listed:
            while True:
                rows = await database.write(delete, {"user_id": user_id, "before": before, "limit": ROWS})
                deleted += len(rows)
                if len(rows) < ROWS:
                    break
        if len(listed) < USERS:
            return deleted
        after_user = listed[-1]["user_id"]
