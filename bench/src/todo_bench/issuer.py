"""The issuer of the run: one key set that every build fetches, and tokens of many users.

Task: T-032 · Spec: plan.md#yardstick
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from jwt.algorithms import ECAlgorithm
from todo_auth.testing import Issuer, IssuerKey
from todo_stack.ports import LOOPBACK, free_port

from todo_bench.data import user_id

TOKEN_S = 4 * 3600
"""Longer than a run takes."""


class BenchIssuer:
    """An issuer at `url` with a key of each algorithm that a build verifies: EdDSA, Better Auth's own, and
    ES256 for HAProxy 2.6, which knows no EdDSA.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://{LOOPBACK}:{port}"
        self._issuer = Issuer(self.url)
        self._keys = {"EdDSA": self._issuer.keys[0], "ES256": self._issuer.rotate("ES256")}

    def jwks(self) -> bytes:
        """The key set as its address answers it."""
        return json.dumps(self._issuer.jwks()).encode()

    def tokens(self, algorithm: str, users: int) -> list[str]:
        """A token of each of the users 1 to `users`, good for longer than a run."""
        key, expires_at = self._keys[algorithm], int(time.time()) + TOKEN_S
        return [
            self._issuer.token(user_id(number), key=key, exp=expires_at) for number in range(1, users + 1)
        ]

    def public_pem(self) -> bytes:
        """The public half of the ES256 key, as HAProxy reads it."""
        return _pem(self._keys["ES256"])


def _pem(key: IssuerKey) -> bytes:
    public = ECAlgorithm.from_jwk(key.public_jwk)
    assert isinstance(public, EllipticCurvePublicKey)
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@contextmanager
def serving() -> Iterator[BenchIssuer]:
    """Run an issuer on a free port for the length of the block."""
    issuer = BenchIssuer(free_port())
    key_set = issuer.jwks()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(key_set)))
            self.end_headers()
            self.wfile.write(key_set)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing to say."""

    server = ThreadingHTTPServer((LOOPBACK, int(issuer.url.rpartition(":")[2])), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
