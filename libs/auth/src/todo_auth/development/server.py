"""Better Auth's endpoints on a port.

Task: T-011 · Spec: plan.md#testing-issuer
"""

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from todo_auth.development.accounts import SESSION_S, Accounts, Refused
from todo_auth.testing import SESSION_COOKIE, Issuer, session_cookie

_MAX_BODY_BYTES = 64 * 1024
_POLL_S = 0.005


class Server(ThreadingHTTPServer):
    """Serves an issuer's endpoints under `/api/auth`; `/healthz` answers when it is up."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], accounts: Accounts) -> None:
        super().__init__(address, _Handler)
        self.accounts = accounts
        self.is_closing = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """No traceback where a client left before its answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as it was given


@contextmanager
def serving(issuer: Issuer, port: int = 0) -> Iterator[str]:
    """Serves an issuer on a port of the loopback address (0: a free one) for the length of the block; gives
    the URL, which is the issuer's `base_url` meanwhile.
    """
    server = Server(("127.0.0.1", port), Accounts(issuer))
    base_url, issuer.base_url = issuer.base_url, f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield issuer.base_url
    finally:
        issuer.base_url = base_url
        server.is_closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        accounts, path = self.server.accounts, self._path()
        if path == "/healthz":
            self._answer(200, {"status": "ok"})
        elif self._is_down():
            self.close_connection = True
        elif path == "/api/auth/jwks":
            self._send(*accounts.issuer.key_set_answer())
        elif path == "/api/auth/ok":
            self._answer(200, {"ok": True})
        elif path == "/api/auth/token":
            self._try(lambda: {"token": accounts.token(self._session_token())})
        elif path == "/api/auth/get-session":
            self._get_session()
        else:
            self._answer(404, {"code": "NOT_FOUND", "message": "Not found"})

    def do_POST(self) -> None:
        accounts, path = self.server.accounts, self._path()
        if self._is_down():
            self.close_connection = True
        elif path == "/api/auth/sign-up/email":
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

    def _is_down(self) -> bool:
        """Whether the issuer is to answer nothing; waits at its gate."""
        issuer = self.server.accounts.issuer
        issuer.fetches += self._path() == "/api/auth/jwks"
        while issuer.gate is not None and not issuer.gate.is_set():
            # The gate is the test's, of another thread's event loop.
            if self.server.is_closing.wait(_POLL_S):
                return True
        return issuer.down

    def _try(self, action: Callable[[], dict[str, Any]], *, opens_session: bool = False) -> None:
        try:
            document = action()
        except Refused as refused:
            self.close_connection = True
            self._answer(refused.status, {"code": refused.code, "message": str(refused)})
            return
        headers = {}
        if opens_session:
            attributes = f"Path=/; HttpOnly; SameSite=Lax; Max-Age={SESSION_S}"
            headers["Set-Cookie"] = f"{session_cookie(document['token'])}; {attributes}"
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
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get(SESSION_COOKIE)
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
        self._send(
            status, json.dumps(document).encode(), {"Content-Type": "application/json", **(headers or {})}
        )

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
