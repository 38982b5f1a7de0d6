"""An issuer on a port, whose troubles can be called up while it runs.

Task: T-039 · Spec: plan.md#alternatives
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from todo_auth.testing import Issuer
from todo_stack.ports import LOOPBACK, free_port


class TroubledIssuer:
    """An issuer at `issuer.base_url`. `answers`: while it is not set, requests for the keys hang. `others`:
    members that stand in the key set before the issuer's own. `fetches`: how often the keys were asked for.
    """

    def __init__(self, port: int) -> None:
        self.issuer = Issuer(f"http://{LOOPBACK}:{port}")
        self.answers = threading.Event()
        self.answers.set()
        self.others: list[object] = []
        self.fetches = 0

    def key_set(self) -> bytes:
        """The key set as its address answers it."""
        own: list[dict[str, Any]] = self.issuer.jwks()["keys"]
        return json.dumps({"keys": [*self.others, *own]}).encode()


@contextmanager
def troubled_issuer() -> Iterator[TroubledIssuer]:
    """Run one on a free port for the length of the block."""
    port = free_port()
    issuer = TroubledIssuer(port)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                issuer.fetches += 1
            issuer.answers.wait()
            key_set = issuer.key_set()
            try:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(key_set)))
                self.end_headers()
                self.wfile.write(key_set)
            except ConnectionError:
                pass  # Whoever asked has given up waiting.

        def log_message(self, format: str, *args: object) -> None:
            """Nothing to say."""

    server = ThreadingHTTPServer((LOOPBACK, port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.answers.set()
        server.shutdown()
        server.server_close()
        thread.join()
