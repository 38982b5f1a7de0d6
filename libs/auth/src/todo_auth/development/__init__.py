"""The development issuer: Better Auth's endpoints on a port, for a machine without Node. Never for
production.

Users, sessions and keys are kept in one JSON file, so that a user's id, and with it the user's tasks, survive
a restart. `serving(issuer)` is the same server inside a test, without users at first and with faults.

Task: T-011 · Spec: plan.md#testing-issuer
"""

import argparse
import os
import signal
import sys
from pathlib import Path

from todo_auth.development.accounts import Accounts
from todo_auth.development.server import Server, serving
from todo_auth.testing import Issuer

__all__ = ["Accounts", "Server", "main", "serving"]

_WARNING = "development issuer: for development only, never for production"


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
