"""Better Auth's `/token`: one session shown, one JWT answered, and nothing else sent or believed.

    AuthError
    ├── InvalidToken
    │   └── SessionRefused      401  session_refused
    └── SessionsUnavailable     503  sessions_unavailable
        └── IssuerAway

Task: T-034 · Spec: plan.md#session-exchange
"""

import hashlib
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urlsplit

import httpx

from todo_auth import jws
from todo_auth.errors import AuthError, InvalidToken

_log = logging.getLogger(__name__)

MAX_SESSION_BYTES = 1024
MAX_ANSWER_BYTES = 64 * 1024
MAX_PAUSE_S = 60

_VISIBLE_ASCII = re.compile(rb"[\x21-\x7e]+\Z")


class SessionRefused(InvalidToken):
    """The issuer knows no such session, or knows it no longer."""

    code = "session_refused"
    detail = "The session has ended or is not known. Please sign in again."


class SessionsUnavailable(AuthError):
    """The issuer gave no usable answer, so the session can be called neither good nor bad (503).

    `retry_after_s`: when asking again is worth it; whole seconds in the answer.
    """

    code = "sessions_unavailable"
    status = 503
    detail = "Sign-in cannot be checked at the moment. Please try again shortly."

    def __init__(self, reason: str = "", retry_after_s: float = 2) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}


class IssuerAway(SessionsUnavailable):
    """Nobody answers, or the issuer limits the rate: asking about another session is of no use either."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a client showed, as the one header that is sent on. `key`: its hash, to remember it by.

    Raises SessionRefused for what no session token or cookie can be: nothing of the kind reaches the issuer.
    """

    header: bytes
    value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        credential = self.value.removeprefix(b"Bearer ")
        if len(credential) > MAX_SESSION_BYTES or _VISIBLE_ASCII.match(credential) is None:
            raise SessionRefused(f"not up to {MAX_SESSION_BYTES} visible ASCII characters")

    @classmethod
    def of_token(cls, token: str) -> "Session":
        """A session token, for Better Auth's bearer plugin, with its signature or without."""
        return cls(b"authorization", b"Bearer " + token.encode("utf-8", "surrogatepass"))

    @classmethod
    def of_cookie(cls, cookie: bytes) -> "Session":
        """A session cookie as `name=value`."""
        return cls(b"cookie", cookie)

    @property
    def key(self) -> bytes:
        return hashlib.sha256(self.header + b"\0" + self.value).digest()


class TokenEndpoint:
    """Asks the issuer at `url`. Time limits are the caller's. `retry_s`: see `IssuerAway`."""

    def __init__(self, url: str, retry_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.fragment:
            raise ValueError("token_url must be an http:// or https:// URL without a user or a fragment")
        self._url = url
        self._retry_s = retry_s
        self._client: httpx.AsyncClient | None = None

    async def aclose(self) -> None:
        """Closes the connections. Idempotent."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def exchange(self, session: Session) -> str:
        """The issuer's JWT for a session, not verified.

        Only the issuer's own 401 is a refusal: another status, a redirect, HTML (a proxy's page, whatever its
        status) or what holds no token says nothing about the session. Raises SessionRefused,
        SessionsUnavailable, IssuerAway.
        """
        try:
            status, media_type, headers, document = await self._get(session)
        except httpx.HTTPError as error:
            raise IssuerAway(f"the issuer does not answer ({type(error).__name__})", self._retry_s) from error
        if status == 429:
            raise IssuerAway("the issuer limits the rate", _retry_after(headers, self._retry_s))
        if status == 401 and media_type != "text/html":
            raise SessionRefused("the issuer knows no such session")
        if status != 200:
            raise _unusable(f"status {status}")
        try:
            answer = jws.strict_json(document)
        except ValueError:
            raise _unusable(f"not JSON but {media_type[:40] or 'of no type'}") from None
        token = answer.get("token") if isinstance(answer, dict) else None
        if not isinstance(token, str):
            raise _unusable("no token in it")
        return token

    async def _get(self, session: Session) -> tuple[int, str, httpx.Headers, bytes]:
        if self._client is None:
            # A cookie that the issuer sets for one session must never go out with another one's request.
            jar = CookieJar(DefaultCookiePolicy(allowed_domains=()))
            self._client = httpx.AsyncClient(timeout=None, cookies=jar)
        sent = [(b"accept", b"application/json"), (session.header, session.value)]
        # Made here, and not by the client, which would add headers and cookies of its own.
        request = httpx.Request("GET", self._url, headers=sent)
        send = partial(self._client.send, request, stream=True, follow_redirects=False)
        try:
            response = await send()
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # Most likely a kept connection, closed as the question went out (RFC 9112 §9.3.1): once more.
            response = await send()
        try:
            document = bytearray()
            async for chunk in response.aiter_raw():
                document += chunk
                if len(document) > MAX_ANSWER_BYTES:
                    raise _unusable(f"more than {MAX_ANSWER_BYTES} bytes")
        finally:
            await response.aclose()
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return response.status_code, media_type, response.headers, bytes(document)


def _unusable(what: str) -> SessionsUnavailable:
    _log.warning("the issuer's answer to a session exchange cannot be used: %s", what)
    return SessionsUnavailable(f"the issuer's answer cannot be used: {what}")


def _retry_after(headers: httpx.Headers, default: float) -> float:
    """The seconds that a 429 asks for, within a minute; Better Auth writes them as `X-Retry-After`."""
    value = headers.get("retry-after") or headers.get("x-retry-after") or ""
    seconds = float(value) if re.fullmatch(r"[0-9]{1,6}", value) else default
    return min(max(seconds, 1.0), MAX_PAUSE_S)
