"""Who a request is from: the Identity, and the token that carries it from the gateway to a service.

The token is a transaction token (draft-ietf-oauth-transaction-tokens): a JWT of type `txntoken+jwt` in the
header `Txn-Token`, HS256 under a secret that only the gateway and the services of one trust domain hold.
`X-User-Id` goes beside it for services that want no more than a name; alone it proves nothing.

Task: T-008 · Spec: plan.md#internal-identity
"""

import hashlib
import hmac
import json
import re
import secrets as randomness
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic

from typing_extensions import TypeVar

from todo_auth import jws
from todo_auth.errors import (
    AlgorithmRefused,
    AudienceMismatch,
    CredentialsMissing,
    IssuerMismatch,
    LifetimeTooLong,
    SignatureInvalid,
    SubjectInvalid,
    TokenExpired,
    TokenMalformed,
    TokenNotYetValid,
)

RawHeaders = Iterable[tuple[bytes, bytes]]

USER_ID_HEADER = b"x-user-id"
TXN_TOKEN_HEADER = b"txn-token"
TXN_TOKEN_TYPE = "txntoken+jwt"
MAX_TXN_LIFETIME_S = 60
MIN_SECRET_BYTES = 32
LEEWAY_S = 30

Extra = TypeVar("Extra", covariant=True, default=object)
"""The application's own model of the claims; plain `Identity` stands for any."""

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,255}\Z")


@dataclass(frozen=True, slots=True)
class Identity(Generic[Extra]):
    """A verified user. `user_id` is the token's `sub`; `expires_at` is seconds since the epoch; `claims` is
    the whole payload, read-only; `extra` is what the verifier's `claims` made of it, None without one.

    One identity serves every request with the same token: what lies inside `claims` and `extra` is not to be
    changed.
    """

    user_id: str
    issuer: str
    expires_at: float
    claims: Mapping[str, object]
    extra: Extra = None  # type: ignore[assignment]  # only an Identity[object] is made without it


def subject(value: object) -> str:
    """A `sub` that can be a header: 1 to 255 visible ASCII characters. Raises SubjectInvalid."""
    if not isinstance(value, str) or _VISIBLE_ASCII.match(value) is None:
        raise SubjectInvalid("sub is missing or not 1 to 255 visible ASCII characters")
    return value


def secret_keys(secrets: Sequence[str]) -> tuple[bytes, ...]:
    """The HMAC keys of `IDENTITY_SECRET`. Raises ValueError for none, or one under 32 bytes (RFC 7518
    §3.2).
    """
    keys = tuple(secret.encode() for secret in secrets)
    if not keys:
        raise ValueError("at least one secret is needed")
    if any(len(key) < MIN_SECRET_BYTES for key in keys):
        raise ValueError(f"every secret must have at least {MIN_SECRET_BYTES} bytes")
    return keys


class IdentityMinter:
    """Mints the token by which the gateway vouches for a user.

    `secrets`: the first one signs. `lifetime_s`: at most 60. `remembered`: for how many users a token is
    kept; one is reused for half of its life, so that the hot path does not sign.
    """

    def __init__(
        self,
        secrets: Sequence[str],
        *,
        issuer: str = "todo-gateway",
        audience: str = "todo",
        lifetime_s: int = MAX_TXN_LIFETIME_S,
        remembered: int = 10_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        if not 1 <= lifetime_s <= MAX_TXN_LIFETIME_S:
            raise ValueError(f"lifetime_s must be 1 to {MAX_TXN_LIFETIME_S}")
        self._key = secret_keys(secrets)[0]
        self._issuer = issuer
        self._audience = audience
        self._lifetime_s = lifetime_s
        self._capacity = remembered
        self._now = now
        self._header = jws.encode(
            json.dumps({"alg": "HS256", "typ": TXN_TOKEN_TYPE}, separators=(",", ":")).encode()
        )
        self._minted: dict[str, tuple[str, float]] = {}

    def mint(self, user_id: str) -> str:
        """A token for this user that is valid for at least half of `lifetime_s`. Raises SubjectInvalid."""
        now = self._now()
        minted = self._minted.get(user_id)
        if minted is not None and now < minted[1]:
            return minted[0]
        issued_at = int(now)
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subject(user_id),
            "iat": issued_at,
            "exp": issued_at + self._lifetime_s,
            "txn": randomness.token_urlsafe(16),
        }
        signing_input = f"{self._header}.{jws.encode(json.dumps(claims, separators=(',', ':')).encode())}"
        token = (
            f"{signing_input}.{jws.encode(hmac.digest(self._key, signing_input.encode(), hashlib.sha256))}"
        )
        self._minted.pop(user_id, None)
        if self._capacity > 0:
            if len(self._minted) >= self._capacity:
                del self._minted[next(iter(self._minted))]
            self._minted[user_id] = (token, now + self._lifetime_s / 2)
        return token


