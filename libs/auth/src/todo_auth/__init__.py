"""Better Auth tokens in Python: verified with the issuer's key set, and handed on as an internal identity.

    verifier = Verifier(TrustedIssuer.better_auth("http://localhost:3000"))
    identity = await verifier.verify(token)

Task: T-006 · Spec: plan.md#verifying-tokens
"""

from todo_auth.asgi import Authenticate
from todo_auth.errors import (
    AuthError,
    CredentialsMissing,
    InvalidRequest,
    InvalidToken,
    KeysUnavailable,
    UserMismatch,
)
from todo_auth.identity import Identity, IdentityMinter, IdentityVerifier
from todo_auth.jwks import KeySet
from todo_auth.verifier import TrustedIssuer, Verifier

__all__ = [
    "AuthError",
    "Authenticate",
    "CredentialsMissing",
    "Identity",
    "IdentityMinter",
    "IdentityVerifier",
    "InvalidRequest",
    "InvalidToken",
    "KeySet",
    "KeysUnavailable",
    "TrustedIssuer",
    "UserMismatch",
    "Verifier",
]
