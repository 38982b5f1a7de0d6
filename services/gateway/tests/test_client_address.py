"""Who a client is, and who says so."""

from ipaddress import ip_network

import pytest
from starlette.types import Message, Receive, Scope, Send
from todo_gateway.client_address import ClientAddress, forwarded, subject

PROXIES = [ip_network("10.0.0.0/8"), ip_network("2001:db8:ffff::/48")]


async def read(
    peer: str | None, *headers: tuple[str, str], trusted: bool = True, scheme: str = "http"
) -> tuple[str, str]:
    scope: Scope = {
        "type": "http",
        "scheme": scheme,
        "client": None if peer is None else (peer, 1234),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    async def receive() -> Message:
        raise AssertionError("nobody reads")

    async def send(message: Message) -> None:
        raise AssertionError("nobody answers")

    await ClientAddress(app, PROXIES if trusted else [])(scope, receive, send)
    return scope["state"]["client"], scope["state"]["proto"]


XFF = "x-forwarded-for"


@pytest.mark.parametrize(
    ("peer", "value", "client"),
    [
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.7", "203.0.113.7"),  # the left one is the client's own word
        ("10.0.0.1", "203.0.113.7, 10.9.9.9", "203.0.113.7"),
        ("10.0.0.1", "10.1.1.1, 10.9.9.9", "10.1.1.1"),
        ("10.0.0.1", "203.0.113.7:55012", "203.0.113.7"),
        ("10.0.0.1", "[2001:db8::7]:443", "2001:db8::7"),
        ("10.0.0.1", "2001:DB8:0::7", "2001:db8::7"),
        ("10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "fe80::7%eth0", "fe80::7"),  # a zone means something on one machine only (RFC 4007 §11)
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("2001:db8:ffff::1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7, <script>, 10.2.2.2", "10.2.2.2"),
        ("10.0.0.1", "203.0.113.7,,", "10.0.0.1"),
        ("10.0.0.1", "\xff\x00'\"", "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4," * 3000 + "203.0.113.7", "203.0.113.7"),
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),
    ],
)
async def test_the_first_address_from_the_right_that_is_not_trusted_is_the_client(
    peer: str, value: str, client: str
) -> None:
    assert (await read(peer, (XFF, value)))[0] == client


async def test_nothing_is_believed_where_no_proxy_is_trusted() -> None:
    said = [(XFF, "1.2.3.4"), ("forwarded", "for=1.2.3.4;proto=https"), ("x-forwarded-proto", "https")]
    assert await read("10.0.0.1", *said, trusted=False) == ("10.0.0.1", "http")
    assert await read("203.0.113.9", *said) == ("203.0.113.9", "http")


async def test_the_lines_of_one_header_are_one_list() -> None:
    assert (await read("10.0.0.1", (XFF, "1.2.3.4"), (XFF, "203.0.113.7")))[0] == "203.0.113.7"


@pytest.mark.parametrize(
    ("value", "client", "proto"),
    [
        ("for=203.0.113.7;proto=https;by=10.0.0.1", "203.0.113.7", "https"),
        ('For="[2001:db8::7]:4711"', "2001:db8::7", "http"),
        ('for=1.2.3.4, for=203.0.113.7;proto="https"', "203.0.113.7", "https"),
        ("for=_hidden, for=10.2.2.2", "10.2.2.2", "http"),
        ("for=203.0.113.7;for=1.2.3.4", "10.0.0.1", "http"),
        ('for="203.0.113.7', "10.0.0.1", "http"),
        (";;;=,=", "10.0.0.1", "http"),
    ],
)
async def test_forwarded_is_read_as_rfc_7239_has_it(value: str, client: str, proto: str) -> None:
    assert await read("10.0.0.1", ("forwarded", value)) == (client, proto)


async def test_two_headers_that_disagree_are_both_not_believed() -> None:
    told = (XFF, "203.0.113.7")
    assert (await read("10.0.0.1", told, ("forwarded", "for=203.0.113.7")))[0] == "203.0.113.7"
    assert (await read("10.0.0.1", told, ("forwarded", "for=1.2.3.4")))[0] == "10.0.0.1"


@pytest.mark.parametrize(
    ("value", "proto"), [("https", "https"), ("http, HTTPS", "https"), ("javascript", "http"), ("", "http")]
)
async def test_the_protocol_is_one_of_two(value: str, proto: str) -> None:
    assert (await read("10.0.0.1", ("x-forwarded-proto", value)))[1] == proto


async def test_a_connection_without_an_address_is_nobodys() -> None:
    assert (await read(None, (XFF, "1.2.3.4")))[0] == ""


def test_an_upstream_is_told_what_was_found_and_nothing_else() -> None:
    state = {"client": "2001:db8::7", "proto": "https"}
    assert forwarded({"state": state}) == [
        (b"x-forwarded-for", b"2001:db8::7"),
        (b"x-forwarded-proto", b"https"),
    ]
    assert forwarded({"state": {"client": "", "proto": "http"}}) == [(b"x-forwarded-proto", b"http")]


def test_an_ipv6_client_is_its_network_in_a_limit() -> None:
    assert subject("2001:db8:1:2:aaaa::1") == subject("2001:db8:1:2:bbbb::2") == "2001:db8:1:2::/64"
    assert subject("2001:db8:1:3::1") != subject("2001:db8:1:2::1")
    assert subject("203.0.113.7") == "203.0.113.7"
    assert subject("") == ""
