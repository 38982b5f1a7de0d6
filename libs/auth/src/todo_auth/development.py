"""The development issuer: Better Auth's endpoints on a port, for a machine without Node. Never for
production.

Users, sessions and keys are kept in one JSON file, so that a user's id, and with it the user's tasks, survive
a restart.

Task: T-011 · Spec: plan.md#testing-issuer
"""

import argparse
import hashlib
import hmac
import json
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from todo_auth.testing import Issuer, IssuerKey

_WARNING = "development issuer: for development only, never for production"
_SESSION_S = 7 * 24 * 3600
_MAX_BODY_BYTES = 64 * 1024
_COOKIE = "better-auth.session_token"


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
        """A JWT with Better Auth's default payload. Raises Refused (401)."""
        user = self.session(session_token)["user"]
        return self.issuer.token(user["id"], **{name: user[name] for name in user if name != "id"})

    def _open_session(self, user: Mapping[str, Any]) -> dict[str, Any]:
        token = secrets.token_urlsafe(24)
        self._sessions[token] = {"user": user, "expires": time.time() + _SESSION_S}
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


class Server(ThreadingHTTPServer):
    """Serves an issuer's endpoints under `/api/auth`; `/healthz` answers when it is up."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], accounts: Accounts) -> None:
        super().__init__(address, _Handler)
        self.accounts = accounts


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        accounts, path = self.server.accounts, self._path()
        if path == "/healthz":
            self._answer(200, {"status": "ok"})
        elif path == "/api/auth/jwks":
            self._answer(200, accounts.issuer.jwks())
        elif path == "/api/auth/token":
            self._try(lambda: {"token": accounts.token(self._session_token())})
        elif path == "/api/auth/get-session":
            self._get_session()
        else:
            self._answer(404, {"code": "NOT_FOUND", "message": "Not found"})

    def do_POST(self) -> None:
        accounts, path = self.server.accounts, self._path()
        if path == "/api/auth/sign-up/email":
            self._try(lambda: accounts.sign_up(self._body()), opens_session=True)
        elif path == "/api/auth/sign-in/email":
            self._try(lambda: accounts.sign_in(self._body()), opens_session=True)
        elif path == "/api/auth/sign-out":
            self._try(lambda: accounts.sign_out(self._session_token()))
        else:
            self._answer(404, {"code": "NOT_FOUND", "message": "Not found"})

    def log_message(self, format: str, *args: Any) -> None:
        """No line a request: the terminal is shared with the parts that matter."""

    def _path(self) -> str:
        return self.path.partition("?")[0].rstrip("/")

    def _try(self, action: Any, *, opens_session: bool = False) -> None:
        try:
            document = action()
        except Refused as refused:
            self.close_connection = True
            self._answer(refused.status, {"code": refused.code, "message": str(refused)})
            return
        headers = {}
        if opens_session:
            signed = f"{document['token']}.{secrets.token_urlsafe(32)}"
            attributes = f"Path=/; HttpOnly; SameSite=Lax; Max-Age={_SESSION_S}"
            headers["Set-Cookie"] = f"{_COOKIE}={signed}; {attributes}"
        self._answer(200, document, headers)

    def _get_session(self) -> None:
        """Better Auth answers `null` without a session, and a JWT in a header with one."""
        accounts = self.server.accounts
        try:
            token = self._session_token()
            session = accounts.session(token)
            self._answer(
                200,
                {"session": {"token": token}, "user": session["user"]},
                {"set-auth-jwt": accounts.token(token)},
            )
        except Refused:
            self._answer(200, None)

    def _session_token(self) -> str | None:
        """From `Authorization: Bearer`, else from the cookie, whose signature nobody needs here."""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return token.strip().partition(".")[0]
        try:
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get(_COOKIE)
        except CookieError:
            return None
        return unquote(cookie.value).partition(".")[0] if cookie else None

    def _body(self) -> Mapping[str, Any]:
        try:
            length = int(self.headers.get("Content-Length", "0"))
            if not 0 <= length <= _MAX_BODY_BYTES:
                raise Refused(413, "PAYLOAD_TOO_LARGE", "The body is too large")
            body = json.loads(self.rfile.read(length))
        except ValueError:
            raise Refused(400, "BAD_REQUEST", "The body is not JSON") from None
        if not isinstance(body, dict):
            raise Refused(400, "BAD_REQUEST", "The body is not a JSON object")
        return body

    def _answer(self, status: int, document: object, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """`python -m todo_auth.testing --port N [--state FILE] [--base-url URL]`: serves until SIGTERM or
    Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="python -m todo_auth.testing", description=_WARNING)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--state", type=Path, help="a file in which users and keys are kept")
    parser.add_argument("--base-url", help="iss and aud of its tokens; by default its own address")
    arguments = parser.parse_args()
    if os.environ.get("ENV") == "production":
        sys.exit("error: the development issuer does not run with ENV=production: set BETTER_AUTH_URL.")
    issuer = Issuer(arguments.base_url or f"http://localhost:{arguments.port}")
    try:
        server = Server((arguments.host, arguments.port), Accounts(issuer, arguments.state))
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"error: the development issuer cannot start: {error}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"{_WARNING}; issuing as {issuer.base_url}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


def _text(body: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or not value.strip():
        raise Refused(400, "VALIDATION_ERROR", f"{name} is missing")
    return value.strip() if name != "password" else value


def _digest(password: str, salt: str) -> str:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"), salt=salt.encode(), n=2**14, r=8, p=1
    ).hex()
