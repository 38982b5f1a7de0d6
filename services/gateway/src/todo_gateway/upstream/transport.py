"""An upstream as a transport for httpx, for code that speaks httpx and wants the same connections.

Task: T-025 · Spec: plan.md#upstream-client
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager

import httpx

from todo_gateway.upstream import errors
from todo_gateway.upstream.balance import Balance
from todo_gateway.upstream.pool import Pool
from todo_gateway.upstream.request import CONNECTION_HEADERS
from todo_gateway.upstream.response import Response

_HTTPX_ERRORS: dict[type[errors.UpstreamError], type[httpx.TransportError]] = {
    errors.LocalProtocolError: httpx.LocalProtocolError,
    errors.PoolClosed: httpx.PoolTimeout,
    errors.PoolTimeout: httpx.PoolTimeout,
    errors.Unavailable: httpx.ConnectError,
    errors.ConnectFailed: httpx.ConnectError,
    errors.ConnectTimeout: httpx.ConnectTimeout,
    errors.WriteTimeout: httpx.WriteTimeout,
    errors.ReadTimeout: httpx.ReadTimeout,
    errors.ProtocolError: httpx.RemoteProtocolError,
    errors.Disconnected: httpx.RemoteProtocolError,
}


class PoolTransport(httpx.AsyncBaseTransport):
    """Sends httpx's requests through a `Pool` or a `Balance`:
    `httpx.AsyncClient(transport=PoolTransport(pool))`.

    The pool's own time limits hold, not those of the httpx client. Requests to another origin than the pool's
    are refused (`httpx.UnsupportedProtocol`). Errors are httpx's, with the original as their cause.
    """

    def __init__(self, pool: Pool | Balance) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the body of the answer is streamed (httpx)."""
        url = request.url
        if f"{url.scheme}://{url.netloc.decode('ascii')}" != self._pool.origin:
            raise httpx.UnsupportedProtocol("this transport serves one origin only")
        headers = [
            (name, value) for name, value in request.headers.raw if name.lower() not in CONNECTION_HEADERS
        ]
        with _as_httpx_errors():
            response = await self._pool.request(
                request.method.encode("ascii"), url.raw_path, headers, _body(request), length=_length(request)
            )
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Stream(response),
            extensions={"http_version": b"HTTP/1.1"},
        )

    async def aclose(self) -> None:
        """Close the pool (httpx)."""
        await self._pool.aclose()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, response: Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx_errors():
            async for piece in self._response.stream():
                yield piece

    async def aclose(self) -> None:
        await self._response.aclose()


def _body(request: httpx.Request) -> bytes | AsyncIterable[bytes] | None:
    try:
        return request.content or None
    except httpx.RequestNotRead:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        return request.stream


def _length(request: httpx.Request) -> int | None:
    value = request.headers.get("content-length")
    if value is not None and not value.isdecimal():
        raise httpx.LocalProtocolError("the content-length is not a number")
    return None if value is None else int(value)


@contextmanager
def _as_httpx_errors() -> Iterator[None]:
    try:
        yield
    except errors.UpstreamError as error:
        raise _HTTPX_ERRORS[type(error)](str(error)) from error
