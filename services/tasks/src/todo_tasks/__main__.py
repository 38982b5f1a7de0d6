"""The command `todo-tasks`: serve, migrate, check.

Task: T-017 · Spec: plan.md#migrations
"""

import argparse
import logging
import sys
from typing import TypeVar

import psycopg2
from sqlalchemy import Engine, exc

from todo_service import logs
from todo_service.settings import SettingsError, load, refuse
from todo_tasks import database_url, ownership, schema
from todo_tasks.engine import make_engine
from todo_tasks.migrations import HEAD
from todo_tasks.settings import DatabaseSettings, TasksSettings

S = TypeVar("S", bound=DatabaseSettings)

_log = logging.getLogger("todo_tasks")


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 1 where the database is not as needed, 2 for settings."""
    parser = argparse.ArgumentParser(prog="todo-tasks", description="Tasks and categories in PostgreSQL.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("serve", help="serve the API on TASKS_HOST:TASKS_PORT")
    commands.add_parser("migrate", help="bring the schema up to date, and tie rows to Better Auth's users")
    commands.add_parser("check", help="say whether the schema fits this version")
    command = parser.parse_args(arguments).command
    if command == "serve":
        return _serve(_settings(TasksSettings))
    settings = _settings(DatabaseSettings)
    return _migrate(settings) if command == "migrate" else _check(settings)


def _settings(kind: type[S]) -> S:
    try:
        settings = load(kind)
    except SettingsError as error:
        refuse(error)
    logs.configure(settings.log_level, as_json=settings.env == "production")
    return settings


def _migrate(settings: DatabaseSettings) -> int:
    direct = settings.database_direct_url
    name = "DATABASE_DIRECT_URL" if direct else "DATABASE_URL"
    engine = _engine(settings, (direct or settings.database_url).get_secret_value())
    try:
        schema.upgrade(engine)
        ownership.tie(engine)
    except exc.OperationalError as error:
        return _unreachable(name, error)
    finally:
        engine.dispose()
    return 0


def _check(settings: DatabaseSettings) -> int:
    engine = _engine(settings, settings.database_url.get_secret_value())
    try:
        with engine.connect() as connection:
            misfit = schema.misfit(connection)
            if misfit:
                return _fail(misfit)
            _log.info("schema is at revision %s, which this version needs", HEAD)
            _log.info("%s", ownership.describe(connection))
    except exc.OperationalError as error:
        return _unreachable("DATABASE_URL", error)
    finally:
        engine.dispose()
    return 0


def _serve(settings: TasksSettings) -> int:
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
    from todo_service import metrics, server

    try:
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
            )
    except SettingsError as error:
        refuse(error)
    return 0


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


if __name__ == "__main__":
    sys.exit(main())
