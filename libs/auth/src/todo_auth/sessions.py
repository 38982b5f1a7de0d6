"""Better Auth sessions, exchanged at the issuer for tokens, for clients that hold nothing else. Opt-in.

    exchange = SessionExchange(verifier, "https://app.example.com/api/auth/token", origins=[...])
    identity = await exchange.authenticate(headers, method="GET")

Task: T-034 · Spec: plan.md#session-exchange
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

from todo_auth.asgi import Scope
from todo_auth.bearer import bearer_token
from todo_auth.cookies import refuse_cross_site, session_cookie
from todo_auth.errors import CredentialsMissing, InvalidToken
from todo_auth.identity import Extra, Identity, RawHeaders
from todo_auth.token_endpoint import IssuerAway, Session, SessionRefused, SessionsUnavailable, TokenEndpoint
from todo_auth.verifier import Verifier

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SessionState:
    """What a `SessionExchange` holds and has done, for metrics: sessions remembered and refused sessions
    remembered; requests waiting and exchanges under way now; exchanges begun and failed since the start.
    """

    remembered: int
    refused: int
    waiting: int
    exchanging: int
    exchanges: int
    failures: int


@dataclass(frozen=True, slots=True)
class _Known:
    token: str
    recheck_at: float


class SessionExchange(Generic[Extra]):
    """Takes what `Verifier` takes, and Better Auth's opaque session token or session cookie besides.

    A bearer token with two dots or more is a JWT and the verifier's alone. Any other bearer token is sent to
    `token_url` (`{base URL}/api/auth/token`; needs Better Auth's `jwt` and `bearer` plugins), and so is the
    session cookie of a request without an Authorization header; one header, with nothing else of the client's
    request. The JWT that comes back goes through the verifier now and again at every later request. The
    cookie cache (`better-auth.session_data`) is never read.

    `cookie`: the cookie's name, also accepted with `__Secure-` before it, which then counts alone. It is sent
    on under the name it came with, so that the issuer decides which one it believes. `origins`: the pages'
    exact origins, whose requests may rely on the cookie.

    `recheck_s`: a session is asked about again at this age, which is how soon a sign-out is noticed.
    While the issuer fails, a known session goes on until its JWT ends. `refused_s`: for how long a refusal is
    remembered. `retry_s`: how long to wait before asking a failing issuer again. `timeout_s`: of one exchange
    altogether, its wait for a slot included. `remembered`: how many sessions, and as many refusals, are
    kept, the oldest forgotten first. `max_exchanges` run at once and `max_waiting` requests may wait for one;
    past that, 503.

    The issuer sees one address for everybody: let its rate limit for `/token` allow for that. Its 429 pauses
    exchanges for as long as it says, up to a minute.

    Use as an asynchronous context manager, or call `aclose`. The verifier stays the caller's.
    """

    def __init__(
        self,
        verifier: Verifier[Extra],
        token_url: str,
        *,
        origins: Iterable[str] = (),
        cookie: str = "better-auth.session_token",
        recheck_s: float = 60,
        refused_s: float = 5,
        retry_s: float = 2,
        timeout_s: float = 3,
        remembered: int = 10_000,
        max_exchanges: int = 32,
        max_waiting: int = 1_000,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        if min(recheck_s, refused_s, retry_s, timeout_s, remembered, max_exchanges, max_waiting) <= 0:
            raise ValueError("times and limits must be positive")
        self._verifier = verifier
        self._endpoint = TokenEndpoint(token_url, retry_s)
        self._origins = frozenset(origin.encode("ascii") for origin in origins)
        self.cookie = cookie
        self._cookie = cookie.encode("ascii")
        self._recheck_s = recheck_s
        self._refused_s = refused_s
        self._retry_s = retry_s
        self._timeout_s = timeout_s
        self._capacity = remembered
        self._slots = asyncio.Semaphore(max_exchanges)
        self._max_waiting = max_waiting
        self._now = now
        self._known: dict[bytes, _Known] = {}
        self._refused: dict[bytes, float] = {}
        self._flights: dict[bytes, asyncio.Task[str]] = {}
        self._resume_at = 0.0
        self._waiting = 0
        self._exchanges = 0
        self._failures = 0

    @property
    def state(self) -> SessionState:
        """A snapshot for metrics."""
        return SessionState(
            len(self._known),
            len(self._refused),
            self._waiting,
            len(self._flights),
            self._exchanges,
            self._failures,
        )

    async def aclose(self) -> None:
        """Ends the exchanges under way and the HTTP client. Idempotent."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._endpoint.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def authenticate(self, headers: RawHeaders, *, method: str | None = None) -> Identity[Extra]:
        """The identity in raw ASGI headers. Authorization decides where there is one, else the cookie.

        `method`: the request's; without it a cookie must prove where the request comes from, as on an unsafe
        method. Raises CredentialsMissing, InvalidRequest, CookieRepeated, CrossSiteRefused or what `verify`
        raises.
        """
        headers = list(headers)
        if any(name == b"authorization" for name, _ in headers):
            return await self.verify(bearer_token(headers))
        cookie = session_cookie(headers, self._cookie)
        if cookie is None:
            raise CredentialsMissing("neither an Authorization header nor a session cookie")
        refuse_cross_site(headers, method, self._origins)
        return await self._identify(Session.of_cookie(cookie))

    async def authenticate_scope(self, scope: Scope) -> Identity[Extra]:
        """The identity of an ASGI request or WebSocket handshake. A handshake is judged as an unsafe method:
        CORS does not apply to it, so the page that opens it must prove its origin.
        """
        return await self.authenticate(scope["headers"], method=scope.get("method"))

    async def verify(self, token: str) -> Identity[Extra]:
        """The identity in a JWT or behind a session token. Raises SessionRefused, SessionsUnavailable or what
        `Verifier.verify` raises.
        """
        if token.count(".") >= 2:
            return await self._verifier.verify(token)
        return await self._identify(Session.of_token(token))

    async def _identify(self, session: Session) -> Identity[Extra]:
        key = session.key
        now = self._now()
        known = self._known.get(key)
        if known is not None and now < known.recheck_at:
            try:
                return await self._verifier.verify(known.token)
            except InvalidToken:
                known = None  # it has ended, or its key was withdrawn: the issuer may have a new one
        if now < self._refused.get(key, now):
            raise SessionRefused("refused by the issuer a moment ago")
        try:
            token = await self._shared_exchange(key, session)
        except SessionsUnavailable:
            if known is None:
                raise
            token = known.token
        try:
            return await self._verifier.verify(token)
        except InvalidToken as error:
            # The client's session may well be good: its issuer and this verifier do not agree.
            raise SessionsUnavailable(f"the issuer's token is refused: {error.code}") from error

    async def _shared_exchange(self, key: bytes, session: Session) -> str:
        """The token from the one exchange of this session that is under way, begun if there is none."""
        if self._waiting >= self._max_waiting:
            raise SessionsUnavailable("too many requests wait for an exchange")
        if (flight := self._flights.get(key)) is None:
            if self._now() < self._resume_at:
                raise SessionsUnavailable("exchanges are paused", self._resume_at - self._now())
            if len(self._flights) >= self._max_waiting:
                raise SessionsUnavailable("too many exchanges")
            flight = self._flights[key] = asyncio.ensure_future(self._exchange(key, session))
            flight.add_done_callback(_note)
        self._waiting += 1
        try:
            await asyncio.wait([flight])
        finally:
            self._waiting -= 1
        if flight.cancelled():
            raise SessionsUnavailable("closed")
        return flight.result()

    async def _exchange(self, key: bytes, session: Session) -> str:
        """Asks the issuer and remembers what it said."""
        self._exchanges += 1
        try:
            try:
                async with asyncio.timeout(self._timeout_s), self._slots:
                    token = await self._endpoint.exchange(session)
            except TimeoutError as error:
                raise IssuerAway("the issuer does not answer in time", self._retry_s) from error
        except SessionRefused:
            self._known.pop(key, None)
            _keep(self._refused, key, self._now() + self._refused_s, self._capacity)
            raise
        except SessionsUnavailable as error:
            self._failures += 1
            if isinstance(error, IssuerAway):
                self._resume_at = self._now() + error.retry_after_s
            if (known := self._known.get(key)) is not None:
                # Served for a while without asking again.
                self._known[key] = _Known(known.token, self._now() + self._retry_s)
            raise
        else:
            _keep(self._known, key, _Known(token, self._now() + self._recheck_s), self._capacity)
            return token
        finally:
            del self._flights[key]


def _keep(memory: dict[bytes, _T], key: bytes, value: _T, capacity: int) -> None:
    memory.pop(key, None)
    if len(memory) >= capacity:
        del memory[next(iter(memory))]
    memory[key] = value


def _note(flight: asyncio.Task[str]) -> None:
    """Takes note of an outcome that everybody who asked for it may have stopped waiting for."""
    if not flight.cancelled():
        flight.exception()
