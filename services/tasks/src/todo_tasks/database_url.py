"""A database's URL, as libpq reads it, for both drivers.

Task: T-019 · Spec: plan.md#connections
"""

import ssl
from urllib.parse import urlencode

import psycopg2
from psycopg2.extensions import parse_dsn

_TLS_WORDS = (
    "sslmode",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "sslcrl",
    "sslpassword",
    "sslnegotiation",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
)
_SHARED_WORDS = (*_TLS_WORDS, "target_session_attrs", "passfile", "krbsrvname", "gsslib", "service")
"""The words of libpq that asyncpg knows under the same names."""
_STARTUP_WORDS = ("application_name", "options")
"""The words that libpq itself sends to the server."""


def libpq(url: str) -> str:
    """The URL with the scheme that libpq knows; SQLAlchemy's `postgresql+psycopg2://` is read, too."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}{separator}{rest}"


def words(url: str) -> dict[str, str]:
    """The URL as libpq's words, by libpq's own parser. Raises ValueError, without repeating the URL."""
    text = libpq(url)
    if not text.startswith(("postgres://", "postgresql://")):
        raise ValueError("is not a PostgreSQL URL (postgresql://user:password@host/database)")
    try:
        found = {str(name): str(value) for name, value in parse_dsn(text).items()}
        # libpq reads these two when it connects.
        _ports(found), int(found.get("connect_timeout", 0))
        return found
    except (psycopg2.ProgrammingError, ValueError):
        # libpq's sentence repeats what it could not read, a password perhaps.
        raise ValueError(
            "is not a URL that libpq can read; are special characters percent-encoded?"
        ) from None


def asyncpg_arguments(url: str, application_name: str) -> dict[str, object]:
    """The arguments of `asyncpg.connect` for the same server, database, user and TLS.

    asyncpg takes every word it does not know for a setting of the server, which refuses it (as poolers do);
    so only what means something there is passed on.
    """
    given = words(url)
    arguments: dict[str, object] = {
        "server_settings": {"application_name": application_name}
        | {name: given[name] for name in _STARTUP_WORDS if name in given}
    }
    for name, word in (("user", "user"), ("password", "password"), ("database", "dbname")):
        if word in given:
            arguments[name] = given[word]
    host = given.get("host") or given.get("hostaddr")
    if host:
        arguments["host"] = host.split(",")
    if "port" in given:
        ports = _ports(given)
        arguments["port"] = ports if len(ports) > 1 else ports[0]
    if "connect_timeout" in given and int(given["connect_timeout"]) > 0:
        arguments["timeout"] = float(given["connect_timeout"])
    if given.get("sslrootcert") == "system":
        # libpq verifies the host's name then, whatever sslmode says.
        arguments["ssl"] = ssl.create_default_context()
        given = {name: value for name, value in given.items() if name not in _TLS_WORDS}
    shared = {name: given[name] for name in _SHARED_WORDS if name in given}
    arguments["dsn"] = f"postgresql:///?{urlencode(shared)}" if shared else "postgresql://"
    return arguments


def _ports(given: dict[str, str]) -> list[int]:
    return [int(port or 5432) for port in given.get("port", "").split(",")]


def reason(error: psycopg2.Error) -> str:
    """Why a connection, or work over it, failed; in words of ours: libpq's may repeat parts of a URL."""
    if isinstance(error, psycopg2.errors.LockNotAvailable):
        return "another transaction holds what is needed; try again later"
    text = str(error).lower()
    if "password authentication failed" in text or "no password supplied" in text:
        return "the server refused its user name or password"
    if "does not exist" in text:
        return "its database or user does not exist on the server"
    if "ssl" in text or "certificate" in text:
        return "no agreement on TLS with the server"
    return "nothing answers there"
