"""A service's process: one server on one address, and a clear word when the address is taken.

Task: T-015 · Spec: plan.md#service-settings
"""

import importlib.util
import socket
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

from todo_service.settings import SettingsError

_LOOP: Literal["uvloop", "asyncio"] = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"


def serve(app: ASGIApp, *, host: str, port: int, port_setting: str) -> None:
    """Serves until SIGTERM or Ctrl-C; running requests get 10 s to end.

    `port_setting`: the variable that moves the port. Raises SettingsError when the address cannot be had.
    """
    try:
        listener = socket.create_server((host, port), family=_family(host), backlog=2048)
    except OSError as error:
        why = error.strerror or "it cannot be had"
        raise SettingsError([f"port {port} on {host}: {why}. {port_setting} moves it."]) from None
    with listener:
        config = uvicorn.Config(
            app,
            loop=_LOOP,
            http="httptools",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=10,
        )
        uvicorn.Server(config).run(sockets=[listener])


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
