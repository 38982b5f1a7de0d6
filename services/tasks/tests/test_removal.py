import io
from collections.abc import Callable

import pytest

from todo_tasks import removal, schema
from todo_tasks.engine import make_engine
from todo_tasks.removal import Removed, StillThere, remove
from todo_tasks.transfer.progress import Progress

Execute = Callable[..., list[tuple[object, ...]]]

ROWS = """
INSERT INTO category (user_id, id, name, name_key, created_at, updated_at)
VALUES ('{0}', '01980000-0000-7000-8000-000000000000', 'x', 'x', '2030-01-01Z', '2030-01-01Z');
INSERT INTO task (user_id, id, title, status, priority, tags, position, version, created_at, updated_at,
    category_id)
SELECT '{0}', gen_random_uuid(), 'x', 'pending', 'low', '{{}}', 0, 1, '2030-01-01Z', '2030-01-01Z',
    '01980000-0000-7000-8000-000000000000' FROM generate_series(1, 7);
INSERT INTO idempotency_key SELECT '{0}', 'k' || n, '', gen_random_uuid(), 1, '{{}}', '2030-01-01Z'
FROM generate_series(1, 5) n;
"""


def test_all_of_a_deleted_user_is_removed_and_nothing_of_others(
    empty_url: str, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "BATCH", 3)
    engine = make_engine(empty_url, 5)
    schema.upgrade(engine)
    for user_id in ("ada", "eve"):
        execute(empty_url, ROWS.format(user_id))
    progress = Progress(io.StringIO(), "rows")
    assert remove(engine, "ada", progress) == Removed(answers=5, tasks=7, categories=1)
    assert progress.count == 13
    assert remove(engine, "ada", progress) == Removed(0, 0, 0)
    for table, count in {"task": 7, "category": 1, "idempotency_key": 5}.items():
        assert execute(empty_url, f"SELECT user_id, count(*) FROM {table} GROUP BY 1") == [("eve", count)]
    execute(empty_url, 'CREATE TABLE "user" (id text PRIMARY KEY)')
    execute(empty_url, """INSERT INTO "user" VALUES ('eve')""")
    with pytest.raises(StillThere):
        remove(engine, "eve", progress)
    assert execute(empty_url, "SELECT count(*) FROM task") == [(7,)]
    engine.dispose()
