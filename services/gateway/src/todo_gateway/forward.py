"""One request out, one answer back.

Task: T-024 · Spec: plan.md#forwarding
"""

import json
import logging
import math
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from time import perf_counter
from typing import Protocol

from starlette.types import Receive, Scope, Send
from todo_auth import Identity, IdentityMinter, UserMismatch
from todo_auth.identity import TXN_TOKEN_HEADER, USER_ID_HEADER
from todo_service.problems import Problem
from todo_service.requests import request_id

from todo_gateway import paths
from todo_gateway.client_address import forwarded
from todo_gateway.disconnect import ClientLeft, WhileConnected
from todo_gateway.upstream import (
    ConnectFailed,
    ConnectTimeout,
    LocalProtocolError,
    PoolClosed,
    PoolTimeout,
    ReadTimeout,
    Response,
    Unavailable,
    UpstreamError,
    WriteTimeout,
)

Headers = list[tuple[bytes, bytes]]

# RFC 9110 §7.6.1, and the framing of either side, which belongs to that side alone.
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"content-length",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# What the client gave to the gateway and to nobody else, and what it may not say about itself.
_KEPT_BACK = _HOP_BY_HOP | {
    b"authorization",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"origin",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-prefix",
    b"x-forwarded-proto",
    b"x-real-ip",
    b"x-request-id",
}
# What this server says for itself.
_NOT_RETURNED = _HOP_BY_HOP | {
    b"access-control-allow-credentials",
    b"access-control-allow-headers",
    b"access-control-allow-methods",
    b"access-control-allow-origin",
    b"access-control-expose-headers",
    b"access-control-max-age",
    b"date",
    b"server",
    b"set-cookie",
    b"www-authenticate",
    b"x-powered-by",
}
_VIA = (b"via", b"1.1 todo-gateway")  # RFC 9110 §7.6.3: a gateway must
_MOST_UNDER_WAY = 128

_log = logging.getLogger(__name__)


class Upstream(Protocol):
    """What requests are passed on to: a `Pool`, or a `Balance` over several."""

    async def request(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: bytes | AsyncIterable[bytes] | None,
        *,
        length: int | None = None,
    ) -> Response: ...


def tasks_path(scope: Scope) -> str:
    """The canonical path of a request for the tasks service. Raises Problem 404, UserMismatch (403)."""
    path = paths.read(scope["raw_path"])
    if path is None or path.canonical is None:
        raise Problem(404, "There is nothing at this address.")
    if path.user_id is not None and path.user_id != scope["state"]["identity"].user_id:
        raise UserMismatch("the path names another user")
    return path.canonical


def plain_path(strip: str = "") -> Callable[[Scope], str]:
    """Reads the path of a request for any other service, without the prefix that it does not know; the
    reader raises Problem 404.
    """

    def read(scope: Scope) -> str:
        path = paths.read(scope["raw_path"])
        if path is None:
            raise Problem(404, "There is nothing at this address.")
        return path.normal[len(strip) :] or "/"

    return read


