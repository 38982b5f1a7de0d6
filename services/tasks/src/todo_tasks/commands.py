"""What the commands do: each takes its parsed arguments and returns the exit status, as `__main__` has it.

Task: T-053 · Spec: plan.md#commands
"""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

import psycopg2
from sqlalchemy import Engine, exc

from todo_service import logs
from todo_service.settings import SettingsError, load, refuse
from todo_tasks import database_url, distribution, ownership, schema
from todo_tasks.engine import make_engine
from todo_tasks.migrations import HEAD
from todo_tasks.settings import DatabaseSettings, KeepingSettings, TasksSettings

S = TypeVar("S", bound=DatabaseSettings)

_log = logging.getLogger("todo_tasks")


def migrate(given: argparse.Namespace) -> int:
    """Bring the schema up to date, distribute the tables where that is asked for, and tie rows to the users
    of the issuer.
    """
    settings = _settings(DatabaseSettings)
    direct = settings.database_direct_url
    name = "DATABASE_DIRECT_URL" if direct else "DATABASE_URL"
    engine = _engine(settings, (direct or settings.database_url).get_secret_value())
    try:
        schema.upgrade(engine)
        if given.distribute:
            distribution.distribute(engine)
        ownership.tie(engine)
    except distribution.NotDistributed as refused:
        return _fail(f"{name}: {refused}")
    except exc.OperationalError as error:
        return _unreachable(name, error)
    finally:
        engine.dispose()
    return 0


def check(_: argparse.Namespace) -> int:
    """Say whether the schema fits."""
    with _fitting(_settings(DatabaseSettings)) as engine, engine.connect() as connection:
        _log.info("schema is at revision %s, which this version needs", HEAD)
        _log.info("%s", ownership.describe(connection))
    return 0


def serve(_: argparse.Namespace) -> int:
    """Serve the API until told to end."""
    settings = _settings(TasksSettings)
    engine = _engine(settings, settings.database_url.get_secret_value())
    try:
        with engine.connect() as connection:
            misfit = schema.misfit(connection)
            if misfit:
                return _fail(misfit)
            _log.info("%s", ownership.describe(connection))
    except exc.OperationalError as error:
        # It may be back before anybody asks: /readyz says so until then, and looks at the schema itself.
        _log.warning("DATABASE_URL: %s; starting without", _reason(error))
    finally:
        engine.dispose()

    # Only here: the commands on the database need no web framework.
    from todo_service import metrics, server, tracing

    try:
        tracing.check()
        with metrics.serving(
            settings.tasks_metrics_port,
            host=settings.tasks_metrics_host,
            port_setting="TASKS_METRICS_PORT",
            workers=settings.tasks_workers,
        ):
            server.serve(
                "todo_tasks.app:from_environment",
                host=settings.tasks_host,
                port=settings.tasks_port,
                port_setting="TASKS_PORT",
                workers=settings.tasks_workers,
                drain=server.Drain(settings.drain_delay, settings.drain_timeout),
            )
    except SettingsError as error:
        refuse(error)
    return 0


def purge_old(given: argparse.Namespace) -> int:
    """Delete what was kept long enough; with `user`, all that there is of one user."""
    settings = _settings(KeepingSettings)
    if given.user is not None:
        return _remove(settings, given.user)
    with _fitting(settings):
        pass
    # Only here, as for serving: the connections of requests come with the web framework.
    from todo_service.problems import Problem
    from todo_tasks.database import Database
    from todo_tasks.purge import Purged, purge

    async def run() -> Purged:
        database = Database(settings)
        await database.open()
        try:
            return await purge(database, datetime.now(UTC), settings.trash_days, settings.idempotency_hours)
        finally:
            await database.close()

    try:
        purged = asyncio.run(run())
    except Problem as problem:
        return _fail(f"DATABASE_URL: {problem.detail}")
    _log.info("purged %d tasks in the trash and %d kept answers", purged.tasks, purged.answers)
    return 0


def _remove(settings: DatabaseSettings, user_id: str) -> int:
    from todo_tasks.removal import StillThere, remove
    from todo_tasks.transfer.progress import Progress

    progress = Progress(sys.stderr, "rows deleted")
    with _fitting(settings) as engine:
        try:
            removed = remove(engine, user_id, progress)
        except StillThere:
            return _fail("The issuer has this user; delete it there first.")
        finally:
            progress.finish()
    _log.info(
        "deleted %d tasks, %d categories and %d kept answers",
        removed.tasks,
        removed.categories,
        removed.answers,
    )
    return 0


def export_user(given: argparse.Namespace) -> int:
    """Write all that a user has to standard output."""
    from todo_tasks.transfer.export import export
    from todo_tasks.transfer.progress import Progress

    progress = Progress(sys.stderr, "records written")
    with _fitting(_settings(DatabaseSettings)) as engine:
        try:
            # CSV ends its lines itself, and neither format depends on the terminal's encoding.
            with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False) as out:
                export(engine, given.user, given.format, out, progress)
        except BrokenPipeError:
            # Python would try once more to write what is left, at its exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _fail("Not all was written: the reader went away.")
        except OSError as error:
            return _fail(f"Not all was written: {error.strerror}.")
        finally:
            progress.finish()
    _log.info("wrote %d records", progress.count)
    return 0


def import_file(given: argparse.Namespace) -> int:
    """Read a file of records into what a user has."""
    from todo_tasks.transfer.formats import read_csv, read_json
    from todo_tasks.transfer.load import Refused, load
    from todo_tasks.transfer.progress import Progress

    is_csv = given.format == "csv" if given.format else given.file.lower().endswith(".csv")
    read = read_csv if is_csv else read_json
    progress = Progress(sys.stderr, "records read")
    with _fitting(_settings(DatabaseSettings)) as engine:
        try:
            with open(sys.stdin.fileno() if given.file == "-" else given.file, "rb") as file:
                imported = load(engine, given.user, read(file), progress)
        except OSError as error:
            return _fail(f"{given.file}: {error.strerror}.")
        except Refused as refused:
            progress.finish()
            for reason in refused.reasons:
                _fail(reason)
            return _fail("Nothing was imported.")
    progress.finish()
    _log.info(
        "imported %d tasks and %d categories; %d were there already",
        imported.tasks,
        imported.categories,
        imported.there_already,
    )
    return 0


def _settings(kind: type[S]) -> S:
    try:
        settings = load(kind)
    except SettingsError as error:
        refuse(error)
    logs.configure(settings.log_level, as_json=settings.env == "production")
    return settings


@contextmanager
def _fitting(settings: DatabaseSettings) -> Iterator[Engine]:
    """An engine on a schema that fits. Ends the process with status 1 where there is none, or where the
    database goes away.
    """
    engine = _engine(settings, settings.database_url.get_secret_value())
    try:
        with engine.connect() as connection:
            misfit = schema.misfit(connection)
        if misfit:
            raise SystemExit(_fail(misfit))
        yield engine
    except exc.OperationalError as error:
        raise SystemExit(_unreachable("DATABASE_URL", error)) from None
    finally:
        engine.dispose()


def _engine(settings: DatabaseSettings, url: str) -> Engine:
    return make_engine(url, settings.database_connect_timeout_s)


def _unreachable(name: str, error: exc.OperationalError) -> int:
    return _fail(f"{name}: {_reason(error)}.")


def _reason(error: exc.OperationalError) -> str:
    cause = error.orig
    return database_url.reason(cause) if isinstance(cause, psycopg2.Error) else "nothing answers there"


def _fail(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return 1
