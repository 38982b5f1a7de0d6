"""What is sent can be read in one way only, or nothing is sent."""

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st
from todo_gateway.upstream import LocalProtocolError
from todo_gateway.upstream.request import CONNECTION_HEADERS, encode_head


def test_a_request_without_a_body_is_its_line_host_and_headers() -> None:
    head = encode_head(b"GET", b"/api/tasks?limit=2", b"tasks:8001", [(b"X-User-Id", b"m5jp")], None)
    assert head == b"GET /api/tasks?limit=2 HTTP/1.1\r\nhost: tasks:8001\r\nX-User-Id: m5jp\r\n\r\n"


def test_a_body_of_known_size_has_a_content_length() -> None:
    head = encode_head(b"POST", b"/", b"h", [], 12)
    assert head == b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 12\r\n\r\n"


def test_a_body_of_unknown_size_is_chunked() -> None:
    head = encode_head(b"POST", b"/", b"h", [], None, chunked=True)
    assert head == b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH"])
def test_a_method_that_usually_has_a_body_says_that_there_is_none(method: bytes) -> None:
    assert b"\r\ncontent-length: 0\r\n" in encode_head(method, b"/", b"h", [], None)


def test_the_target_may_be_an_asterisk() -> None:
    assert encode_head(b"OPTIONS", b"*", b"h", [], None).startswith(b"OPTIONS * HTTP/1.1\r\n")


INJECTION = b" HTTP/1.1\r\nhost: h\r\n\r\nGET /secret"


@pytest.mark.parametrize(
    "method", [b"", b"CONNECT", b"G T", b"GET\r\n", b"GET\n", b"GET\0", b"G\xc3T", b"GET" + INJECTION]
)
def test_a_method_that_is_no_token_is_refused(method: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        encode_head(method, b"/", b"h", [], None)


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"tasks",
        b"http://other/",
        b"/a b",
        b"/a\r\n",
        b"/a\n",
        b"/a\0",
        b"/a\t",
        b"/\xc3\xa9",
        b"/\x7f",
        b"/" + INJECTION,
    ],
)
def test_a_target_that_ends_its_line_early_or_is_no_path_is_refused(target: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        encode_head(b"GET", target, b"h", [], None)


@pytest.mark.parametrize(
    "name", [b"", b"a b", b"a:", b"a\r\nb", b"a\n", b"a\0", b" a", b"a\t", b"\xc3\xa9", b"(a)"]
)
def test_a_header_name_that_is_no_token_is_refused(name: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        encode_head(b"GET", b"/", b"h", [(b"x-ok", b"1"), (name, b"2")], None)


@pytest.mark.parametrize(
    "value", [b"a\r\nx-admin: 1", b"a\nb", b"a\rb", b"a\0b", b"\x01", b"\x7f", b"a\r\n b"]
)
def test_a_control_character_in_a_header_value_is_refused(value: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        encode_head(b"GET", b"/", b"h", [(b"x-a", value), (b"x-ok", b"1")], None)


@pytest.mark.parametrize("name", sorted(CONNECTION_HEADERS))
def test_a_header_of_the_connection_is_refused_in_any_case(name: bytes) -> None:
    for spelling in (name, name.upper(), name.title()):
        with pytest.raises(LocalProtocolError):
            encode_head(b"POST", b"/", b"h", [(spelling, b"1")], 1)


class Reader:
    """What a server's parser makes of a head."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.messages = 0

    def on_message_begin(self) -> None:
        self.messages += 1

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


anything = st.binary(max_size=12) | st.text("ab/:; \t\r\n\0é", max_size=8).map(str.encode)


@given(
    st.sampled_from([b"GET", b"DELETE", b"OPTIONS"]),
    st.sampled_from([b"/", b"/a?b"]) | anything.map(lambda target: b"/" + target),
    st.lists(st.tuples(st.sampled_from([b"x-a", b"X_b"]) | anything, anything), max_size=4),
)
def test_a_parser_reads_exactly_what_was_given_unless_it_was_refused(
    method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    try:
        head = encode_head(method, target, b"h", headers, None)
    except LocalProtocolError:
        return
    reader = Reader()
    parser = httptools.HttpRequestParser(reader)
    parser.feed_data(head)
    assert reader.messages == 1
    assert (parser.get_method(), reader.target) == (method, target)
    heard = [(name, value.rstrip(b" \t")) for name, value in reader.headers]
    assert heard == [(b"host", b"h"), *((name, value.strip(b" \t")) for name, value in headers)]
