"""Every way a request to an upstream fails, and whether the upstream may have seen it.

    UpstreamError
    ├── LocalProtocolError   what was to be sent is not HTTP/1.1, or its body has another length than was said
    ├── PoolClosed           the pool is closed or closing
    ├── PoolTimeout          every connection stayed busy for too long
    ├── Unavailable          no address of the upstream may be asked at the moment
    ├── ConnectFailed        refused, unreachable, no such host, TLS not agreed
    ├── ConnectTimeout       no connection in time
    ├── WriteTimeout         the upstream stopped taking the request
    ├── ReadTimeout          the answer did not begin in time, or fell silent
    ├── ProtocolError        the answer is not HTTP/1.1, or its end cannot be told safely
    └── Disconnected         the connection ended before the answer did

Task: T-025 · Spec: plan.md#upstream-client
"""


class UpstreamError(Exception):
    """A request to an upstream that got no whole answer.

    `sent` says whether any of the request may have reached the upstream. False makes it safe to send again,
    whatever the method; True leaves that to the method's idempotency (RFC 9110 §9.2.2). The message names no
    host and no data.
    """

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class LocalProtocolError(UpstreamError):
    """The caller asked for something that cannot be sent as HTTP/1.1; the fault is on this side."""


class PoolClosed(UpstreamError):
    """The pool is closed or closing and takes no further request."""


class PoolTimeout(UpstreamError):
    """Every connection stayed busy for `pool_timeout_s`."""


class Unavailable(UpstreamError):
    """Every address of the upstream failed of late; `retry_after_s` seconds until one is tried again."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ConnectFailed(UpstreamError):
    """No connection: refused, unreachable, an unknown host, or TLS was not agreed."""


class ConnectTimeout(UpstreamError):
    """No connection within `connect_timeout_s`, name resolution and TLS included."""


class WriteTimeout(UpstreamError):
    """The upstream took nothing of the request for `write_timeout_s`."""


class ReadTimeout(UpstreamError):
    """The answer did not begin within `head_timeout_s`, or was silent for `read_timeout_s` after that."""


class ProtocolError(UpstreamError):
    """The answer is not HTTP/1.1, or says in two ways where it ends (RFC 9112 §6.3)."""


class Disconnected(UpstreamError):
    """The connection ended, or was closed on this side, before the answer was complete."""
