"""Loopback ports: which are free, and what to do when one is not.

Task: T-004 · Spec: plan.md#processes
"""

import errno
import socket

from todo_stack.errors import StackError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a TCP port that nothing listens on now; another process may take it before the caller does."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, setting: str) -> None:
    """Raise `StackError` naming `setting`, which moves the port, when `port` cannot be listened on.

    Both loopback addresses are tried: `localhost` may lead to either, and so to somebody else's server.
    """
    for family, address in ((socket.AF_INET, LOOPBACK), (socket.AF_INET6, "::1")):
        with socket.socket(family) as probe:
            # As servers do: a port whose last connections are still in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
                probe.listen(1)
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:  # A machine without IPv6.
                    continue
                taken = error.errno == errno.EADDRINUSE
                reason = "is taken" if taken else f"cannot be used ({error.strerror})"
                raise StackError(f"Port {port} {reason}: set {setting} to another one.") from error
