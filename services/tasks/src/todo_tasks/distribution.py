"""Distributes the tables over the nodes of a Citus cluster, by user: all that a user has lies on one node.

Citus refuses to distribute a table that foreign keys bind to one which is not distributed yet. So, in one
transaction: the keys go, Better Auth's `"user"` is copied to every node (a reference table), the tables are
distributed, and the keys come back; those to `"user"` by `todo_tasks.ownership`, afterwards as always. Others
wait for the tables meanwhile: do it before there are many rows.

Task: T-062 · Spec: plan.md#distributed
"""

import logging

from sqlalchemy import Connection, Engine, exc, text

from todo_tasks import ownership, schema
from todo_tasks.migrations import LOCK_TIMEOUT

DISTRIBUTED = ("category", "task", "idempotency_key")
"""Each after those that it refers to."""

_log = logging.getLogger(__name__)

_IS_CITUS = text("SELECT count(*) FROM pg_extension WHERE extname = 'citus'")
_IS_DISTRIBUTED = text(
    "SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = to_regclass(:name) AND partmethod = 'h'"
)
_IS_REFERENCE = text(
    "SELECT count(*) FROM pg_dist_partition "
    """WHERE logicalrelid = to_regclass('"user"') AND partmethod = 'n' AND repmodel = 't'"""
)


class NotDistributed(Exception):
    """The tables cannot be distributed, and are as they were; its text says why, as a sentence."""


def distribute(engine: Engine) -> None:
    """Distribute what is not distributed yet; safe to repeat, and of use when `"user"` came later. Raises
    NotDistributed.
    """
    with schema.one_at_a_time(engine):
        try:
            with engine.begin() as connection:
                if not connection.scalar(_IS_CITUS):
                    raise NotDistributed(
                        "This database is not on a Citus cluster: it has no extension citus."
                    )
                _distribute(connection)
        except exc.DBAPIError as error:
            if getattr(error.orig, "pgcode", None) is None:  # not said by the server: it went away
                raise
            raise NotDistributed(_why(error)) from error
    _log.info("rows are distributed by user")


def _distribute(connection: Connection) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    # Citus would work on the shards in parallel, on connections that do not see this transaction.
    connection.execute(text("SET LOCAL citus.multi_shard_modify_mode = 'sequential'"))
    missing = [name for name in DISTRIBUTED if not connection.scalar(_IS_DISTRIBUTED, {"name": name})]
    if missing:
        connection.execute(text("ALTER TABLE task DROP CONSTRAINT fk_task_category"))
        for table_name, tie in ownership.TIES.items():
            connection.execute(text(f"ALTER TABLE {table_name} DROP CONSTRAINT IF EXISTS {tie}"))
    if ownership.untied(connection) is None and not connection.scalar(_IS_REFERENCE):
        connection.execute(text("""SELECT create_reference_table('"user"')"""))
    for name in missing:
        beside = "default" if name == DISTRIBUTED[0] else DISTRIBUTED[0]
        connection.execute(
            text(f"SELECT create_distributed_table('{name}', 'user_id', colocate_with => '{beside}')")
        )
    if missing:
        key = "FOREIGN KEY (user_id, category_id) REFERENCES category (user_id, id)"
        connection.execute(text(f"ALTER TABLE task ADD CONSTRAINT fk_task_category {key}"))


def _why(error: exc.DBAPIError) -> str:
    if getattr(error.orig, "pgcode", None) == "55P03":
        return "Another transaction holds one of the tables: run `todo-tasks migrate --distribute` again."
    return f"The cluster refuses: {str(error.orig).partition(chr(10))[0]}."
