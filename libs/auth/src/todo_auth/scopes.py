"""What a user may do: scopes, roles or permissions in any claim of the token.

    require(identity, "tasks:write")                               # scope: "tasks:read tasks:write"
    require(identity, "admin", claim="role", separator=",")        # Better Auth's admin plugin: "user,admin"
    require(identity, "editor", claim=("realm_access", "roles"))   # a nested list

Task: T-010 · Spec: plan.md#interfaces
"""

import re
from collections.abc import Mapping

from todo_auth.errors import AuthError
from todo_auth.identity import Identity

Claim = str | tuple[str, ...]
"""A claim's exact name, or the path to a nested one. Names may contain dots (they are often URLs)."""

_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+\Z")
_SCOPE_CLAIMS = frozenset({"scope", "scp"})


class InsufficientScope(AuthError):
    """The token is good, and does not reach this far (RFC 6750 §3.1 `insufficient_scope`). `scope`: what
    would be enough, space-separated; empty when that is no scope but a role, say.
    """

    code = "insufficient_scope"
    status = 403
    detail = "The access token does not allow this."

    def __init__(self, reason: str = "", scope: str = "") -> None:
        super().__init__(reason)
        self.scope = scope

    @property
    def headers(self) -> Mapping[str, str]:
        challenge = f'Bearer realm="api", error="insufficient_scope", error_description="{self.detail}"'
        return {"WWW-Authenticate": f'{challenge}, scope="{self.scope}"' if self.scope else challenge}


def granted(identity: Identity, claim: Claim = "scope", separator: str = " ") -> frozenset[str]:
    """What a claim grants: the words of a string (RFC 8693 §4.2, RFC 6749 §3.3), or a list's strings. A claim
    that is absent or of another type grants nothing.
    """
    value: object = identity.claims
    for name in (claim,) if isinstance(claim, str) else claim:
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        words = (word.strip(" ") for word in value.split(separator))
        return frozenset(word for word in words if word)
    return (
        frozenset(item for item in value if isinstance(item, str)) if isinstance(value, list) else frozenset()
    )


def require(identity: Identity, *needed: str, claim: Claim = "scope", separator: str = " ") -> None:
    """Raises InsufficientScope unless the claim grants every one of `needed`, compared exactly."""
    missing = frozenset(needed) - granted(identity, claim, separator)
    if missing:
        scope = " ".join(needed) if claim in _SCOPE_CLAIMS else ""
        raise InsufficientScope(f"{claim!r} does not grant {sorted(missing)}", scope)


def check_names(needed: tuple[str, ...]) -> None:
    """Raises ValueError for no names, or for what cannot be a scope token (RFC 6749 §3.3)."""
    if not needed or not all(_SCOPE_TOKEN.match(name) for name in needed):
        raise ValueError("scopes and roles are named by visible ASCII without quotes and backslashes")
