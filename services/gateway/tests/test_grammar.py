"""Chunks and heads are read or refused, whatever they are and however they are split."""

from hypothesis import given
from hypothesis import strategies as st
from todo_gateway.grammar import NO_FIELDS, Chunked, read_fields, read_request_line
from todo_service.problems import Problem

CHUNKS = b'1;a=b\r\n{\r\n0a\r\n"a":"bcd",\r\n1\r\n}\r\n000;c="d"\r\nX-Trailer: e\r\n\r\n'


@given(st.lists(st.integers(0, len(CHUNKS)), max_size=12).map(sorted))
def test_chunks_are_read_alike_however_they_are_split(cuts: list[int]) -> None:
    chunked = Chunked()
    plain, rest = b"", b""
    for start, end in zip([0, *cuts], [*cuts, len(CHUNKS)], strict=True):
        assert not chunked.ended or start == end
        some, rest = chunked.read(CHUNKS[start:end]) if not chunked.ended else (b"", b"")
        plain += some
    assert (plain, rest, chunked.ended) == (b'1\r\n{\r\na\r\n"a":"bcd",\r\n1\r\n}\r\n0\r\n\r\n', b"", True)


def test_what_follows_the_last_chunk_is_given_back() -> None:
    assert Chunked().read(CHUNKS + b"GET /")[1] == b"GET /"


@given(st.binary(max_size=40).map(lambda data: b"2\r\n{}\r\n" + data))
def test_whatever_comes_as_chunks_is_read_or_refused(data: bytes) -> None:
    try:
        plain, _ = Chunked().read(data)
    except Problem as problem:
        assert problem.status in (400, 431)
    else:
        assert plain.startswith(b"2\r\n{}\r\n")


@given(st.text("GET/ HTP1.\r\n:aX\t0,\x00\x7f", max_size=60))
def test_whatever_comes_as_a_head_is_read_or_refused(text: str) -> None:
    try:
        fields = read_fields(text.encode() + b"\r\n\r\n")
        read_request_line(b"GET /%b HTTP/1.0\r\n" % text.encode(), fields)
    except Problem as problem:
        assert problem.status == 400
    else:
        assert fields == NO_FIELDS
