"""Answers as bytes, without a socket: where they end, what is refused, and that splits never matter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from todo_gateway.upstream import ProtocolError
from todo_gateway.upstream.answer import BUFFER_BYTES, Answer

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(*pieces: bytes, without_body: bool = False, max_head_bytes: int = 4096) -> Answer:
    answer = Answer(without_body=without_body, max_head_bytes=max_head_bytes)
    for piece in pieces:
        answer.feed(piece)
    return answer


def test_an_answer_ends_after_its_content_length() -> None:
    answer = read(HELLO)
    assert (answer.status, answer.headers) == (200, [(b"content-length", b"5")])
    assert answer.is_complete and answer.keep_alive
    assert answer.take() == b"hello"


def test_headers_keep_their_order_and_repetition_and_have_lower_case_names() -> None:
    answer = read(OK + b"Link: </a>\r\nX-B:\r\nLINK:  </c> \r\nX-Latin: \xe9\r\nContent-Length: 0\r\n\r\n")
    assert answer.headers == [
        (b"link", b"</a>"),
        (b"x-b", b""),
        (b"link", b"</c>"),
        (b"x-latin", b"\xe9"),
        (b"content-length", b"0"),
    ]


def test_a_chunked_answer_loses_its_chunks_extensions_and_trailers() -> None:
    answer = read(CHUNKED + b'3;a="b"\r\nhel\r\n02\r\nlo\r\n0\r\nX-Trailer: t\r\nDigest: d\r\n\r\n')
    assert answer.is_complete and answer.keep_alive
    assert answer.take() == b"hello"
    assert answer.headers == [(b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
@pytest.mark.parametrize("framing", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_204_and_304_have_no_body_whatever_they_say(status: bytes, framing: bytes) -> None:
    answer = read(b"HTTP/1.1 " + status + b"\r\n" + framing + b"\r\n")
    assert answer.is_complete and answer.keep_alive
    assert answer.take() == b""


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n"]
)
def test_an_answer_to_head_has_no_body_whatever_it_says(framing: bytes) -> None:
    answer = read(OK + framing + b"\r\n", without_body=True)
    assert answer.is_complete and answer.keep_alive
    assert answer.take() == b""


def test_a_body_after_the_answer_to_head_is_not_delivered_and_ends_the_connection() -> None:
    answer = read(HELLO, without_body=True)
    assert answer.is_complete and not answer.keep_alive
    assert answer.take() == b""


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_informational_answers_are_dropped(interim: bytes) -> None:
    early = b"HTTP/1.1 " + interim + b"\r\nLink: </style.css>\r\n\r\n"
    answer = read(early + early + HELLO)
    assert (answer.status, answer.headers, answer.take()) == (200, [(b"content-length", b"5")], b"hello")


@pytest.mark.parametrize("upgrade", [b"", b"Connection: upgrade\r\nUpgrade: websocket\r\n"])
def test_switching_protocols_is_refused(upgrade: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade + b"\r\nbytes of another protocol")


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_without_a_length_the_answer_ends_with_the_connection(version: bytes) -> None:
    answer = read(b"HTTP/" + version + b" 200 OK\r\n\r\nhel", b"lo")
    assert not answer.is_complete and not answer.is_short
    assert answer.end_of_connection()
    assert (answer.is_complete, answer.keep_alive) == (True, False)
    assert answer.take() == b"hello"


@pytest.mark.parametrize(
    "cut",
    [
        b"",
        OK,
        OK + b"Content-Length: 5\r\n\r\nhell",
        CHUNKED,
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
    ],
)
def test_an_answer_that_ends_early_is_not_complete(cut: bytes) -> None:
    assert not read(cut).end_of_connection()


@pytest.mark.parametrize(
    ("head", "keep_alive"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
    ],
)
def test_the_connection_is_kept_as_version_and_header_say(head: bytes, keep_alive: bool) -> None:
    answer = read(head + b"Content-Length: 5\r\n\r\nhello")
    assert answer.is_complete and answer.keep_alive is keep_alive


@pytest.mark.parametrize("extra", [HELLO, b"HTTP/1.1 500 Oops\r\nX: y\r\n\r\n", b"x", b"\0", b"\r\nx"])
@pytest.mark.parametrize(
    "first", [HELLO, CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", OK + b"Connection: close\r\n" + HELLO[len(OK) :]]
)
def test_what_follows_a_complete_answer_changes_nothing_of_it_and_ends_the_connection(
    first: bytes, extra: bytes
) -> None:
    alone, followed = read(first), read(first + extra)
    assert (followed.status, followed.headers, followed.take()) == (200, alone.headers, b"hello")
    assert followed.is_complete and not followed.keep_alive


REFUSED = {
    "garbage": b"\x16\x03\x01\x02\x00",
    "a request": b"GET / HTTP/1.1\r\n\r\n",
    "HTTP/0.9": b"HTTP/0.9 200 OK\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status below 100": b"HTTP/1.1 099 OK\r\n\r\n",
    "a status above 599": b"HTTP/1.1 600 OK\r\n\r\n",
    "bare LF after the status line": b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "bare LF after a header": OK + b"Content-Length: 0\n\r\n",
    "bare LF at the end of the head": OK + b"Content-Length: 0\r\n\n",
    "bare LF throughout": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare CR": OK + b"X-A: a\rb\r\n\r\n",
    "obsolete folding": OK + b"X-A: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a folded length": OK + b"Content-Length:\r\n 5\r\n\r\nhello",
    "a folded coding": OK + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "NUL in a value": OK + b"X-A: a\0b\r\n\r\n",
    "a control character in a value": OK + b"X-A: a\x01b\r\n\r\n",
    "a space before the colon": OK + b"Content-Length : 5\r\n\r\nhello",
    "a space in a name": OK + b"X A: b\r\n\r\n",
    "an empty name": OK + b": b\r\n\r\n",
    "a line without a colon": OK + b"X-A\r\n\r\n",
    "two lengths that differ": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "two lengths that agree": OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": OK + b"Content-Length: 5, 5\r\n\r\nhello",
    "a negative length": OK + b"Content-Length: -5\r\n\r\nhello",
    "a signed length": OK + b"Content-Length: +5\r\n\r\nhello",
    "a hexadecimal length": OK + b"Content-Length: 0x5\r\n\r\nhello",
    "an empty length": OK + b"Content-Length:\r\n\r\nhello",
    "a length past 64 bits": OK + b"Content-Length: 18446744073709551616\r\n\r\nhello",
    "length, then chunked": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, then length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "length, then another coding": OK + b"Content-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\nhello",
    "another coding": OK + b"Transfer-Encoding: gzip\r\n\r\nhello",
    "another coding, then chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, then another coding": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice in a list": OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding that looks like chunked": OK + b"Transfer-Encoding: xchunked\r\n\r\nhello",
    "an empty coding": OK + b"Transfer-Encoding:\r\n\r\nhello",
    "chunked in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk size that is no number": CHUNKED + b"zz\r\n",
    "a negative chunk size": CHUNKED + b"-5\r\nhello\r\n",
    "a chunk size with a prefix": CHUNKED + b"0x5\r\nhello\r\n",
    "a chunk size past 64 bits": CHUNKED + b"fffffffffffffffff\r\n",
    "a space after a chunk size": CHUNKED + b"5 \r\nhello\r\n",
    "a chunk longer than its size": CHUNKED + b"5\r\nhello!\r\n",
    "bare LF after a chunk size": CHUNKED + b"5\nhello\r\n",
    "bare LF in a chunk extension": CHUNKED + b"5;a\nb\r\nhello\r\n",
    "a length among the trailers": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_an_answer_that_could_be_read_in_two_ways_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError) as refusal:
        read(data)
    assert refusal.value.sent


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_it_is_refused_byte_by_byte_too(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(*(data[at : at + 1] for at in range(len(data))))


@pytest.mark.parametrize("excess", [0, 1])
def test_a_head_may_have_so_many_bytes_and_not_one_more(excess: int) -> None:
    name, room = b"x", 4096 - len(b"x") - len(b"content-length0")
    head = OK + b"Content-Length: 0\r\n" + name + b": " + b"v" * (room + excess) + b"\r\n\r\n"
    if excess:
        with pytest.raises(ProtocolError, match="too large"):
            read(head, max_head_bytes=4096)
    else:
        assert read(head[: len(head) // 2], head[len(head) // 2 :], max_head_bytes=4096).is_complete


@pytest.mark.parametrize("size", [1, 100, 5000])
def test_a_head_of_the_largest_size_is_read_however_it_is_split(size: int) -> None:
    fields = [(b"x-%d" % number, b"v" * 36) for number in range(100)]
    raw = (
        OK
        + b"".join(b"%b: %b\r\n" % field for field in fields)
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"00000"
    )
    room = sum(len(name) + len(value) for name, value in fields) + len(b"Transfer-Encodingchunked")
    answer = read(*(raw[at : at + size] for at in range(0, len(raw), size)), max_head_bytes=room)
    assert len(answer.headers) == 101
    with pytest.raises(ProtocolError):
        read(*(raw[at : at + size] for at in range(0, len(raw), size)), max_head_bytes=room - 1)


def test_the_head_does_not_count_against_what_follows_it() -> None:
    start = OK + b"X-A: " + b"a" * 4000 + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert read(start + b"5;" + b"e" * 4190, b"\r\nhello\r\n0\r\n\r\n").is_complete


def endless(start: bytes, piece: bytes) -> None:
    with pytest.raises(ProtocolError, match="too many bytes"):
        read(start, *[piece] * 5000)


def test_a_head_that_never_ends_is_refused() -> None:
    endless(OK + b"X-A: ", b"aaaa")
    endless(OK, b"X-A: a\r\n")
    endless(b"HTTP/1.1 200 O", b"KKKK")


def test_informational_answers_that_never_end_are_refused() -> None:
    endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n")


def test_trailers_and_chunk_extensions_that_never_end_are_refused() -> None:
    endless(CHUNKED + b"0\r\nX-Trailer: ", b"tttt")
    endless(CHUNKED + b"0\r\n", b"X-T: t\r\n")
    endless(CHUNKED + b"5;ext=", b"eeee")


def test_a_body_of_many_small_chunks_is_not_mistaken_for_that() -> None:
    answer = read(CHUNKED, *[b"1\r\n", b"x\r\n"] * 5000, b"0\r\n\r\n")
    assert answer.is_complete and answer.take() == b"x" * 5000


def test_only_a_length_within_the_buffer_makes_an_answer_short() -> None:
    assert read(OK + b"Content-Length: %d\r\n\r\n" % BUFFER_BYTES).is_short
    assert not read(OK + b"Content-Length: %d\r\n\r\n" % (BUFFER_BYTES + 1)).is_short
    assert not read(OK + b"Content-Length: 18446744073709551615\r\n\r\n").is_short
    assert not read(CHUNKED).is_short


tokens = st.text("abcXYZ-_0", min_size=1, max_size=8).map(lambda text: b"X-" + text.encode())
values = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12).map(
    lambda text: text.encode("latin-1").strip(b" \t")
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, int, list[tuple[bytes, bytes]], bytes]:
    """A correct answer, and what must be read from it."""
    status = draw(st.sampled_from([200, 201, 302, 404, 500, 503]))
    headers = draw(st.lists(st.tuples(tokens, values), max_size=5))
    body = draw(st.binary(max_size=80))
    if draw(st.booleans()):
        headers.append((b"Transfer-Encoding", b"chunked"))
        size = draw(st.integers(1, 30))
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        content = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    else:
        headers.append((b"Content-Length", b"%d" % len(body)))
        content = body
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    head = b"HTTP/1.1 %d Reason\r\n" % status + b"".join(b"%b: %b\r\n" % header for header in headers)
    return (
        interim + head + b"\r\n" + content,
        status,
        [(name.lower(), value) for name, value in headers],
        body,
    )


@given(answers(), st.data())
def test_an_answer_reads_the_same_however_it_is_split(
    answer: tuple[bytes, int, list[tuple[bytes, bytes]], bytes], data: st.DataObject
) -> None:
    raw, status, headers, body = answer
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=12)))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    whole = read(*pieces)
    assert whole.is_complete and whole.keep_alive
    assert (whole.status, whole.headers, whole.take()) == (status, headers, body)


mutations = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from(b"\r\n\0 :;0159af\xff")), min_size=1, max_size=4
)


@given(answers(), mutations, st.integers(1, 40))
def test_damaged_bytes_are_refused_or_read_but_never_break_anything(
    answer: tuple[bytes, int, list[tuple[bytes, bytes]], bytes], damage: list[tuple[int, int]], size: int
) -> None:
    raw = bytearray(answer[0])
    for at, byte in damage:
        raw[at % len(raw)] = byte
    read_answer = Answer(without_body=False, max_head_bytes=4096)
    try:
        for at in range(0, len(raw), size):
            if read_answer.is_complete:
                break
            read_answer.feed(bytes(raw[at : at + size]))
    except ProtocolError:
        assert not read_answer.is_complete


@given(st.binary(max_size=200))
def test_noise_is_refused_or_waited_on(noise: bytes) -> None:
    answer = Answer(without_body=False, max_head_bytes=4096)
    try:
        answer.feed(noise)
    except ProtocolError:
        return
    assert not answer.is_complete
