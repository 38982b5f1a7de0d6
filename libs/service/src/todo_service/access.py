"""The access line: what one request was, in one line of the log.

Task: T-013 · Spec: plan.md#request-ids-and-logs
"""

import logging
import time
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quoted

from starlette.types import Scope

_log = logging.getLogger("todo.access")

AccessLine = Callable[[Scope, str, int, float], None]
"""Writes the line of a request: its scope, route template, status (0: no answer) and seconds."""


def logged(scope: Scope, route: str, status: int, seconds: float) -> None:
    """Through `logging`, for a person to read."""
    if not _log.isEnabledFor(logging.INFO):
        return
    state = scope["state"]
    upstream_s = state.get("upstream_s")
    trace_id = state.get("trace_id")
    _log.info(
        "%s %s %s %.1fms%s%s",
        scope["method"],
        scope["path"],
        status or "no answer",
        seconds * 1000,
        "" if upstream_s is None else f" (upstream {upstream_s * 1000:.1f}ms)",
        "" if trace_id is None else f" trace {trace_id}",
        extra={
            "request_id": state["request_id"],
            "method": scope["method"],
            "path": scope["path"],
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 2),
            "user": getattr(state.get("identity"), "user_id", None),
        },
    )


class JsonLines:
    """An `AccessLine` that makes its JSON by hand: with `logging` and a formatter it costs several times as
    much, at every request. Everything that a client sent is escaped, to ASCII.

    `write`: such as `LineHandler.write`. `now`: seconds since the epoch.
    """

    def __init__(self, write: Callable[[str], None], now: Callable[[], float] = time.time) -> None:
        self._write = write
        self._now = now
        self._second = -1
        self._clock = ""

    def __call__(self, scope: Scope, route: str, status: int, seconds: float) -> None:
        """`user`, `client`, `upstream`, `upstream_ms` and `trace_id` stand there where they are known."""
        if not _log.isEnabledFor(logging.INFO):
            return
        now = self._now()
        second = int(now)
        if second != self._second:
            self._second = second
            self._clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        state = scope["state"]
        line = (
            f'{{"time":"{self._clock}.{int((now - second) * 1000):03d}Z","level":"info",'
            f'"logger":"todo.access","message":"request","request_id":{quoted(state["request_id"])},'
            f'"method":{quoted(scope["method"])},"path":{quoted(scope["path"])},"route":{quoted(route)},'
            f'"status":{status},"ms":{seconds * 1000:.2f}'
        )
        identity = state.get("identity")
        if identity is not None:
            line += f',"user":{quoted(identity.user_id)}'
        if client := state.get("client"):
            line += f',"client":{quoted(client)}'
        if upstream := state.get("upstream"):
            line += f',"upstream":{quoted(upstream)}'
        upstream_s = state.get("upstream_s")
        if upstream_s is not None:
            line += f',"upstream_ms":{upstream_s * 1000:.2f}'
        if trace_id := state.get("trace_id"):
            line += f',"trace_id":{quoted(trace_id)}'
        self._write(line + "}")
