"""The bytes of a request's head, refused whole when a part of it could be read as something else.

Task: T-025 · Spec: plan.md#upstream-client
"""

from collections.abc import Sequence

from todo_service.fields import is_token, is_value

from todo_gateway.upstream.errors import LocalProtocolError

Headers = Sequence[tuple[bytes, bytes]]

CONNECTION_HEADERS = frozenset(
    {
        b"connection",
        b"content-length",
        b"host",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers about the connection and framing. The client makes those it needs; no caller may pass them."""

_VISIBLE = bytes(range(0x21, 0x7F))
_METHODS_WITH_CONTENT = frozenset({b"PATCH", b"POST", b"PUT"})


def encode_head(
    method: bytes,
    target: bytes,
    host: bytes,
    headers: Headers,
    content_length: int | None,
    *,
    chunked: bool = False,
) -> bytes:
    """Serialise a request's head for `host` (RFC 9112 §3), its framing headers included.

    `content_length` is the body's size in bytes, None where there is no body or it is `chunked`. Without a
    body, methods that usually have one say `content-length: 0` (RFC 9110 §8.6).

    Raises `LocalProtocolError` for a method or a header name that is not a token, for CONNECT, for a target
    that is neither in origin form nor `*`, for control characters anywhere (CR, LF and NUL above all), and
    for a header of `CONNECTION_HEADERS`: dropping one in silence would hide that the caller never decided
    about it.
    """
    if not method or not is_token(method) or method == b"CONNECT":
        raise LocalProtocolError("the method cannot be sent")
    if not (target.startswith(b"/") or target == b"*") or target.translate(None, _VISIBLE):
        raise LocalProtocolError("the request target cannot be sent")
    names = [name for name, _ in headers]
    if b"" in names or not is_token(b"".join(names)):
        raise LocalProtocolError("a header name cannot be sent")
    if not is_value(b"".join([value for _, value in headers])):
        raise LocalProtocolError("a header value cannot be sent")
    if not CONNECTION_HEADERS.isdisjoint([name.lower() for name in names]):
        raise LocalProtocolError("a header of the connection cannot be passed on")

    if chunked:
        framing = b"transfer-encoding: chunked\r\n"
    elif content_length is not None:
        framing = b"content-length: %d\r\n" % content_length
    else:
        framing = b"content-length: 0\r\n" if method in _METHODS_WITH_CONTENT else b""
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"%b %b HTTP/1.1\r\nhost: %b\r\n%b%b\r\n" % (method, target, host, b"".join(lines), framing)
