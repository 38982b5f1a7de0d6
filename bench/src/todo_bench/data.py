"""The rows that every build is measured on: the same users, categories and tasks, in each one's own tables.

Ids are made by rule, so that requests for single tasks are the same for every build.

Task: T-032 · Spec: plan.md#yardstick
"""

import hashlib
from typing import Literal
from uuid import UUID

import psycopg2

TASKS_PER_USER = 100
CATEGORIES_PER_USER = 5

Layout = Literal["product", "peer"]

_USER = "'user' || lpad({number}::text, 28, '0')"
_BETTER_AUTH_USER = """
CREATE TABLE IF NOT EXISTS "user" (
    id text PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, "emailVerified" boolean NOT NULL,
    image text, "createdAt" timestamptz NOT NULL DEFAULT now(), "updatedAt" timestamptz NOT NULL DEFAULT now()
)
"""

# One list of columns a layout, and for each the expression that fills it. Rows come in the order of their
# times, and users take turns: one user's tasks lie far apart, as they do in a table that grew in use.
_TASK = {
    "id": "md5('task ' || u || ' ' || n)::uuid",
    "user_id": _USER.format(number="u"),
    "title": "'Task ' || n || ': call the plumber and ask for a date'",
    "description": "'Ask about the price, too, and whether the boiler can wait until spring. Note ' || i",
    "status": "CASE WHEN n % 3 = 0 THEN 'completed' ELSE 'pending' END",
    "completed_at": "CASE WHEN n % 3 = 0 THEN moment END",
    "priority": "(ARRAY['low', 'medium', 'high', 'urgent'])[n % 4 + 1]",
    "category_id": f"md5('category ' || u || ' ' || n % {CATEGORIES_PER_USER})::uuid",
    "tags": "ARRAY['home', 'phone']",
    "due_date": "'2031-05-01T12:00:00Z'",
    "position": "n",
    "version": "1",
    "created_at": "moment",
    "updated_at": "moment",
}
_CATEGORY = {
    "id": "md5('category ' || u || ' ' || n)::uuid",
    "user_id": _USER.format(number="u"),
    "name": "'Category ' || n",
}
_MORE: dict[Layout, tuple[dict[str, str], dict[str, str]]] = {
    "product": (
        {"due_at": "'2031-05-01T12:00:00Z'::timestamptz"},
        {"name_key": "'category ' || n", "created_at": "moment", "updated_at": "moment"},
    ),
    "peer": ({"due_date": "'2031-05-01T12:00:00Z'::timestamptz", "completed": "n % 3 = 0"}, {}),
}
_INSERT = """
INSERT INTO {table} ({columns})
SELECT {values} FROM (
    SELECT i, i % {users} + 1 AS u, i / {users} AS n, timestamptz '2026-01-01' + i * interval '1 s' AS moment
    FROM generate_series(0, {rows} - 1) i
) AS series
"""


def user_id(number: int) -> str:
    """The id of the user with this number, counted from 1: 32 characters, as Better Auth makes them."""
    return f"user{number:028d}"


def task_id(user: int, number: int) -> UUID:
    """The id of a user's task; `number`: 0 (the oldest) to 99 (the newest)."""
    return UUID(hashlib.md5(f"task {user} {number}".encode()).hexdigest())


def users_of(rows: int) -> int:
    """How many users have tasks in a table of that many rows."""
    return rows // TASKS_PER_USER


def add_users(url: str, count: int) -> None:
    """Make Better Auth's table of users with `count` of them: the product ties its rows to it."""
    with psycopg2.connect(url) as database, database.cursor() as cursor:
        cursor.execute(_BETTER_AUTH_USER)
        cursor.execute(
            'INSERT INTO "user" (id, name, email, "emailVerified") '
            f"SELECT {_USER.format(number='u')}, 'User', u || '@example.com', false "
            "FROM generate_series(1, %s) u ON CONFLICT DO NOTHING",
            (count,),
        )
    database.close()


def fill(url: str, layout: Layout, rows: int) -> None:
    """Put exactly these rows into the tables of `layout`, whatever was there, and bring the statistics up to
    date. `rows`: a multiple of 100.
    """
    users = users_of(rows)
    more_of_task, more_of_category = _MORE[layout]
    database = psycopg2.connect(url)
    database.autocommit = True
    with database.cursor() as cursor:
        # Foreign keys hold by the rules above; to look each of millions up takes longer than to insert it.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("TRUNCATE task, category")
        cursor.execute(_insert("category", _CATEGORY | more_of_category, users, users * CATEGORIES_PER_USER))
        cursor.execute(_insert("task", _TASK | more_of_task, users, rows))
        cursor.execute("VACUUM (ANALYZE) category")
        cursor.execute("VACUUM (ANALYZE) task")
    database.close()


def _insert(table: str, columns: dict[str, str], users: int, rows: int) -> str:
    return _INSERT.format(
        table=table,
        columns=", ".join(columns),
        values=", ".join(columns.values()),
        users=users,
        rows=rows,
    )
