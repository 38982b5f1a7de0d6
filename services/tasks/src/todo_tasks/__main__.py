"""The command `todo-tasks`: serve, migrate, check, purge, export, import.

Task: T-053 · Spec: plan.md#commands
"""

import argparse
import re
import sys
from collections.abc import Callable

from todo_tasks import commands

_USER_ID = re.compile(r"[\x21-\x7e]{1,255}")


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0; 1 where it cannot be done, the database or a file not
    being as needed; 2 for settings and arguments; 130 for Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="todo-tasks", description="Tasks and categories in PostgreSQL.")
    words = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    words.add_parser("serve", help="serve the API on TASKS_HOST:TASKS_PORT")
    migrate = words.add_parser(
        "migrate", help="bring the schema up to date, and tie rows to Better Auth's users"
    )
    migrate.add_argument(
        "--distribute", action="store_true", help="and distribute the tables over a Citus cluster, by user"
    )
    words.add_parser("check", help="say whether the schema fits this version")
    purge = words.add_parser(
        "purge", help="delete what was kept long enough: tasks in the trash, answers to repeatable requests"
    )
    purge.add_argument(
        "--user", type=_user_id, help="instead, delete all that there is of a user deleted at the issuer"
    )
    export = words.add_parser("export", help="write all that a user has to standard output")
    export.add_argument("--format", choices=["jsonl", "csv"], default="jsonl", help="csv: the tasks alone")
    load = words.add_parser("import", help="read what `export` wrote; ids that are there already stay")
    load.add_argument("--format", choices=["jsonl", "csv"], help="by default csv for FILE.csv, else jsonl")
    for word in (export, load):
        word.add_argument("user", metavar="USER", type=_user_id)
    load.add_argument("file", metavar="FILE", help="- for standard input")
    given = parser.parse_args(arguments)
    try:
        return _COMMANDS[given.command](given)
    except KeyboardInterrupt:
        return 130


def _user_id(text: str) -> str:
    if not _USER_ID.fullmatch(text):
        raise argparse.ArgumentTypeError("a user id has 1 to 255 visible ASCII characters")
    return text


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "serve": commands.serve,
    "migrate": commands.migrate,
    "check": commands.check,
    "purge": commands.purge_old,
    "export": commands.export_user,
    "import": commands.import_file,
}


if __name__ == "__main__":
    sys.exit(main())
