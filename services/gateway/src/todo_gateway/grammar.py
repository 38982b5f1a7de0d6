"""What the head of a request and a chunked body may look like: RFC 9112 without its leniencies.

Task: T-044 · Spec: plan.md#framing
"""

import re
from dataclasses import dataclass

from todo_service.problems import Problem

from todo_gateway.edge import METHODS

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 §5.6.2
_FIELD = _TOKEN + rb":[\t -~\x80-\xff]*\r\n"  # RFC 9112 §5, without obs-fold
_TARGET = rb"[!\"$-~]+"  # visible ASCII but `#`: nobody may send a fragment
_KNOWN = (*METHODS, "OPTIONS")

# One empty line before a request is forgiven (RFC 9112 §2.2).
_OUR_REQUEST_LINE = re.compile(
    rb"(?:\r\n)?(?:%b) (%b) HTTP/1\.([01])\r\n" % ("|".join(_KNOWN).encode(), _TARGET)
)
_FIELDS = re.compile(rb"(?:%b)*\r\n" % _FIELD)
_REQUEST_LINE = re.compile(rb"(?:\r\n)?(%b) (%b) HTTP/(\d\.\d)\r\n" % (_TOKEN, _TARGET))
_NEVER = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?=[^\n])")
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)/", re.IGNORECASE)
_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")  # RFC 9110 §7.2
_LENGTH = re.compile(rb"0|[1-9][0-9]*")
_OF_CONCERN = re.compile(
    rb"\r\n(host|content-length|transfer-encoding|upgrade|http2-settings|expect):[ \t]*([^\r]*)"
)
_UPGRADE = re.compile(rb"\r\n(?:upgrade|http2-settings):[^\r]*", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:[^\r]*", re.IGNORECASE)

# Eight digits are 4 GiB in one chunk. Extensions are read and dropped (RFC 9112 §7.1.1); those with quoted
# pairs are refused.
_CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[ \t]*%b(?:=(?:%b|\"[\t !#-\[\]-~]*\"))?)*\r\n" % (_TOKEN, _TOKEN)
)
_TRAILER = re.compile(_FIELD)
_MAX_CHUNK_LINE = 256
_MAX_TRAILERS = 8 * 1024


class Chunked:
    """A strict reader of the chunked coding (RFC 9112 §7.1). `ended`: the last chunk and the trailers were
    read.
    """

    def __init__(self) -> None:
        self.ended = False
        self._held = b""
        self._data_left = 0  # of a chunk, and of the line end after it
        self._trailer_bytes: int | None = None

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """The same chunks without extensions and trailers, as far as they are here, and what follows the
        body. Raises Problem 400 and 431.
        """
        data, self._held = self._held + data, b""
        out: list[bytes] = []
        at = 0
        while at < len(data) and not self.ended:
            if self._data_left > 2:
                piece = data[at : at + self._data_left - 2]
                self._data_left -= len(piece)
                out.append(piece)
                at += len(piece)
                continue
            end = data.find(b"\n", at) + 1
            if end == 0:
                self._held = data[at:]
                if len(self._held) > (_MAX_CHUNK_LINE if self._trailer_bytes is None else _MAX_TRAILERS):
                    raise malformed()
                break
            self._read_line(data[at:end], out)
            at = end
        return b"".join(out), data[at + len(self._held) :]

    def _read_line(self, line: bytes, out: list[bytes]) -> None:
        if self._data_left:
            if line != b"\r\n":
                raise malformed()
            self._data_left = 0
            out.append(line)
        elif self._trailer_bytes is None:
            size = _CHUNK_LINE.fullmatch(line)
            if size is None or len(line) > _MAX_CHUNK_LINE:
                raise malformed()
            length = int(size[1], 16)
            if length:
                self._data_left = length + 2
                out.append(b"%x\r\n" % length)
            else:
                self._trailer_bytes = 0
        elif line == b"\r\n":
            self.ended = True
            out.append(b"0\r\n\r\n")
        else:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > _MAX_TRAILERS:
                raise Problem(431, f"The trailers have more than {_MAX_TRAILERS} bytes.")
            if _TRAILER.fullmatch(line) is None:
                raise malformed()


@dataclass(frozen=True, slots=True)
class Fields:
    """What the fields of a head say about how to read the request. `length`: of the body in bytes.
    `upgrades`: a change of protocols is asked for.
    """

    host: bytes | None
    length: int
    is_chunked: bool
    expects: bool
    upgrades: bool


NO_FIELDS = Fields(None, 0, False, False, False)


def read_fields(fields: bytes) -> Fields:
    """All fields of a head and the empty line after them.

    Raises Problem: 400, 413 (a length past counting), 417 (another expectation), 501 (another coding).
    """
    if _FIELDS.fullmatch(fields) is None:
        raise malformed()
    # Every line begins after a CRLF now, and every name ends at its colon: these are fields and nothing else.
    concerning = _OF_CONCERN.findall(b"\r\n" + fields.lower())
    found: dict[bytes, bytes] = {name: value.rstrip(b" \t") for name, value in concerning}
    if len(found) != len(concerning):
        raise Problem(400, "A field that can stand only once in a request stands there twice.")
    host = found.get(b"host")
    if host is not None and _HOST.fullmatch(host) is None:
        raise Problem(400, "The Host is not the name of a host.")
    length, coding = found.get(b"content-length"), found.get(b"transfer-encoding")
    if coding is not None and length is not None:
        raise Problem(400, "The length of the body is given twice.")
    if coding is not None and coding != b"chunked":
        raise Problem(501, "The body can only be chunked.")
    if length is not None and _LENGTH.fullmatch(length) is None:
        raise Problem(400, "Content-Length is not a plain number.")
    if length is not None and len(length) > 18:
        raise Problem(413, "The body is larger than anything.")
    if found.get(b"expect", b"100-continue") != b"100-continue":
        raise Problem(417, "Nothing but 100-continue can be expected.")
    upgrades = b"upgrade" in found or b"http2-settings" in found
    return Fields(host, int(length or 0), coding is not None, b"expect" in found, upgrades)


def read_request_line(line: bytes, fields: Fields) -> None:
    """The first line of a head, judged together with the fields after it. Raises Problem: 400, 405, 505."""
    parts = _OUR_REQUEST_LINE.fullmatch(line)
    if parts is None:
        raise malformed(line)
    target, minor = parts.groups()
    if minor == b"1":
        if fields.host is None:
            raise Problem(400, "The request has no Host.")
    elif fields.is_chunked:
        raise Problem(400, "HTTP/1.0 has no Transfer-Encoding.")
    if not target.startswith(b"/"):
        _check_absolute(target, fields.host)


def honoured(head: bytes, fields: Fields) -> bytes:
    """The head without a change of protocols (RFC 9110 §7.8), and without an expectation in HTTP/1.0
    (§10.1.1).
    """
    if fields.upgrades:
        head = _UPGRADE.sub(b"", head)
    if fields.expects and head.endswith(b"0", 0, head.index(b"\r\n", 2)):
        head = _EXPECT.sub(b"", head)
    return head


def check_beginning(part: bytes) -> None:
    """Raises Problem where no further byte can make this part of a head a whole one: HTTP/0.9, TLS, bare line
    feeds.
    """
    if _NEVER.search(part):
        raise malformed(part)
    line_end = part.find(b"\r\n", 2) + 2
    if line_end >= 2:
        _check_request_line(part[:line_end])


def too_large(part: bytes, limit: int) -> Problem:
    """A head past `limit` bytes: 414 where its first line alone is, else 431."""
    if part.find(b"\r\n", 2, limit) < 0:
        return Problem(414, f"The first line of the request has more than {limit} bytes.")
    return Problem(431, f"The head of the request has more than {limit} bytes.")


def malformed(head: bytes = b"") -> Problem:
    """Why a head, or a body when there is none, cannot be read: a Problem of the status that fits."""
    line_end = head.find(b"\r\n", 2) + 2
    if line_end >= 2:
        try:
            _check_request_line(head[:line_end])
        except Problem as problem:
            return problem
    return Problem(400, "This is not a request of HTTP/1.1 that can be read in one way.")


def _check_request_line(line: bytes) -> None:
    parts = _REQUEST_LINE.fullmatch(line)
    if parts is None:
        raise Problem(400, "The first line is not one of HTTP/1.1.")
    if parts[3] not in (b"1.1", b"1.0"):
        raise Problem(505, "This server speaks HTTP/1.1.")
    if parts[1].decode() not in _KNOWN:
        allow = {"Allow": ", ".join(METHODS)}
        raise Problem(405, "This server does not answer to that method.", headers=allow)


def _check_absolute(target: bytes, host: bytes | None) -> None:
    """A target that is not a path is the URL of the same host (RFC 9112 §3.2.2)."""
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        raise Problem(400, "The target is not a path.")
    if absolute[1].lower() != host:
        raise Problem(400, "The target and the Host name different hosts.")
