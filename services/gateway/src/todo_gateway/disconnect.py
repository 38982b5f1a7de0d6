"""Work for a client ends when the client has left.

Task: T-024 · Spec: plan.md#forwarding
"""

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Receive

GRACE_S = 0.05
"""Most work ends sooner than this. Only what takes longer is worth a task that watches (6 µs a request)."""


class ClientLeft(Exception):
    """The client closed its connection before it had its whole answer; there is nobody to answer."""


class WhileConnected:
    """Runs its body for a client: `with WhileConnected(receive) as client: …`.

    From `client.watch()` on, which is for when the request has been read to its end, the body is cancelled
    `GRACE_S` after its start at the earliest once the client leaves, and `ClientLeft` rises from the `with`.
    Anybody else's cancellation stays one. Once only, inside a task.
    """

    __slots__ = ("_receive", "_grace_s", "_task", "_cancelling", "_timer", "_watcher", "_has_left")

    def __init__(self, receive: Receive, grace_s: float = GRACE_S) -> None:
        self._receive = receive
        self._grace_s = grace_s
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._has_left = False

    def __enter__(self) -> Self:
        """Take the present task as the one to cancel."""
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        return self

    def watch(self) -> None:
        """Look out for the client leaving. Nothing else may call `receive` from now on."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._grace_s, self._start)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching; raises ClientLeft in place of the cancellation that its leaving caused."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._has_left and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise ClientLeft from error

    def _start(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._has_left = True
        self._task.cancel()
