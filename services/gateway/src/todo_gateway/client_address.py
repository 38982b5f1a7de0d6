"""Where a request comes from: the peer, or what the proxies that are trusted say of it.

Task: T-042 · Spec: plan.md#client-address
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MAX_HOPS = 32  # nobody has more proxies in a row; a longer list is read from its end
# RFC 7239 §4: pairs of a token and a token or a quoted string; none of the values here has an escape in it.
_PAIR = re.compile(r'\s*(\w+)=(?:"([^"\\]*)"|([^\s",;]*))\s*\Z')
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\w+)?\Z")
_WITH_PORT = re.compile(r"([0-9.]+):\w+\Z")


class ClientAddress:
    """Pure ASGI middleware: puts `client` (in its shortest form, or "" where there is none) and
    `proto` (`http` or `https`) into the scope's state.

    `trusted`: the networks whose `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded` (RFC 7239) are
    believed, read from right to left: the first address that is not trusted is the client. Where a list holds
    anything but an address, what stands further left is not looked at. Where both kinds of header are sent
    and disagree, one of them came from the client, and neither is believed.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[Network] = ()) -> None:
        self.app = app
        self._trusted = tuple(trusted)
        self._is_trusted = lru_cache(4096)(self._belongs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Never refuses: garbage in these headers is as if they were not there."""
        if scope["type"] == "http":
            state = scope.setdefault("state", {})
            peer = scope["client"][0] if scope.get("client") else ""
            proto = scope.get("scheme", "http")
            if self._trusted and self._is_trusted(peer):
                peer, proto = self._believed(scope["headers"], peer, proto)
            state["client"], state["proto"] = normal(peer), proto
        await self.app(scope, receive, send)

    def _believed(self, headers: Sequence[tuple[bytes, bytes]], peer: str, proto: str) -> tuple[str, str]:
        listed = _values(headers, b"x-forwarded-for")
        elements = [_pairs(element) for element in _values(headers, b"forwarded")]
        protos = [value.lower() for value in _values(headers, b"x-forwarded-proto")]
        named = [pairs.get("for", "") for pairs in elements]
        found = self._client(listed or named, peer)
        if listed and named and self._client(named, peer) != found:
            return peer, proto
        said = protos[-1] if protos else elements[-1].get("proto", "").lower() if elements else ""
        return found, said if said in ("http", "https") else proto

    def _client(self, hops: Sequence[str], peer: str) -> str:
        """The last hop that is not trusted, as far as the list can be read."""
        found = peer
        for hop in reversed(hops[-_MAX_HOPS:]):
            address = _read(hop)
            if address is None:
                break
            found = address
            if not self._is_trusted(address):
                break
        return found

    def _belongs(self, text: str) -> bool:
        address = _parsed(text)
        return address is not None and any(address in network for network in self._trusted)


def forwarded(scope: Scope) -> list[tuple[bytes, bytes]]:
    """What an upstream is told of the client: `X-Forwarded-For` and `X-Forwarded-Proto`, made anew."""
    state = scope["state"]
    proto = (b"x-forwarded-proto", state["proto"].encode("ascii"))
    client = state["client"]
    return [(b"x-forwarded-for", client.encode("ascii")), proto] if client else [proto]


@lru_cache(4096)
def normal(text: str) -> str:
    """An address in its shortest form, an IPv4 one out of its IPv6 mapping; "" for what is none."""
    address = _parsed(text)
    return "" if address is None else str(address)


@lru_cache(4096)
def subject(address: str) -> str:
    """Whom an address stands for in a limit: itself, or the /64 that every IPv6 client has to itself."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((int(parsed) >> 64 << 64, 64)))
    return address


def _parsed(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            address = IPv6Address(int(address))
        return address.ipv4_mapped or address
    return address


def _read(hop: str) -> str | None:
    """The address of one hop, which may come with a port: `192.0.2.1:80`, `[2001:db8::1]:80`."""
    match = _BRACKETED.match(hop) or _WITH_PORT.match(hop)
    return normal(match[1] if match else hop) or None


def _values(headers: Sequence[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    """The members of a list header, in their order, over all its lines."""
    lines = [value for name, value in headers if name == wanted]
    return [part.strip() for part in b",".join(lines).decode("latin-1").split(",")] if lines else []


def _pairs(element: str) -> dict[str, str]:
    """One element of `Forwarded`; without pairs where it cannot be read, or names one twice."""
    pairs: dict[str, str] = {}
    for part in element.split(";"):
        match = _PAIR.match(part)
        if match is None or match[1].lower() in pairs:
            return {}
        pairs[match[1].lower()] = match[2] if match[2] is not None else match[3]
    return pairs
