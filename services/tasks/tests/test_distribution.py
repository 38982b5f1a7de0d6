import subprocess
from collections.abc import Callable

import pytest

from todo_tasks.distribution import NotDistributed, distribute
from todo_tasks.engine import make_engine
from todo_tasks.migrations import HEAD, VERSION_TABLE

Command = Callable[..., subprocess.CompletedProcess[str]]
Execute = Callable[..., list[tuple[object, ...]]]


def test_a_database_that_is_no_cluster_is_said_and_stays_as_it_is(url: str, execute: Execute) -> None:
    keys = "SELECT conname FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
    before = execute(url, keys)
    engine = make_engine(url, 5)
    with pytest.raises(NotDistributed, match="no extension citus"):
        distribute(engine)
    engine.dispose()
    assert execute(url, keys) == before != []


def test_the_command_migrates_and_says_why_it_cannot_distribute(
    command: Command, empty_url: str, execute: Execute
) -> None:
    ended = command("migrate", "--distribute", DATABASE_URL=empty_url)
    assert ended.returncode == 1
    assert "error: DATABASE_URL: This database is not on a Citus cluster" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert execute(empty_url, f"SELECT version_num FROM {VERSION_TABLE}") == [(HEAD,)]
