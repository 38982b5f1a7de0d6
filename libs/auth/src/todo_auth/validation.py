"""Decides about a token, and waits for nothing: what the verifiers for coroutines and for threads share.

Task: T-006 · Spec: plan.md#verifying-tokens
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic

from todo_auth import jws
from todo_auth.errors import (
    AlgorithmRefused,
    AudienceMismatch,
    ClaimsInvalid,
    IssuerMismatch,
    LifetimeTooLong,
    SignatureInvalid,
    TokenExpired,
    TokenMalformed,
    TokenNotYetValid,
)
from todo_auth.identity import Extra, Identity, subject
from todo_auth.issuers import TrustedIssuer
from todo_auth.jwk import ALGORITHMS, SigningKey, canonical_algorithm
from todo_auth.jwks import KeySet

REMEMBER_S = 15 * 60
MAX_REMEMBERED_CHARS = 4096


@dataclass(frozen=True, slots=True)
class Examined:
    """A token whose form and issuer are right, and the key set that has its key; `keys` is None for
    HS256, which never meets one. `algorithm` is the canonical name.
    """

    token: str
    unverified: jws.UnverifiedToken
    issuer: TrustedIssuer
    algorithm: str
    keys: KeySet | None


@dataclass(frozen=True, slots=True)
class _Remembered(Generic[Extra]):
    identity: Identity[Extra]
    key: SigningKey | None
    until: float


class Validator(Generic[Extra]):
    """Judges tokens in three steps: `recall` one that is remembered; else `examine` it, get its key,
    `accept` it.

    The parameters are those of `Verifier`. May be used by several threads at once.
    """

    def __init__(
        self,
        issuers: Iterable[TrustedIssuer],
        *,
        max_lifetime_s: float,
        leeway_s: float,
        types: Iterable[str],
        claims: Callable[[dict[str, object]], Extra] | None,
        remembered: int,
        now: Callable[[], float],
    ) -> None:
        trusted = tuple(issuers)
        self._issuers = {issuer.issuer: issuer for issuer in trusted}
        if not trusted or len(self._issuers) != len(trusted):
            raise ValueError("one issuer or several different ones are needed")
        self._max_lifetime_s = max_lifetime_s
        self._leeway_s = leeway_s
        self._types: frozenset[str | None] = frozenset({None, *(name.lower() for name in types)})
        self._model = claims
        self._capacity = remembered
        self._now = now
        # The oldest goes first, in use or not: so a hit writes nothing, and a flood of good tokens costs the
        # others a verification now and then. OrderedDict, because its popitem is one step for other threads.
        self._remembered: OrderedDict[str, _Remembered[Extra]] = OrderedDict()

    @property
    def key_sets(self) -> list[KeySet]:
        """The issuers' key sets, each once."""
        return list({id(i.keys): i.keys for i in self._issuers.values() if i.keys is not None}.values())

    @property
    def is_ready(self) -> bool:
        """Whether tokens of some issuer can be judged now."""
        return any(issuer.keys is None or issuer.keys.is_usable for issuer in self._issuers.values())

    def recall(self, token: str) -> Identity[Extra] | None:
        """The identity of a token that is remembered and still holds."""
        try:
            entry = self._remembered.get(token)
        except TypeError:
            return None  # not hashable, so no string; `examine` says so
        if entry is None:
            return None
        if self._now() < entry.until and not (entry.key is not None and entry.key.withdrawn):
            return entry.identity
        self._remembered.pop(token, None)
        return None

    def examine(self, token: str) -> Examined:
        """Reads a token and says which key set has its key. Raises an InvalidToken by its reason."""
        unverified = jws.read(token, types=self._types)
        name = unverified.claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise IssuerMismatch("iss is missing or not trusted")
        algorithm = canonical_algorithm(unverified.algorithm)
        if algorithm == "HS256":
            return Examined(token, unverified, issuer, algorithm, None)
        if algorithm not in ALGORITHMS or issuer.keys is None:
            raise AlgorithmRefused(f"alg is {unverified.algorithm[:32]!r}")
        return Examined(token, unverified, issuer, algorithm, issuer.keys)

    def accept(self, examined: Examined, key: SigningKey | None) -> Identity[Extra]:
        """Checks signature and claims, and remembers the token. `key`: from `examined.keys`, None for HS256.
        Raises an InvalidToken by its reason.
        """
        unverified = examined.unverified
        if key is None:
            _check_shared_secret(unverified, examined.issuer)
        elif not key.verifies(unverified.signing_input, unverified.signature):
            raise SignatureInvalid("not this key's signature")
        now = self._now()
        identity = self._judge(unverified, examined.issuer, now)
        self._remember(examined.token, _Remembered(identity, key, min(identity.expires_at, now + REMEMBER_S)))
        return identity

    def _judge(self, unverified: jws.UnverifiedToken, issuer: TrustedIssuer, now: float) -> Identity[Extra]:
        """The claims of a token whose signature is good (RFC 7519 §4.1)."""
        claims = unverified.claims
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if not any(isinstance(item, str) and item in issuer.audience for item in audiences):
            raise AudienceMismatch("aud is missing or for somebody else")
        expires_at = jws.numeric_date(claims, "exp")
        if expires_at is None:
            raise TokenMalformed("exp is missing")
        if expires_at <= now:
            raise TokenExpired("exp has passed")
        issued_at = jws.numeric_date(claims, "iat")
        not_before = jws.numeric_date(claims, "nbf")
        if max(issued_at or 0, not_before or 0) > now + self._leeway_s:
            raise TokenNotYetValid("iat or nbf is in the future")
        if expires_at - (now if issued_at is None else issued_at) > self._max_lifetime_s:
            raise LifetimeTooLong(f"it lives longer than {self._max_lifetime_s} s")
        user = claims.get("sub")
        if user is None and unverified.algorithm == "HS256":
            user = claims.get("id")
        user_id, payload = subject(user), MappingProxyType(dict(claims))
        if self._model is None:
            return Identity(user_id, issuer.issuer, expires_at, payload)
        return Identity(user_id, issuer.issuer, expires_at, payload, self._fit(claims, self._model))

    def _fit(self, claims: Mapping[str, object], model: Callable[[dict[str, object]], Extra]) -> Extra:
        try:
            return model(dict(claims))
        except (ValueError, TypeError, LookupError) as error:
            # The error's own text may show what the token says.
            raise ClaimsInvalid(f"the claims do not fit ({type(error).__name__})") from error

    def _remember(self, token: str, entry: _Remembered[Extra]) -> None:
        if len(token) > MAX_REMEMBERED_CHARS or self._capacity < 1:
            return
        self._remembered[token] = entry
        if len(self._remembered) > self._capacity:
            with suppress(KeyError):
                self._remembered.popitem(last=False)


def _check_shared_secret(unverified: jws.UnverifiedToken, issuer: TrustedIssuer) -> None:
    if issuer.secret is None or unverified.algorithm != "HS256":
        raise AlgorithmRefused("HS256 without a shared secret configured")
    digest = hmac.digest(issuer.secret.encode(), unverified.signing_input, hashlib.sha256)
    if not hmac.compare_digest(digest, unverified.signature):
        raise SignatureInvalid("not under the shared secret")
