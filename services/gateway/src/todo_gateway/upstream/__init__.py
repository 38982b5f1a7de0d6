"""The gateway's own HTTP/1.1 client for the services behind it: keep-alive, bounded, strict about framing.

Task: T-025 · Spec: plan.md#upstream-client
"""

from todo_gateway.upstream.balance import AddressState, Balance
from todo_gateway.upstream.errors import (
    ConnectFailed,
    ConnectTimeout,
    Disconnected,
    LocalProtocolError,
    PoolClosed,
    PoolTimeout,
    ProtocolError,
    ReadTimeout,
    Unavailable,
    UpstreamError,
    WriteTimeout,
)
from todo_gateway.upstream.pool import Pool
from todo_gateway.upstream.response import Response

__all__ = [
    "AddressState",
    "Balance",
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
    "Unavailable",
    "UpstreamError",
    "WriteTimeout",
]
