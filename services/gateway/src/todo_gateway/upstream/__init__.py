"""The gateway's own HTTP/1.1 client for the services behind it: keep-alive, bounded, strict about framing.

Task: T-025 · Spec: plan.md#upstream-client
"""

from todo_gateway.upstream.errors import (
    ConnectFailed,
    ConnectTimeout,
    Disconnected,
    LocalProtocolError,
    PoolClosed,
    PoolTimeout,
    ProtocolError,
    ReadTimeout,
    UpstreamError,
    WriteTimeout,
)
from todo_gateway.upstream.pool import Pool, Response

__all__ = [
    "ConnectFailed",
    "ConnectTimeout",
    "Disconnected",
    "LocalProtocolError",
    "Pool",
    "PoolClosed",
    "PoolTimeout",
    "ProtocolError",
    "ReadTimeout",
    "Response",
    "UpstreamError",
    "WriteTimeout",
]
