import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from todo_tasks.distribution import NotDistributed, distribute
from todo_tasks.engine import make_engine
from todo_tasks.migrations import HEAD, VERSION_TABLE

Execute = Callable[..., list[tuple[object, ...]]]


def test_a_database_that_is_no_cluster_is_said_and_stays_as_it_is(url: str, execute: Execute) -> None:
    keys = "SELECT conname FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
    before = execute(url, keys)
    engine = make_engine(url, 5)
    with pytest.raises(NotDistributed, match="no extension citus"):
        distribute(engine)
    engine.dispose()
    assert execute(url, keys) == before != []


def test_the_command_migrates_and_says_why_it_cannot_distribute(empty_url: str, execute: Execute) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE")}
    ended = subprocess.run(
        [sys.executable, "-m", "todo_tasks", "migrate", "--distribute"],
        env=environment | {"DATABASE_URL": empty_url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "error: DATABASE_URL: This database is not on a Citus cluster" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert execute(empty_url, f"SELECT version_num FROM {VERSION_TABLE}") == [(HEAD,)]
