"""The bearer token of a request (RFC 6750 §2.1).

Task: T-006 · Spec: plan.md#verifying-tokens
"""

from collections.abc import Mapping

from todo_auth.errors import CredentialsMissing, InvalidRequest
from todo_auth.identity import RawHeaders


def bearer_token(headers: RawHeaders) -> str:
    """The bearer token of raw headers, their names in any case. Raises CredentialsMissing without one,
    InvalidRequest for two headers or another form.
    """
    values = [value for name, value in headers if len(name) == 13 and name.lower() == b"authorization"]
    if not values:
        raise CredentialsMissing("no Authorization header")
    if len(values) > 1:
        raise InvalidRequest(f"{len(values)} Authorization headers")
    return _token(values[0].decode("latin-1"))


def wsgi_bearer_token(environ: Mapping[str, object]) -> str:
    """The bearer token of a WSGI environment (PEP 3333: servers join repeated headers by commas). Raises as
    `bearer_token` does.
    """
    value = environ.get("HTTP_AUTHORIZATION")
    if not isinstance(value, str):
        raise CredentialsMissing("no Authorization header")
    return _token(value)


def _token(credentials: str) -> str:
    scheme, _, token = credentials.strip(" \t").partition(" ")
    if scheme.lower() != "bearer":
        raise CredentialsMissing("another scheme than Bearer")
    token = token.strip(" ")
    if not token or " " in token or "," in token:
        raise InvalidRequest("not one token after Bearer")
    return token
