"""Several processes that serve one listening socket, and the one that watches over them.

uvicorn's own supervisor makes uvicorn's own servers, waits for them without a bound and hears no second
signal.

Task: T-049 · Spec: plan.md#workers
"""

import contextlib
import logging
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

STARTED = b"started"
"""What a worker says when it serves."""
DRAIN = b"drain"
"""What it is told on SIGTERM."""
STOP = b"stop"
"""What it is told on Ctrl-C: as DRAIN, but without the delay."""

_RETRY_S = 1.0  # before a worker is replaced that ended before it served

_log = logging.getLogger(__name__)
_spawn = multiprocessing.get_context("spawn")


class Worker:
    """One process, which is spoken with through a pipe. `has_served`: it has said STARTED.

    Signals are for the supervisor alone: a terminal, or whoever stops a whole process group, sends them to
    every process of it.
    """

    def __init__(self, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.connection, theirs = _spawn.Pipe()
        self.process = _spawn.Process(target=_begin, args=(target, theirs, arguments))
        self.process.start()
        theirs.close()
        self.has_served = False

    def listen(self) -> None:
        """Reads what it has said."""
        with contextlib.suppress(EOFError, OSError):
            self.has_served = self.connection.recv_bytes() == STARTED

    def tell(self, order: bytes) -> None:
        """DRAIN or STOP; nothing where it has ended."""
        with contextlib.suppress(OSError):
            self.connection.send_bytes(order)


def supervise(
    target: Callable[..., None],
    arguments: tuple[Any, ...],
    count: int,
    *,
    ends_within_s: float,
    on_ending: Callable[[], None] = lambda: None,
) -> None:
    """Runs `target(connection, *arguments)` in `count` processes until SIGTERM or Ctrl-C.

    A process that ends is replaced. On a signal all are told, and those that have not ended `ends_within_s`
    later are killed, on a second one at once. Raises SystemExit with its status when a process ends before
    any has served: a second try would end as the first.
    """
    workers: list[Worker] = []
    has_served = False
    start_at = time.monotonic()
    kill_at: float | None = None
    with _signals() as wake:
        try:
            while True:
                now = time.monotonic()
                if kill_at is None and now >= start_at:
                    workers += [Worker(target, arguments) for _ in range(count - len(workers))]
                if kill_at is not None and (not workers or now >= kill_at):
                    return
                due = kill_at if kill_at is not None else start_at
                heard = wait(
                    [wake, *(w.process.sentinel for w in workers), *(w.connection for w in workers)],
                    due - now if due > now else None,
                )
                if wake in heard:
                    on_ending()
                    for number in wake.recv(64):
                        kill_at = time.monotonic() + (ends_within_s if kill_at is None else 0)
                        for worker in workers:
                            worker.tell(DRAIN if number == signal.SIGTERM else STOP)
                for worker in list(workers):
                    if worker.connection in heard:
                        worker.listen()
                        has_served = has_served or worker.has_served
                    if worker.process.sentinel in heard:
                        workers.remove(worker)
                        worker.process.join()
                        status = worker.process.exitcode
                        if kill_at is None:
                            _log.error("worker %s ended with status %s", worker.process.pid, status)
                            if not has_served:
                                raise SystemExit(status if status and status > 0 else 1)
                            if not worker.has_served:
                                start_at = time.monotonic() + _RETRY_S
                        worker.connection.close()
                        worker.process.close()
        finally:
            for worker in workers:
                worker.process.kill()
                worker.process.join()


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket that gets the number of each SIGTERM and SIGINT as a byte, as long as it is entered."""
    wake, theirs = socket.socketpair()
    with wake, theirs:
        wake.setblocking(False)
        theirs.setblocking(False)
        before = {
            number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)
        }
        earlier = signal.set_wakeup_fd(theirs.fileno())
        try:
            yield wake
        finally:
            signal.set_wakeup_fd(earlier)
            for number, handler in before.items():
                signal.signal(number, handler)


def _begin(target: Callable[..., None], connection: Connection, arguments: tuple[Any, ...]) -> None:
    """A worker's first lines: it outlives the signals to its group until it is told."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    target(connection, *arguments)