class Forward:
    """The ASGI application behind `Authenticate`: reads the path, vouches for the user, passes the request on
    and the answer back. When the client leaves, the request to the upstream ends with it.

    `read`: from the scope to the path that the upstream is asked for. `refusals`: which of 401 and 403 the
    upstream may say to the client; any other means that it refused the gateway. Without an identity in the
    scope's state, none is passed on. `max_under_way`: requests of one user, or of one address without an
    identity, at a time; who sends or takes bodies slowly would otherwise hold every place and every
    connection. It leaves in the state `upstream`, the address that answered, and `upstream_s`, the seconds
    until it did.

    Raises what `read` does, Problem 429 (too many under way), 502 (no sound answer, or one that blames the
    gateway), 503 (not reachable), 504 (too slow).
    """

    def __init__(
        self,
        upstream: Upstream,
        minter: IdentityMinter,
        read: Callable[[Scope], str] = tasks_path,
        refusals: frozenset[int] = frozenset(),
        max_under_way: int = _MOST_UNDER_WAY,
    ) -> None:
        self._upstream = upstream
        self._minter = minter
        self._read = read
        self._refusals = refusals
        self._max_under_way = max_under_way
        self._under_way: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Streams a large body either way; a small one goes in one piece."""
        identity: Identity | None = scope["state"].get("identity")
        who = scope["state"].get("client", "") if identity is None else identity.user_id
        under_way = self._under_way.get(who, 0)
        if under_way >= self._max_under_way:
            raise Problem(
                429,
                "Too many of your requests are under way at the same time.",
                code="too_many_under_way",
                headers={"Retry-After": "1"},
            )
        self._under_way[who] = under_way + 1
        try:
            await self._forward(scope, receive, send, identity)
        finally:
            under_way = self._under_way.pop(who) - 1
            if under_way:
                self._under_way[who] = under_way

    async def _forward(self, scope: Scope, receive: Receive, send: Send, identity: Identity | None) -> None:
        state = scope["state"]
        path = self._read(scope)
        if query := scope["query_string"]:
            path = f"{path}?{query.decode('latin-1')}"
        headers = end_to_end(scope["headers"], _KEPT_BACK)
        headers += [(b"x-request-id", request_id(scope).encode("ascii")), _VIA]
        if identity is not None:
            headers += [
                (USER_ID_HEADER, identity.user_id.encode("ascii")),
                (TXN_TOKEN_HEADER, self._minter.mint(identity.user_id).encode("ascii")),
            ]
        if "client" in state:
            headers += forwarded(scope)
        try:
            with WhileConnected(receive) as client:
                body, length = await _read_body(scope["headers"], receive, client)
                began_at = perf_counter()
                try:
                    response = await self._upstream.request(
                        scope["method"].encode("ascii"), path.encode("latin-1"), headers, body, length=length
                    )
                except UpstreamError as error:
                    raise problem_of(error) from error
                finally:
                    state["upstream_s"] = perf_counter() - began_at
                state["upstream"] = response.origin
                try:
                    if response.status in (401, 403) and not self._may_refuse(response):
                        _log.error("the service refused the gateway: do both have the same IDENTITY_SECRET?")
                        raise Problem(502, "The service behind the gateway did not accept the request.")
                    await _pass_back(response, send, without_body=scope["method"] == "HEAD")
                finally:
                    await response.aclose()
        except ClientLeft:
            return

    def _may_refuse(self, response: Response) -> bool:
        return response.status in self._refusals or _blames_the_user(response)


def end_to_end(headers: Iterable[tuple[bytes, bytes]], without: frozenset[bytes]) -> Headers:
    """The headers that go on to the other side: not those in `without`, nor those that `Connection` names
    (RFC 9110 §7.6.1).
    """
    kept = [header for header in headers if header[0] not in without]
    named = [value for name, value in headers if name == b"connection"]
    if named:
        options = {option.strip().lower() for option in b",".join(named).split(b",")}
        kept = [header for header in kept if header[0] not in options]
    return kept


def problem_of(error: UpstreamError) -> Problem:
    """What the client is told of an upstream that did not answer: what to do, not what is broken."""
    _log.warning("upstream: %s: %s", type(error).__name__, error)
    if isinstance(error, ConnectFailed | ConnectTimeout | PoolTimeout | PoolClosed | Unavailable):
        wait_s = error.retry_after_s if isinstance(error, Unavailable) else 1
        return Problem(
            503,
            "The service is not reachable at the moment. Please try again shortly.",
            headers={"Retry-After": str(max(1, math.ceil(wait_s)))},
        )
    if isinstance(error, ReadTimeout | WriteTimeout):
        return Problem(504, "The service did not answer in time.")
    if isinstance(error, LocalProtocolError):
        return Problem(400, "The request cannot be passed on as it is.")
    return Problem(502, "The service behind the gateway gave no sound answer.")


async def _read_body(
    headers: Iterable[tuple[bytes, bytes]], receive: Receive, client: WhileConnected
) -> tuple[bytes | AsyncIterator[bytes] | None, int | None]:
    """The body as bytes when it is here in one piece, else as a stream with its declared length; None when
    there is none. The client is watched from the end of the body.

    Only here, behind authentication, is a client told to go on that sent `Expect: 100-continue`: the server
    says so when the body is first asked for.
    """
    declared = None
    has_body = False
    for name, value in headers:
        if name == b"content-length":
            declared = int(value)
            has_body = declared > 0
        elif name == b"transfer-encoding":
            has_body = True
    if not has_body:
        client.watch()
        return None, None
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientLeft
    first: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        client.watch()
        return first, None

    async def rest() -> AsyncIterator[bytes]:
        chunk, more = first, True
        while True:
            if chunk:
                yield chunk
            if not more:
                client.watch()
                return
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            chunk, more = message.get("body", b""), message.get("more_body", False)

    return rest(), declared


def _blames_the_user(response: Response) -> bool:
    """Whether a 403 is meant for the client: the service says that the user is no more, in a problem
    document.
    """
    if response.status != 403 or response.body is None:
        return False
    try:
        document = json.loads(response.body)
        return bool(document["error"]["code"] == "user_deleted")
    except (ValueError, KeyError, TypeError):
        return False


async def _pass_back(response: Response, send: Send, *, without_body: bool) -> None:
    headers = end_to_end(response.headers, _NOT_RETURNED)
    body = response.body
    if body is None or without_body or response.status == 304:
        headers += [header for header in response.headers if header[0] == b"content-length"]
    elif response.status != 204:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if body is None:
        try:
            async for chunk in response.stream():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except UpstreamError as error:
            # The answer is left unfinished, so that the server closes the connection: nobody takes half for
            # whole.
            _log.warning("upstream: %s halfway through an answer: %s", type(error).__name__, error)
            return
    await send({"type": "http.response.body", "body": body or b""})
