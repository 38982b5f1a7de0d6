"""A service's process: the server on one address, its drain, and a clear word when the address is taken.

Task: T-015 · Spec: plan.md#service-settings
"""

import asyncio
import gc
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, cast

import uvicorn

from todo_service.protocol import OneWriteProtocol
from todo_service.settings import SettingsError
from todo_service.workers import DRAIN, STARTED, supervise

_KEEP_ALIVE_S = 75  # longer than load balancers and the gateway keep theirs: they are to end connections
_ENDING_S = 5  # for what the application does at its end, after the drain
_CLOSE = (b"connection", b"close")

HttpProtocol = Callable[..., asyncio.Protocol]
"""What makes uvicorn's HTTP protocol: a class, or a `functools.partial` of one; picklable, for workers."""


@dataclass(frozen=True, slots=True)
class Drain:
    """How a server ends on SIGTERM.

    For `delay_s` seconds it goes on as before, but says `Connection: close` on every answer and
    `scope["state"]["draining"]` to the application, whose readiness is to fall: so those who send requests
    leave in time. Then it takes no more connections, and what runs gets `timeout_s` seconds to end before it
    is cut. Ctrl-C skips the delay; a second signal ends at once.
    """

    delay_s: float = 0
    timeout_s: float = 10


class Server(uvicorn.Server):
    """uvicorn's server with a drain; ends with status 0 where uvicorn dies of the signal once more."""

    def __init__(
        self, config: uvicorn.Config, drain: Drain = Drain(), supervisor: Connection | None = None
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._ends_at: float | None = None
        self._supervisor = supervisor

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM and SIGINT, in the main thread. A worker is told by its supervisor."""
        if self._supervisor is None:
            self.end(self._drain.delay_s if sig == signal.SIGTERM else 0)

    def end(self, delay_s: float) -> None:
        """Begins the drain; the second time, or before it serves, ends at once."""
        if self._ends_at is not None or not self.started:
            self.force_exit = self.should_exit = True
            return
        self._ends_at = time.monotonic() + delay_s
        self.lifespan.state["draining"] = True
        # uvicorn makes the default headers anew from the configured ones every second.
        self.config.encoded_headers.append(_CLOSE)
        self.server_state.default_headers.append(_CLOSE)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Says to a supervisor that this worker serves, and listens to it from then on."""
        await super().startup(sockets)
        _collect_less()
        if self._supervisor is not None and self.started:
            asyncio.get_running_loop().add_reader(self._supervisor.fileno(), self._obey, self._supervisor)
            self._supervisor.send_bytes(STARTED)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to stop serving."""
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            self.should_exit = True
        return await super().on_tick(counter)

    def _obey(self, supervisor: Connection) -> None:
        try:
            order = supervisor.recv_bytes()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(supervisor.fileno())
            order = DRAIN  # nobody is left who would replace this worker, or stop it
            if self._ends_at is not None:
                return
        self.end(self._drain.delay_s if order == DRAIN else 0)


def _collect_less() -> None:
    """What is here at the start stays, and is not looked at again; and a request leaves next to nothing that
    only the collector of cycles frees, so that it comes around a tenth as often as by default.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10 * gc.get_threshold()[0], *gc.get_threshold()[1:])


def serve(
    factory: str,
    *,
    host: str,
    port: int,
    port_setting: str,
    workers: int = 1,
    http: HttpProtocol = OneWriteProtocol,
    drain: Drain = Drain(),
) -> None:
    """Serves until SIGTERM or Ctrl-C, and ends as `drain` says.

    `factory`: `module:function` that makes the application, once in each of `workers` processes, which share
    the port. A worker that dies is replaced. `port_setting`: the variable that moves the port. Raises
    SettingsError when the address cannot be had, SystemExit when the application does not start.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        # socket.create_server adds the address to the system's words; a name that is none has no errno.
        why = (
            "not an address" if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0).lower()
        )
        raise SettingsError([f"{port_setting}: cannot listen on port {port} of {host}: {why}."]) from None
    config = uvicorn.Config(
        factory,
        factory=True,
        workers=workers,
        http=cast(Any, http),  # uvicorn calls it, as it calls a class; its type says class only
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=cast(int, drain.timeout_s),  # goes to asyncio.wait_for as it is
    )
    with listener:
        if workers > 1:
            supervise(
                _work,
                (config, drain, listener),
                workers,
                ends_within_s=drain.delay_s + drain.timeout_s + _ENDING_S,
                # Each worker has the socket, too. What the last of them no longer accepts is refused at once,
                # where this one, still open, would take it and leave it unanswered.
                on_ending=listener.close,
            )
            return
        server = Server(config, drain)
        server.run(sockets=[listener])
        if not server.started:
            raise SystemExit(3)  # uvicorn has said why


def _work(supervisor: Connection, config: uvicorn.Config, drain: Drain, listener: socket.socket) -> None:
    Server(config, drain, supervisor).run(sockets=[listener])
