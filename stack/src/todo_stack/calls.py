"""One HTTP request to a part of the stack, by the standard library: importing a client takes too long here.

Task: T-004 · Spec: plan.md#processes
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from todo_stack.errors import StackError

TIMEOUT_S = 20.0


class CallFailed(StackError):
    """No whole answer came."""


@dataclass(frozen=True)
class Answer:
    """The status and the body of an answer."""

    status: int
    text: str

    def json(self) -> object:
        """The body as JSON. Raises `CallFailed` when it is none."""
        try:
            document: object = json.loads(self.text)
        except ValueError as error:
            raise CallFailed(f"An answer is not JSON: {self.text[:300]}") from error
        return document


async def call(
    method: str, url: str, body: Mapping[str, object] | None = None, token: str | None = None
) -> Answer:
    """Send `body` as JSON, with `token` as the bearer token, and return the answer, whatever its status.

    Redirects are not followed and no proxy is used. Raises `CallFailed`.
    """
    return await asyncio.to_thread(_call, method, url, body, token)


def _call(method: str, url: str, body: Mapping[str, object] | None, token: str | None) -> Answer:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    connection = (HTTPSConnection if secure else HTTPConnection)(parts.netloc, timeout=TIMEOUT_S)
    headers = {"Accept": "application/json"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, parts.path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return Answer(response.status, response.read().decode(errors="replace"))
    except (OSError, HTTPException) as error:
        raise CallFailed(f"{method} {url} has no answer: {type(error).__name__}") from error
    finally:
        connection.close()
