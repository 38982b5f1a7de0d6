"""The issuers whose tokens are believed.

Task: T-006 · Spec: plan.md#verifying-tokens
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from todo_auth.identity import MIN_SECRET_BYTES
from todo_auth.jwks import KeySet


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
        # Membership in a string is another question: every part of it would be believed.
        if isinstance(self.audience, str):  # type: ignore[unreachable]  # for callers without types
            raise ValueError("audience must be a set of strings")
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
        keys: KeySet | None = None,
        secret: str | None = None,
    ) -> Self:
        """Better Auth at `base_url` (`http://localhost:3000`): issuer and audience are that URL, the keys are
        at `/api/auth/jwks`.

        `jwks_url`: where the keys are reached from here, when that is another address than the public one.
        `keys`: a key set of one's own settings instead, or one that is never fetched.
        """
        base = _http_url(base_url)
        return cls(
            issuer or base,
            _audiences(audience) or frozenset({base}),
            keys or KeySet(_http_url(jwks_url) if jwks_url else f"{base}/api/auth/jwks"),
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
        keys: KeySet | None = None,
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
            keys or KeySet(_http_url(jwks_url) if jwks_url else f"{base}/.well-known/jwks.json"),
        )


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