class IdentityVerifier:
    """Verifies what the gateway vouches for, at a service's door.

    `secrets`: all of them verify, so that one can be rotated. A verified token is remembered until its `exp`.
    A Better Auth token is refused here (its `typ` and `aud` are others), as this one is refused at the
    gateway's public door.
    """

    def __init__(
        self,
        secrets: Sequence[str],
        *,
        issuer: str = "todo-gateway",
        audience: str = "todo",
        remembered: int = 10_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = secret_keys(secrets)
        self._issuer = issuer
        self._audience = audience
        self._capacity = remembered
        self._now = now
        self._verified: dict[str, Identity] = {}

    async def authenticate(self, headers: RawHeaders) -> Identity:
        """The identity that raw ASGI headers carry. Raises CredentialsMissing, TokenMalformed (repeated) or
        what `verify` raises.
        """
        tokens: list[bytes] = []
        users: list[bytes] = []
        for name, value in headers:
            if name == TXN_TOKEN_HEADER:
                tokens.append(value)
            elif name == USER_ID_HEADER:
                users.append(value)
        if not tokens or not users:
            raise CredentialsMissing("Txn-Token or X-User-Id is missing")
        if len(tokens) > 1 or len(users) > 1:
            raise TokenMalformed("Txn-Token or X-User-Id is repeated")
        return self.verify(tokens[0].decode("latin-1"), users[0].decode("latin-1"))

    def verify(self, token: str, user_id: str) -> Identity:
        """The identity in `token`, which must be `user_id`'s.

        Raises TokenTooLarge, TokenMalformed, AlgorithmRefused, TypeRefused, SignatureInvalid, IssuerMismatch,
        AudienceMismatch, LifetimeTooLong, TokenNotYetValid, TokenExpired, SubjectInvalid.
        """
        now = self._now()
        identity = self._verified.get(token)
        if identity is None:
            identity = self._verify(token, now)
            if self._capacity > 0:
                if len(self._verified) >= self._capacity:
                    del self._verified[next(iter(self._verified))]
                self._verified[token] = identity
        elif identity.expires_at <= now:
            del self._verified[token]
            raise TokenExpired("exp has passed")
        if identity.user_id != user_id:
            raise SubjectInvalid("X-User-Id is not the token's sub")
        return identity

    def _verify(self, token: str, now: float) -> Identity:
        unverified = jws.read(token, types=frozenset({TXN_TOKEN_TYPE}))
        if unverified.algorithm != "HS256":
            raise AlgorithmRefused(f"alg is {unverified.algorithm!r}")
        digests = [hmac.digest(key, unverified.signing_input, hashlib.sha256) for key in self._keys]
        if not any([hmac.compare_digest(digest, unverified.signature) for digest in digests]):
            raise SignatureInvalid("under none of the secrets")
        claims = unverified.claims
        if claims.get("iss") != self._issuer:
            raise IssuerMismatch("iss is not the gateway")
        if claims.get("aud") != self._audience:
            raise AudienceMismatch("aud is another trust domain")
        issued_at, expires_at = jws.numeric_date(claims, "iat"), jws.numeric_date(claims, "exp")
        if issued_at is None or expires_at is None:
            raise TokenMalformed("iat or exp is missing")
        if not 0 < expires_at - issued_at <= MAX_TXN_LIFETIME_S:
            raise LifetimeTooLong(f"exp - iat is not within {MAX_TXN_LIFETIME_S} s")
        if max(issued_at, jws.numeric_date(claims, "nbf") or issued_at) > now + LEEWAY_S:
            raise TokenNotYetValid("iat or nbf is in the future")
        if expires_at <= now:
            raise TokenExpired("exp has passed")
        if not isinstance(claims.get("txn"), str):
            raise TokenMalformed("txn is missing")
        return Identity(subject(claims.get("sub")), self._issuer, expires_at, MappingProxyType(dict(claims)))
