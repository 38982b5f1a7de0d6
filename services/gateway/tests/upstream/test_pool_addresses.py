"""Which addresses a pool takes, TLS included."""

import asyncio
import datetime
import ipaddress
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from todo_gateway.upstream import ConnectFailed, Pool

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"


async def hello(peer: Any) -> None:
    """Answers every request without a body."""
    while await peer.head():
        await peer.send(HELLO)


async def get(pool: Pool) -> bytes | None:
    return (await pool.request(b"GET", b"/", [])).body


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "127.0.0.1:8001",
        "ftp://h",
        "http://",
        "http://h/base",
        "http://h?x",
        "http://u:p@h",
        "http://h:port",
        "http://é",
    ],
)
def test_an_address_that_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError):
        Pool(origin)


def test_a_pool_without_connections_is_refused() -> None:
    with pytest.raises(ValueError):
        Pool("http://h", max_connections=0)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 and its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "upstream")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return file


async def test_an_https_upstream_is_used_where_its_certificate_is_trusted(certificate: Path) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(HELLO)
        writer.close()

    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(certificate)
    server = await asyncio.start_server(script, "127.0.0.1", 0, ssl=server_tls)
    origin = "https://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
    trusting = Pool(origin, tls=ssl.create_default_context(cafile=certificate))
    assert [await get(trusting) for _ in range(3)] == [b"hello"] * 3
    await trusting.aclose()
    doubting = Pool(origin)
    with pytest.raises(ConnectFailed):
        await get(doubting)
    await doubting.aclose()
    server.close()
    await server.wait_closed()
