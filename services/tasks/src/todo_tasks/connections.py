"""asyncpg's connections, and who has which: lent for one statement, or one transaction, at a time.

asyncpg's own pool makes a task and three time limits for every statement, which cost as much as the statement
(docs/decisions/0008).

Task: T-019 · Spec: plan.md#connections
"""

import asyncio
import select as readiness
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import asyncpg

from todo_service.turns import Turns
from todo_tasks import database_url
from todo_tasks.engine import APPLICATION_NAME
from todo_tasks.settings import DatabaseSettings

_SETTLING_S = 5.0
"""How long a statement that was cancelled may take to end on the server, before its connection is closed."""


class Connection(asyncpg.Connection):
    """asyncpg's connection, with what the pool has to know of it."""

    def __init__(self, protocol: Any, transport: asyncio.Transport, *arguments: Any) -> None:
        super().__init__(protocol, transport, *arguments)
        self.made_at = time.monotonic()
        self.idle_since = self.made_at
        self._protocol = protocol  # asyncpg shows no other way to what it knows of a cancellation
        self._poll = readiness.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), readiness.POLLIN)

    def is_usable(self) -> bool:
        """Whether a statement can be sent: it is open, and no bytes and no end have come that the event loop
        has not seen. Between two statements that is a server saying goodbye, and a write is sent only once.
        """
        return not self.is_closed() and not self._poll.poll(0)

    def is_settling(self) -> bool:
        """Whether a statement that was cancelled has yet to end on the server."""
        return bool(self._protocol._is_cancelling())

    async def settle(self) -> None:
        """Wait for that."""
        await self._protocol._wait_for_cancellation(None)


Connect = Callable[[], Awaitable[Connection]]


def connector(settings: DatabaseSettings) -> Connect:
    """What makes a connection as the settings say. Raises what `asyncpg.connect` does."""
    arguments = database_url.asyncpg_arguments(settings.database_url.get_secret_value(), APPLICATION_NAME)
    arguments.setdefault("timeout", settings.database_connect_timeout_s)
    if not settings.database_statement_cache:
        arguments["statement_cache_size"] = 0
    return partial(  # type: ignore[return-value]  # the stubs know no class of the caller's
        asyncpg.connect,
        # asyncpg cancels on the server what takes longer (CancelRequest), which poolers pass on.
        command_timeout=settings.database_timeout_s,
        connection_class=Connection,
        **arguments,
    )


class Pool:
    """At most `size` connections, made by `connect` when they are needed, so that a database may come later.

    The one that was used last is taken first, and whoever finds none waits in turn. A connection that nobody
    uses for `idle_s` is closed, and so is one that is `lifetime_s` old. Nothing of a session is ever set, and
    so nothing is reset. For one event loop.
    """

    def __init__(self, connect: Connect, size: int, *, idle_s: float, lifetime_s: float) -> None:
        self._connect = connect
        self._most = size
        self._idle_s = idle_s
        self._lifetime_s = lifetime_s
        self._size = 0  # those that are there, and places for those that are being made
        self._open: set[Connection] = set()
        self._free: list[Connection] = []  # the last one was used last
        self._turns: Turns[Connection | None] = Turns(self._give_on)  # None: the place for a new one
        self._expired_at = float("-inf")
        self._sweeper: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._all_back = asyncio.Event()

    @property
    def size(self) -> int:
        """How many connections there are, those that are being made included."""
        return self._size

    @property
    def free(self) -> int:
        """How many of them nobody uses."""
        return len(self._free)

    def take(self) -> Connection | None:
        """A connection that is free and can be used, None where there is none. To be given back."""
        while self._free:
            connection = self._free.pop()
            if self._is_good(connection) and connection.is_usable():
                return connection
            self._drop(connection)
        return None

    async def acquire(self) -> Connection:
        """A connection: one that is free, a new one, or the next that is given back. Raises what `connect`
        does, and asyncpg.InterfaceError once the pool is closed.
        """
        while True:
            if self._is_closed:
                raise asyncpg.InterfaceError("the pool is closed")
            if (connection := self.take()) is not None:
                return connection
            if self._size < self._most:
                self._size += 1
                return await self._make()
            given = await self._turns.wait()
            if given is None:
                return await self._make()
            if given.is_usable():
                return given
            self._drop(given)

    def release(self, connection: Connection) -> None:
        """Give a connection back, in whatever state it is."""
        if connection.is_closed():
            self._drop(connection)
        elif connection.is_settling():
            self._end(self._settle(connection))
        elif connection.is_in_transaction() or not self._is_good(connection) or self._is_closed:
            self._drop(connection)
        else:
            self._give(connection)

    def expire(self) -> None:
        """Use none of the present connections again: something has cut one of them."""
        self._expired_at = time.monotonic()
        while self._free:
            self._drop(self._free.pop())

    async def close(self, timeout_s: float) -> None:
        """Close every connection, waiting at most so long for those that are lent."""
        self._is_closed = True
        self._turns.end(lambda: asyncpg.InterfaceError("the pool is closed"))
        if self._sweeper is not None:
            self._sweeper.cancel()
        while self._free:
            self._retire(self._free.pop())
        try:
            async with asyncio.timeout(timeout_s):
                if self._size:
                    await self._all_back.wait()
                await asyncio.gather(*self._ending)
        except TimeoutError:
            for connection in self._open:
                connection.terminate()

    def _is_good(self, connection: Connection) -> bool:
        made_at = connection.made_at
        return self._expired_at < made_at and time.monotonic() - made_at < self._lifetime_s

    async def _make(self) -> Connection:
        try:
            connection = await self._connect()
        except BaseException:
            self._leave_place()
            raise
        self._open.add(connection)
        return connection

    def _give_on(self, connection: Connection | None) -> None:
        if connection is None:
            self._leave_place()
        else:
            self.release(connection)

    def _give(self, connection: Connection) -> None:
        if self._turns.give(connection):
            return
        connection.idle_since = time.monotonic()
        self._free.append(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._idle_s, self._sweep)

    def _leave_place(self) -> None:
        if self._turns.give(None):
            return
        self._size -= 1
        if not self._size:
            self._all_back.set()

    def _drop(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.terminate()
        self._leave_place()

    def _retire(self, connection: Connection) -> None:
        """Close it in all politeness, beside the work."""
        self._open.discard(connection)
        self._end(connection.close(timeout=_SETTLING_S))
        self._leave_place()

    def _sweep(self) -> None:
        self._sweeper = None
        long_ago = time.monotonic() - self._idle_s
        while self._free and self._free[0].idle_since <= long_ago:
            self._retire(self._free.pop(0))
        if self._free:
            wait_s = max(0.0, self._free[0].idle_since - long_ago)
            self._sweeper = asyncio.get_running_loop().call_later(wait_s, self._sweep)

    async def _settle(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(_SETTLING_S):
                await connection.settle()
        except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            connection.terminate()
        except asyncio.CancelledError:
            self._drop(connection)
            raise
        self.release(connection)

    def _end(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
