"""A service's process: the server on one address, and a clear word when the address is taken.

Task: T-015 · Spec: plan.md#service-settings
"""

import os
import socket
from contextlib import suppress

import uvicorn
from uvicorn.supervisors import Multiprocess

from todo_service.settings import SettingsError

_KEEP_ALIVE_S = 75  # longer than load balancers and the gateway keep theirs: they are to end connections


def serve(factory: str, *, host: str, port: int, port_setting: str, workers: int = 1) -> None:
    """Serves until SIGTERM or Ctrl-C; running requests get 10 s to end.

    `factory`: `module:function` that makes the application, once in each of `workers` processes, which share
    the port. `port_setting`: the variable that moves it. Raises SettingsError when the address cannot be had.
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
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=10,
    )
    with listener, suppress(KeyboardInterrupt):
        if workers > 1:
            Multiprocess(config, sockets=[listener]).run()
            return
        server = uvicorn.Server(config)
        server.run(sockets=[listener])
        if not server.started:
            raise SystemExit(3)  # uvicorn has said why
