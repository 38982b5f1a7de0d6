"""A Better Auth token in, an Identity out.

Task: T-006 · Spec: plan.md#verifying-tokens
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Self
from urllib.parse import urlsplit

from todo_auth import jws
from todo_auth.errors import (
    AlgorithmRefused,
    AudienceMismatch,
    CredentialsMissing,
    InvalidRequest,
    IssuerMismatch,
    LifetimeTooLong,
    SignatureInvalid,
    TokenExpired,
    TokenMalformed,
    TokenNotYetValid,
)
from todo_auth.identity import LEEWAY_S, MIN_SECRET_BYTES, Identity, RawHeaders, subject
from todo_auth.jwks import ALGORITHMS, KeySet, SigningKey, canonical_algorithm

DEFAULT_MAX_LIFETIME_S = 24 * 3600
REMEMBER_S = 15 * 60
MAX_REMEMBERED_CHARS = 4096


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """Whose tokens are believed, for whom they must be meant, and what they are checked with.

    `issuer`, `audience`: the exact values of `iss` and `aud`. `keys`: for signatures with a key set.
    `secret`: for HS256 under Better Auth's shared secret, at least 32 bytes; HS256 is refused without it, and
    it never meets a key of a set.
    """

    issuer: str
    audience: frozenset[str]
    keys: KeySet | None = None
    secret: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience or not all(self.audience):
            raise ValueError("issuer and audience must not be empty")
        if self.keys is None and self.secret is None:
            raise ValueError("a key set or a secret is needed")
        if self.secret is not None and len(self.secret.encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"the secret must have at least {MIN_SECRET_BYTES} bytes (RFC 7518 §3.2)")

    @classmethod
    def better_auth(
        cls,
        base_url: str,
        *,
        issuer: str | None = None,
        audience: str | Iterable[str] | None = None,
        jwks_url: str | None = None,
        secret: str | None = None,
    ) -> Self:
        """Better Auth at `base_url` (`http://localhost:3000`): issuer and audience are that URL, the keys are
        at `/api/auth/jwks`.

        `jwks_url`: where the keys are reached from here, when that is another address than the public one.
        """
        base = _http_url(base_url)
        return cls(
            issuer or base,
            _audiences(audience) or frozenset({base}),
            KeySet(_http_url(jwks_url) if jwks_url else f"{base}/api/auth/jwks"),
            secret,
        )

    @classmethod
    def neon_auth(
        cls,
        base_url: str,
        *,
        issuer: str | None = None,
        audience: str | Iterable[str] | None = None,
        jwks_url: str | None = None,
    ) -> Self:
        """Neon Auth at `NEON_AUTH_BASE_URL`: issuer and audience are its origin, the keys are at
        `/.well-known/jwks.json` below the whole URL.
        """
        base = _http_url(base_url)
        parts = urlsplit(base)
        origin = f"{parts.scheme}://{parts.netloc}"
        return cls(
            issuer or origin,
            _audiences(audience) or frozenset({origin}),
            KeySet(_http_url(jwks_url) if jwks_url else f"{base}/.well-known/jwks.json"),
        )


@dataclass(frozen=True, slots=True)
class _Remembered:
    identity: Identity
    key: SigningKey | None
    until: float


class Verifier:
    """Verifies access tokens of one issuer or several.

    `max_lifetime_s`: the longest `exp − iat` accepted. `leeway_s`: how far `iat` and `nbf` may lie in the
    future; `exp` has none. `types`: accepted values of `typ` beside its absence. `remembered`: how many good
    tokens are kept, each until it expires, its key is withdrawn or 15 minutes have passed.

    Use as an asynchronous context manager, or call `aclose`.
    """

    def __init__(
        self,
        *issuers: TrustedIssuer,
        max_lifetime_s: float = DEFAULT_MAX_LIFETIME_S,
        leeway_s: float = LEEWAY_S,
        types: Iterable[str] = ("JWT",),
        remembered: int = 10_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._issuers = {trusted.issuer: trusted for trusted in issuers}
        if not issuers or len(self._issuers) != len(issuers):
            raise ValueError("one issuer or several different ones are needed")
        self._max_lifetime_s = max_lifetime_s
        self._leeway_s = leeway_s
        self._types: frozenset[str | None] = frozenset({None, *(name.lower() for name in types)})
        self._capacity = remembered
        self._now = now
        self._remembered: dict[str, _Remembered] = {}

    @property
    def is_ready(self) -> bool:
        """Whether tokens can be judged now: every key set has been had, and not too long ago."""
        return all(trusted.keys is None or trusted.keys.is_usable for trusted in self._issuers.values())

    async def start(self) -> None:
        """Fetches every key set, so that the first request need not wait. An issuer that does not answer is
        no error here.
        """
        for trusted in self._issuers.values():
            if trusted.keys is not None:
                await trusted.keys.refresh()

    async def aclose(self) -> None:
        """Ends the key sets' background work."""
        for trusted in self._issuers.values():
            if trusted.keys is not None:
                await trusted.keys.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def authenticate(self, headers: RawHeaders) -> Identity:
        """The identity in raw ASGI headers. Raises CredentialsMissing, InvalidRequest, or what `verify`
        raises.
        """
        return await self.verify(bearer_token(headers))

    async def verify(self, token: str) -> Identity:
        """The identity in a compact JWS. Raises an InvalidToken by its reason, or KeysUnavailable."""
        now = self._now()
        entry = self._remembered.get(token)
        if entry is not None:
            if now < entry.until and not (entry.key is not None and entry.key.withdrawn):
                return entry.identity
            del self._remembered[token]
        unverified = jws.read(token, types=self._types)
        trusted = self._trusted(unverified)
        if unverified.algorithm == "HS256":
            key = None
            self._check_shared_secret(unverified, trusted)
        else:
            key = await self._key(unverified, trusted)
            if not key.verifies(unverified.signing_input, unverified.signature):
                raise SignatureInvalid("not this key's signature")
        # The clock is read again: fetching keys may have taken a while.
        identity = self._judge(unverified, trusted, now := self._now())
        self._remember(token, _Remembered(identity, key, min(identity.expires_at, now + REMEMBER_S)))
        return identity

    def _trusted(self, unverified: jws.UnverifiedToken) -> TrustedIssuer:
        issuer = unverified.claims.get("iss")
        trusted = self._issuers.get(issuer) if isinstance(issuer, str) else None
        if trusted is None:
            raise IssuerMismatch("iss is missing or not trusted")
        return trusted

    async def _key(self, unverified: jws.UnverifiedToken, trusted: TrustedIssuer) -> SigningKey:
        algorithm = canonical_algorithm(unverified.algorithm)
        if algorithm not in ALGORITHMS or trusted.keys is None:
            raise AlgorithmRefused(f"alg is {unverified.algorithm[:32]!r}")
        return trusted.keys.known(unverified.key_id, algorithm) or await trusted.keys.find(
            unverified.key_id, algorithm
        )

    def _check_shared_secret(self, unverified: jws.UnverifiedToken, trusted: TrustedIssuer) -> None:
        if trusted.secret is None:
            raise AlgorithmRefused("HS256 without a shared secret configured")
        digest = hmac.digest(trusted.secret.encode(), unverified.signing_input, hashlib.sha256)
        if not hmac.compare_digest(digest, unverified.signature):
            raise SignatureInvalid("not under the shared secret")

    def _judge(self, unverified: jws.UnverifiedToken, trusted: TrustedIssuer, now: float) -> Identity:
        """The claims of a token whose signature is good (RFC 7519 §4.1)."""
        claims = unverified.claims
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if not any(isinstance(item, str) and item in trusted.audience for item in audiences):
            raise AudienceMismatch("aud is missing or for somebody else")
        expires_at = _date(claims, "exp")
        if expires_at is None:
            raise TokenMalformed("exp is missing")
        if expires_at <= now:
            raise TokenExpired("exp has passed")
        issued_at = _date(claims, "iat")
        not_before = _date(claims, "nbf")
        if max(issued_at or 0, not_before or 0) > now + self._leeway_s:
            raise TokenNotYetValid("iat or nbf is in the future")
        if expires_at - (now if issued_at is None else issued_at) > self._max_lifetime_s:
            raise LifetimeTooLong(f"it lives longer than {self._max_lifetime_s} s")
        user = claims.get("sub")
        if user is None and unverified.algorithm == "HS256":
            user = claims.get("id")
        return Identity(subject(user), trusted.issuer, expires_at, MappingProxyType(dict(claims)))

    def _remember(self, token: str, entry: _Remembered) -> None:
        if len(token) > MAX_REMEMBERED_CHARS or self._capacity < 1:
            return
        if len(self._remembered) >= self._capacity:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[token] = entry


def bearer_token(headers: RawHeaders) -> str:
    """The bearer token of raw ASGI headers (RFC 6750 §2.1). Raises CredentialsMissing without one,
    InvalidRequest for two headers or another form.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if not values:
        raise CredentialsMissing("no Authorization header")
    if len(values) > 1:
        raise InvalidRequest(f"{len(values)} Authorization headers")
    scheme, _, token = values[0].decode("latin-1").strip(" \t").partition(" ")
    if scheme.lower() != "bearer":
        raise CredentialsMissing("another scheme than Bearer")
    token = token.strip(" ")
    if not token or " " in token or "," in token:
        raise InvalidRequest("not one token after Bearer")
    return token


def _date(claims: jws.Claims, name: str) -> float | None:
    """A NumericDate claim (RFC 7519 §2), None when absent. Raises TokenMalformed."""
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 2**53:
        raise TokenMalformed(f"{name} is not a number")
    return value


def _audiences(audience: str | Iterable[str] | None) -> frozenset[str]:
    if audience is None:
        return frozenset()
    return frozenset({audience} if isinstance(audience, str) else audience)


def _http_url(url: str) -> str:
    """An http(s) URL without the slash at its end. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("an http:// or https:// URL without query is needed")
    return url.rstrip("/")
