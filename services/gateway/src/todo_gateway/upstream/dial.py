"""A connection to a host that may have several addresses: the next one where one refuses.

Task: T-025 · Spec: plan.md#upstream-client
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable
from itertools import zip_longest
from typing import TypeVar

from todo_gateway.upstream.errors import ConnectFailed, ConnectTimeout

Protocol = TypeVar("Protocol", bound=asyncio.BaseProtocol)

_MOST_ADDRESSES = 6


async def dial(
    protocol: Callable[[], Protocol], host: str, port: int, *, tls: ssl.SSLContext | None, timeout_s: float
) -> Protocol:
    """Connect within `timeout_s` seconds, name resolution and TLS included.

    A name is resolved anew each time, so that an upstream that moved is found. Its addresses are tried one
    after another, the families in turns (RFC 8305 §4), and each may take an equal share of the time that is
    left: one that swallows packets does not use up what the others need.

    Raises `ConnectTimeout` and `ConnectFailed`.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + timeout_s
    failure: ConnectFailed | ConnectTimeout | None = None
    try:
        async with asyncio.timeout_at(give_up_at):
            addresses = await _addresses(host, port)
    except TimeoutError:
        raise ConnectTimeout("the upstream's name was not resolved in time") from None
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be one
        raise ConnectFailed(f"the upstream's name was not resolved: {type(error).__name__}") from error
    for number, address in enumerate(addresses):
        now = loop.time()
        share_s = (give_up_at - now) / (len(addresses) - number)
        try:
            async with asyncio.timeout_at(now + share_s):
                _, made = await loop.create_connection(
                    protocol, address, port, ssl=tls, server_hostname=host if tls else None
                )
            return made
        except TimeoutError:
            failure = ConnectTimeout("no connection to the upstream in time")
        except OSError as error:
            failure = ConnectFailed(f"no connection to the upstream: {type(error).__name__}")
            failure.__cause__ = error
    raise failure or ConnectFailed("the upstream's name has no address")


async def _addresses(host: str, port: int) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    first_family = found[0][0] if found else None
    preferred = [str(item[4][0]) for item in found if item[0] == first_family]
    others = [str(item[4][0]) for item in found if item[0] != first_family]
    turns = [address for pair in zip_longest(preferred, others) for address in pair if address is not None]
    return list(dict.fromkeys(turns))[:_MOST_ADDRESSES]
