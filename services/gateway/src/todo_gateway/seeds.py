"""The issuer's keys handed from worker to worker, so that a new one starts warm.

Task: T-049 · Spec: plan.md#workers
"""

import asyncio
import logging
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from todo_auth import KeySet
from todo_auth.key_export import SeedRefused

EVERY_S = 1.0
"""How much later than a fetch the file is written, at most."""

_VARIABLE = "TODO_GATEWAY_KEYS"  # from the supervisor to its workers, nobody's setting

_log = logging.getLogger(__name__)


@contextmanager
def shared() -> Iterator[None]:
    """Gives the processes that are started meanwhile a file of their own; nobody else can write it."""
    with tempfile.TemporaryDirectory(prefix="keys-") as directory:
        os.environ[_VARIABLE] = str(Path(directory) / "keys.json")
        try:
            yield
        finally:
            del os.environ[_VARIABLE]


def file() -> Path | None:
    """The file of this process's supervisor, None where there is none."""
    path = os.environ.get(_VARIABLE)
    return Path(path) if path else None


def sow(keys: KeySet, kept: Path) -> None:
    """Gives a key set what another worker has fetched, where there is such a thing. What cannot be believed
    changes nothing.
    """
    with suppress(FileNotFoundError):
        try:
            keys.seed(kept.read_bytes())
        except SeedRefused as error:
            _log.warning("the keys of another worker are not used: %s", error)


async def keep(
    keys: KeySet, kept: Path, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Writes what the key set has, whole or not at all, whenever it has fetched, and takes what another has
    written while it has nothing; until it is cancelled.
    """
    fetches = -1
    while True:
        if not keys.is_usable:
            sow(keys, kept)
        document = keys.export()
        if document is not None and keys.state.fetches != fetches:
            fetches = keys.state.fetches
            new = kept.with_name(f"{kept.name}.{os.getpid()}")
            new.write_bytes(document)
            new.replace(kept)
        await sleep(EVERY_S)
