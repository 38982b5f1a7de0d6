"""`python -m todo_stack up` and `demo`: arguments, signals, and the exit code.

Task: T-004 · Spec: plan.md#processes
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress

from todo_stack.data import DataDirectory
from todo_stack.databases import require_answer
from todo_stack.demo import walk
from todo_stack.errors import StackError
from todo_stack.guide import guide
from todo_stack.ports import free_port
from todo_stack.postgres import temporary
from todo_stack.processes import Processes
from todo_stack.settings import Settings
from todo_stack.terminal import Terminal
from todo_stack.up import start

PORTS = ("GATEWAY_PORT", "TASKS_PORT", "WEB_PORT")
INTERRUPTED = 130
"""The exit code of a command that a signal ended before it was done."""


def main() -> None:
    """Run a command and exit: 0 when it did its work, 1 when it has said why not, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="./dev", description="The whole on this machine, for development.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything and keep it running until Ctrl-C")
    for setting in PORTS:
        option = f"--{setting.lower().replace('_', '-')}"
        up.add_argument(option, dest=setting, metavar="PORT", help=f"as the setting {setting}")
    commands.add_parser("demo", help="start everything aside, walk one user through it, stop it again")
    arguments = vars(parser.parse_args())
    options = {setting: arguments[setting] for setting in PORTS if arguments.get(setting)}
    try:
        if arguments["command"] == "up":
            asyncio.run(_up({**os.environ, **options}))
        else:
            _demo()
    except* StackError as group:
        for error in _leaves(group):
            print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except* (asyncio.CancelledError, KeyboardInterrupt):
        sys.exit(INTERRUPTED)


async def _up(environ: Mapping[str, str]) -> None:
    terminal = Terminal()
    settings = Settings.load(environ)
    with DataDirectory(settings.data_dir) as data:
        if settings.ready_file:
            settings.ready_file.unlink(missing_ok=True)  # A former start's.
        async with _processes(terminal, data) as processes:
            with terminal:
                stack = await start(settings, data, processes, terminal)
            terminal.say(f"\n{guide(stack)}\n\nReady in {_time_taken()}; Ctrl-C stops everything.\n")
            if settings.ready_file:
                stack.write(settings.ready_file)
            # A signal is how `up` ends well.
            with suppress(asyncio.CancelledError):
                raise await processes.first_end()
            terminal.say("Stopping.")


def _demo() -> None:
    """The stack beside whatever else runs here: ports, data and database of its own, all gone afterwards."""
    with ExitStack() as resources:
        directory = resources.enter_context(tempfile.TemporaryDirectory(prefix="todo-demo-"))
        aside = {setting: str(free_port()) for setting in PORTS} | {"TODO_DATA_DIR": directory}
        settings = Settings.load({**os.environ, **aside})
        if "DATABASE_URL" in settings.environment:
            given = settings.environment["DATABASE_URL"]
            require_answer(given, "DATABASE_URL")
            aside["DATABASE_URL"] = resources.enter_context(temporary(given))
            aside["DATABASE_DIRECT_URL"] = ""
            settings = Settings.load({**os.environ, **aside})
        asyncio.run(_walk(settings))


async def _walk(settings: Settings) -> None:
    terminal = Terminal()
    with DataDirectory(settings.data_dir) as data:
        async with _processes(terminal, data) as processes:
            with terminal:
                stack = await start(settings, data, processes, terminal)
                await walk(stack.gateway_url, stack.issuer.endpoints, terminal)
    terminal.say(f"The demo passed with {stack.issuer.name}, in {_time_taken()}.")


@asynccontextmanager
async def _processes(terminal: Terminal, data: DataDirectory) -> AsyncIterator[Processes]:
    """`Processes`, stopped by a first signal as the running task is cancelled, and killed by a second one."""
    task = asyncio.current_task()
    assert task
    received: list[int] = []
    async with Processes(terminal, [data.lock]) as processes:

        def stop(number: int) -> None:
            if received:
                processes.kill()
            else:
                task.cancel()
            received.append(number)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        yield processes


def _time_taken() -> str:
    """The time since `./dev` was entered, its preparations included, or since this process began."""
    begun = float(os.environ.get("TODO_STARTED_AT") or _STARTED_AT)
    return f"{time.time() - begun:.1f} s"


def _leaves(group: BaseExceptionGroup[StackError]) -> Iterator[StackError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


_STARTED_AT = time.time()

if __name__ == "__main__":
    main()
