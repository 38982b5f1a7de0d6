"""Asks one address as the key set does, and says in words why no answer came.

Task: T-035 · Spec: plan.md#doctor
"""

import asyncio
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from todo_auth.doctor.finding import Finding
from todo_auth.key_document import download

TIMEOUT_S = 3.0
"""As long as `KeySet` waits."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What an address answered. `body`: where it was taken. `refused`: why it was not, in words.
    `unreachable`: when nothing came at all; `status` is 0 then.
    """

    url: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    refused: str = ""
    unreachable: Finding | None = None

    @property
    def is_html(self) -> bool:
        """Whether it is a page for people."""
        start = (self.body or b"").lstrip()[:15].lower()
        return "html" in self.headers.get("content-type", "").lower() or start.startswith(
            (b"<!doctype", b"<html")
        )


class Network:
    """An HTTP client with the key set's own limits: no redirects, 512 KiB, three seconds altogether."""

    def __init__(self) -> None:
        self._seen: list[httpx.Response] = []
        hooks = {"response": [self._keep]}
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, event_hooks=hooks, limits=limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def ask(self, url: str, *, bearer: str | None = None) -> Answer:
        """What is at an address. `bearer`: sent as the credentials of this one request."""
        self._seen.clear()
        # Of the client, since `download` makes the request.
        self._client.headers.update({"Authorization": f"Bearer {bearer}"} if bearer else {})
        try:
            async with asyncio.timeout(TIMEOUT_S):
                body = (await download(self._client, url)).body
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            return Answer(url, unreachable=unreachable(url, error))
        except ValueError as error:
            return Answer(url, self._seen[0].status_code, self._seen[0].headers, None, str(error))
        finally:
            self._client.headers.pop("Authorization", None)
        return Answer(url, self._seen[0].status_code, self._seen[0].headers, body)

    async def _keep(self, response: httpx.Response) -> None:
        self._seen.append(response)


def unreachable(url: str, error: Exception) -> Finding:
    """Why no answer came from an address, with what usually helps."""
    host = urlsplit(url).hostname or ""
    elsewhere = (
        "In a container, localhost is the container itself: set BETTER_AUTH_JWKS_URL to where the issuer is"
        " reached from there (http://web:3000/api/auth/jwks), and leave BETTER_AUTH_URL the public address."
    )
    causes = list(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        text = f"The name {host!a} has no address here (DNS)."
        return Finding("problem", "dns", text, f"Check the spelling. {elsewhere}")
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            text = f"The certificate of {host} is not trusted here: {cause.verify_message}."
            hint = "A certificate of one's own: name its authority's file in SSL_CERT_FILE."
            return Finding("problem", "certificate", text, hint)
        if isinstance(cause, ssl.SSLError):
            text = f"What answers at {url} does not speak TLS as expected."
            return Finding("problem", "tls", text, "Is it http:// there?")
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        text = f"{url} does not answer within {TIMEOUT_S:.0f} s."
        return Finding("problem", "timeout", text, f"A firewall, or a server that hangs. {elsewhere}")
    if isinstance(error, httpx.ConnectError):
        hint = elsewhere if host in _LOOPBACK else "Is it running, and is the port right?"
        return Finding("problem", "refused", f"Nothing accepts connections at {url}.", hint)
    text = f"What {url} answers is not HTTP, or ends too early ({type(error).__name__})."
    return Finding("problem", "not_http", text, "Is it https:// there?")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and everything that led to it."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for member in error.exceptions:
                yield from _causes(member)
        error = error.__cause__ or error.__context__
