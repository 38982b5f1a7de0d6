"""What the errors of both drivers mean: a connection that is gone, a database that is not there, a statement
that the server gave up.

Task: T-019 · Spec: plan.md#connections
"""

import asyncpg
import psycopg2

_CLOSED = (
    "ssl connection has been closed unexpectedly",
    "ssl syscall error: eof detected",
    "ssl syscall error: success",
    "server closed the connection unexpectedly",
    "could not receive data from server",
    "could not send data to server",
    "terminating connection",
    "connection already closed",
    "connection not open",
    "no connection to the server",
    # PgBouncer, about the server behind it; its errors have the code of a violated protocol.
    "server conn crashed",
    "server_login_failed",
    "pgbouncer cannot connect to server",
    "query_wait_timeout",
    "client_login_timeout",
)
"""How libpq and poolers say that a connection is gone. SQLAlchemy does not know all of these."""
_REFUSED = (
    "password authentication failed",
    "no password supplied",
    "does not exist",
    "certificate",
    "does not support ssl",
    "channel binding",
    "no pg_hba.conf entry",
    "permission denied",
)
"""What does not change by waiting, in libpq's words: psycopg2 gives no code where a connection fails."""

LOST = (
    ConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleSessionTimeoutError,
)
"""asyncpg: the connection ended, and nobody knows whether the statement was carried out."""
GIVEN_UP = (
    OSError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""asyncpg: not carried out or not known to be, for a reason that passes. TimeoutError is an OSError."""
UNREACHABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""asyncpg: no connection could be made."""
_UNCHANGING = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.ClientConfigurationError,
)


def is_closed(error: BaseException) -> bool:
    """Whether a driver says that the connection, which was there, is gone."""
    if isinstance(error, LOST):
        return True
    text = str(error).lower()
    return isinstance(error, (psycopg2.Error, OSError)) and any(closed in text for closed in _CLOSED)


def may_pass(error: BaseException) -> bool:
    """Whether a connection that could not be made may be made a moment later, as to a compute that wakes up.
    A server that refuses the user, the database or the kind of TLS does not change its mind.
    """
    if isinstance(error, psycopg2.Error):
        text = str(error).lower()
        return not any(refused in text for refused in _REFUSED)
    if isinstance(error, ConnectionError) and "ssl" in str(error).lower():
        return False  # asyncpg: TLS is required and the server has none
    return isinstance(error, UNREACHABLE) and not isinstance(error, _UNCHANGING)
