"""Users and sessions of the development issuer.

Task: T-011 · Spec: plan.md#testing-issuer
"""

import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from todo_auth.testing import Issuer, IssuerKey

SESSION_S = 7 * 24 * 3600


class Refused(Exception):
    """A request that gets an answer of Better Auth's shape: `{"code", "message"}`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Accounts:
    """Users and sessions of one issuer, kept in a file when one is named (mode 600, replaced whole)."""

    def __init__(self, issuer: Issuer, state: Path | None = None) -> None:
        self.issuer = issuer
        self._state = state
        self._lock = threading.Lock()
        self._users: dict[str, dict[str, Any]] = {}
        self._sessions: dict[str, dict[str, Any]] = {}
        if state is not None and state.exists():
            kept = json.loads(state.read_text())
            self._users, self._sessions = kept["users"], kept["sessions"]
            issuer.keys[:] = [IssuerKey(private_jwk=jwk) for jwk in kept["keys"]]
        self._save()

    def sign_up(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A new user with a session. Raises Refused for a taken address or a password of less than 8 or more
        than 128 characters.
        """
        email, password = _text(body, "email").lower(), _text(body, "password")
        name = _text(body, "name", default=email.partition("@")[0])
        if "@" not in email[1:-1] or " " in email:
            raise Refused(400, "INVALID_EMAIL", "Invalid email")
        if not 8 <= len(password) <= 128:
            raise Refused(400, "PASSWORD_TOO_SHORT", "The password must have 8 to 128 characters")
        salt = secrets.token_hex(16)
        digest = _digest(password, salt)
        moment = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        user = {
            "id": secrets.token_urlsafe(24).replace("-", "a").replace("_", "b"),
            "name": name,
            "email": email,
            "emailVerified": False,
            "image": None,
            "createdAt": moment,
            "updatedAt": moment,
        }
        with self._lock:
            if email in self._users:
                raise Refused(422, "USER_ALREADY_EXISTS", "User already exists. Use another email.")
            self._users[email] = {"user": user, "salt": salt, "digest": digest}
            return self._open_session(user)

    def sign_in(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A session of a known user. Raises Refused, with the same words for an unknown address and a wrong
        password.
        """
        email, password = _text(body, "email").lower(), _text(body, "password")
        account = self._users.get(email) or {"salt": "", "digest": "", "user": {}}
        if not hmac.compare_digest(_digest(password, account["salt"]), account["digest"]):
            raise Refused(401, "INVALID_EMAIL_OR_PASSWORD", "Invalid email or password")
        with self._lock:
            return self._open_session(account["user"])

    def sign_out(self, session_token: str | None) -> dict[str, Any]:
        """Ends a session; ending none is no error."""
        with self._lock:
            self.issuer.end_session(session_token or "")
            if self._sessions.pop(session_token or "", None) is not None:
                self._save()
        return {"success": True}

    def session(self, session_token: str | None) -> dict[str, Any]:
        """The session and its user. Raises Refused (401)."""
        session = self._sessions.get(session_token or "")
        if session is None or session["expires"] <= time.time():
            raise Refused(401, "UNAUTHORIZED", "Unauthorized")
        return session

    def token(self, session_token: str | None) -> str:
        """A JWT with Better Auth's default payload, also for a session that was opened at the issuer itself.
        Raises Refused (401).
        """
        if (user_id := self.issuer.session_user(session_token or "")) is not None:
            return self.issuer.token(user_id)
        user = self.session(session_token)["user"]
        return self.issuer.token(user["id"], **{name: user[name] for name in user if name != "id"})

    def _open_session(self, user: Mapping[str, Any]) -> dict[str, Any]:
        token = secrets.token_urlsafe(24)
        self._sessions[token] = {"user": user, "expires": time.time() + SESSION_S}
        self._save()
        return {"token": token, "user": user}

    def _save(self) -> None:
        if self._state is None:
            return
        now = time.time()
        self._sessions = {token: kept for token, kept in self._sessions.items() if kept["expires"] > now}
        kept = {
            "users": self._users,
            "sessions": self._sessions,
            "keys": [key.private_jwk for key in self.issuer.keys],
        }
        self._state.parent.mkdir(parents=True, exist_ok=True)
        new = self._state.with_name(self._state.name + ".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._state)


def _text(body: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or not value.strip():
        raise Refused(400, "VALIDATION_ERROR", f"{name} is missing")
    return value.strip() if name != "password" else value


def _digest(password: str, salt: str) -> str:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"), salt=salt.encode(), n=2**14, r=8, p=1
    ).hex()
