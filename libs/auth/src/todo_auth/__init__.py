"""Better Auth tokens in Python: verified with the issuer's key set, and handed on as an internal identity.

    verifier = Verifier(TrustedIssuer.better_auth("http://localhost:3000"))
    identity = await verifier.verify(token)

Task: T-006 · Spec: plan.md#verifying-tokens
"""

from todo_auth.asgi import Authenticate
from todo_auth.errors import (
    AuthError,
    ClaimsInvalid,
    CredentialsMissing,
    InvalidRequest,
    InvalidToken,
    KeysUnavailable,
    UserMismatch,
)
from todo_auth.identity import Identity, IdentityMinter, IdentityVerifier
from todo_auth.issuers import TrustedIssuer
from todo_auth.jwks import KeySet, KeySetState
from todo_auth.key_export import SeedRefused
from todo_auth.sync import SyncVerifier
from todo_auth.verifier import Verifier

__all__ = [
    "AuthError",
    "Authenticate",
    "ClaimsInvalid",
    "CredentialsMissing",
    "Identity",
    "IdentityMinter",
    "IdentityVerifier",
    "InvalidRequest",
    "InvalidToken",
    "KeySet",
    "KeySetState",
    "KeysUnavailable",
    "SeedRefused",
    "SyncVerifier",
    "TrustedIssuer",
    "UserMismatch",
    "Verifier",
]
