import os
import subprocess
from collections.abc import Callable
from pathlib import Path

Command = Callable[..., subprocess.CompletedProcess[str]]
Execute = Callable[..., list[tuple[object, ...]]]


def test_what_is_exported_can_be_imported(
    command: Command, empty_url: str, execute: Execute, tmp_path: Path
) -> None:
    assert command("migrate", DATABASE_URL=empty_url).returncode == 0
    columns = "id, title, status, priority, tags, position, version, created_at, updated_at"
    execute(
        empty_url,
        f"INSERT INTO task (user_id, {columns}) SELECT 'ada', '01980000-0000-7000-8000-000000000000', 'ü', "
        "'pending', 'low', '{}', 0, 1, '2030-01-01Z', '2030-01-01Z'",
    )
    for name in ("jsonl", "csv"):
        exported = command(
            "export", "--format", name, "ada", DATABASE_URL=empty_url, PYTHONIOENCODING="utf-8"
        )
        assert exported.returncode == 0, exported.stderr
        assert "wrote 1 records" in exported.stderr
        assert "\r" not in exported.stderr
        file = tmp_path / f"ada.{name}"
        file.write_text(exported.stdout, encoding="utf-8", newline="")
        execute(empty_url, "DELETE FROM task")
        imported = command("import", "ada", str(file), DATABASE_URL=empty_url)
        assert imported.returncode == 0, imported.stderr
        assert "imported 1 tasks and 0 categories; 0 were there already" in imported.stderr
        assert execute(empty_url, "SELECT user_id, title FROM task") == [("ada", "ü")]


def test_a_file_that_cannot_be_imported_is_told_line_by_line(
    command: Command, url: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("{\n[]\n")
    failed = command("import", "ada", str(file), DATABASE_URL=url)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.splitlines() == [
        "error: Line 1: it is not JSON.",
        'error: Line 2: is not an object with the type "category" or "task".',
        "error: Nothing was imported.",
    ]
    missing = command("import", "ada", str(tmp_path / "none"), DATABASE_URL=url)
    assert (missing.returncode, missing.stderr) == (
        1,
        f"error: {tmp_path}/none: No such file or directory.\n",
    )


def test_purge_deletes_what_is_old_or_all_of_one_user(
    command: Command, empty_url: str, execute: Execute
) -> None:
    command("migrate", DATABASE_URL=empty_url)
    columns = (
        "user_id, id, title, status, priority, tags, position, version, created_at, updated_at, deleted_at"
    )
    for user_id, deleted_at in (("ada", "2001-01-01Z"), ("ada", None), ("eve", None)):
        execute(
            empty_url,
            f"INSERT INTO task ({columns}) SELECT %s, gen_random_uuid(), 'x', 'pending', 'low', '{{}}', 0, "
            "1, '2001-01-01Z', '2001-01-01Z', %s",
            *(user_id, deleted_at),
        )
    purged = command("purge", DATABASE_URL=empty_url, TRASH_DAYS="36500")
    assert purged.returncode == 0
    assert "purged 0 tasks in the trash and 0 kept answers" in purged.stderr
    purged = command("purge", DATABASE_URL=empty_url)
    assert "purged 1 tasks in the trash and 0 kept answers" in purged.stderr
    purged = command("purge", "--user", "ada", DATABASE_URL=empty_url)
    assert purged.returncode == 0
    assert "deleted 1 tasks, 0 categories and 0 kept answers" in purged.stderr
    assert execute(empty_url, "SELECT user_id FROM task") == [("eve",)]
    execute(empty_url, 'CREATE TABLE "user" (id text PRIMARY KEY)')
    execute(empty_url, """INSERT INTO "user" VALUES ('eve')""")
    refused = command("purge", "--user", "eve", DATABASE_URL=empty_url)
    assert (refused.returncode, refused.stderr) == (
        1,
        "error: The issuer has this user; delete it there first.\n",
    )
    file = "/dev/null"
    refused = command("import", "ada", file, DATABASE_URL=empty_url)
    assert refused.stderr == "error: There is no such user.\nerror: Nothing was imported.\n"
    assert command("import", "eve", file, DATABASE_URL=empty_url).returncode == 0


def test_an_export_whose_reader_goes_away_says_so(command: Command, url: str) -> None:
    with open("/dev/full", "wb") as full:
        failed = command("export", "--format", "csv", "ada", stdout=full, DATABASE_URL=url)
    assert (failed.returncode, failed.stderr) == (
        1,
        "error: Not all was written: No space left on device.\n",
    )
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        failed = command("export", "--format", "csv", "ada", stdout=gone, DATABASE_URL=url)
    assert (failed.returncode, failed.stderr) == (1, "error: Not all was written: the reader went away.\n")
