"""Every way a credential fails, each with the answer RFC 6750 gives it.

    AuthError
    ├── CredentialsMissing      401  credentials_missing
    ├── InvalidRequest          400  invalid_request
    ├── InvalidToken            401  one code per reason
    │   ├── TokenMalformed           token_malformed
    │   ├── TokenTooLarge            token_too_large
    │   ├── AlgorithmRefused         algorithm_refused
    │   ├── TypeRefused              type_refused
    │   ├── KeyUnknown               key_unknown
    │   ├── SignatureInvalid         signature_invalid
    │   ├── TokenExpired             token_expired
    │   ├── TokenNotYetValid         token_not_yet_valid
    │   ├── LifetimeTooLong          lifetime_too_long
    │   ├── IssuerMismatch           issuer_mismatch
    │   ├── AudienceMismatch         audience_mismatch
    │   ├── SubjectInvalid           subject_invalid
    │   └── ClaimsInvalid            claims_invalid
    ├── UserMismatch            403  user_mismatch
    └── KeysUnavailable         503  keys_unavailable

`code` and the exception's own text are for logs; `status`, `detail` and `headers` are for the client, and
tell it no more than it needs.

Task: T-009 · Spec: plan.md#auth-errors
"""

from collections.abc import Mapping
from typing import ClassVar

_CHALLENGE = 'Bearer realm="api"'


class AuthError(Exception):
    """A request whose credentials do not let it through.

    `code`: stable, for logs. `status`: the HTTP status. `detail`: one public sentence. `headers`: of the
    answer. `str(error)`: the reason in words, for logs only; it never holds a token.
    """

    code: ClassVar[str] = "unauthorized"
    status: ClassVar[int] = 401
    detail: ClassVar[str] = "The request could not be authenticated."

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or self.detail)

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's extra headers (RFC 6750 §3)."""
        return {"WWW-Authenticate": _CHALLENGE}


class CredentialsMissing(AuthError):
    """No credentials were sent. The challenge carries no `error` (RFC 6750 §3.1)."""

    code = "credentials_missing"
    detail = "Authentication is required: send a bearer token in the Authorization header."


class InvalidRequest(AuthError):
    """The credentials are sent in a way that cannot be read, or twice (RFC 6750 §3.1 `invalid_request`)."""

    code = "invalid_request"
    status = 400
    detail = "Send exactly one Authorization header of the form 'Bearer <token>'."

    @property
    def headers(self) -> Mapping[str, str]:
        return {
            "WWW-Authenticate": f'{_CHALLENGE}, error="invalid_request", error_description="{self.detail}"'
        }


class InvalidToken(AuthError):
    """The token was read and refused (RFC 6750 §3.1 `invalid_token`). Clients are told apart only what has
    expired.
    """

    code = "invalid_token"
    detail = "The access token is malformed, revoked or not meant for this service."

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token", error_description="{self.detail}"'}


class TokenMalformed(InvalidToken):
    """Not a compact JWS with canonical base64url parts and strict JSON (RFC 7515 §3.1, RFC 8725 §3.11)."""

    code = "token_malformed"


class TokenTooLarge(InvalidToken):
    """Longer than any token of an issuer has a reason to be."""

    code = "token_too_large"


class AlgorithmRefused(InvalidToken):
    """`alg` is none, unknown, not allowed here, or not the key's own (RFC 8725 §3.1)."""

    code = "algorithm_refused"


class TypeRefused(InvalidToken):
    """`typ` names another kind of token (RFC 8725 §3.11)."""

    code = "type_refused"


class KeyUnknown(InvalidToken):
    """The issuer's key set, fetched after this token arrived, has no key for it."""

    code = "key_unknown"


class SignatureInvalid(InvalidToken):
    """The signature does not verify under the key that the token names."""

    code = "signature_invalid"


class TokenExpired(InvalidToken):
    """`exp` has passed (RFC 7519 §4.1.4)."""

    code = "token_expired"
    detail = "The access token has expired."


class TokenNotYetValid(InvalidToken):
    """`nbf` or `iat` lies in the future, beyond the leeway (RFC 7519 §4.1.5, §4.1.6)."""

    code = "token_not_yet_valid"


class LifetimeTooLong(InvalidToken):
    """`exp − iat` is over the longest life that is accepted here."""

    code = "lifetime_too_long"


class IssuerMismatch(InvalidToken):
    """`iss` is missing or no trusted issuer (RFC 8725 §3.8)."""

    code = "issuer_mismatch"


class AudienceMismatch(InvalidToken):
    """`aud` is missing or names somebody else (RFC 8725 §3.9)."""

    code = "audience_mismatch"


class SubjectInvalid(InvalidToken):
    """`sub` is missing, or not 1 to 255 visible ASCII characters: it becomes a header."""

    code = "subject_invalid"


class ClaimsInvalid(InvalidToken):
    """The claims do not fit the application's own model of them."""

    code = "claims_invalid"


class UserMismatch(AuthError):
    """The user named in the path is not the token's (403)."""

    code = "user_mismatch"
    status = 403
    detail = "The user in the path is not the one the token was issued to."

    @property
    def headers(self) -> Mapping[str, str]:
        return {}


class KeysUnavailable(AuthError):
    """The issuer's keys could not be had, so the token can be called neither good nor bad (503)."""

    code = "keys_unavailable"
    status = 503
    detail = "Sign-in cannot be checked at the moment. Please try again shortly."

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "2"}
