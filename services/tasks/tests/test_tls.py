"""TLS to the database, as serverless providers require it: a front that speaks TLS and passes bytes on."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi import FastAPI
from httpx import AsyncClient

from todo_tasks.settings import TasksSettings

SettingsOf = Callable[..., TasksSettings]
Serve = Callable[[TasksSettings], Awaitable[FastAPI]]
Connect = Callable[..., AsyncClient]


def certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate of `localhost`, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = directory / f"{name}.crt", directory / f"{name}.key"
    certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate_file, key_file


class Front:
    """Takes PostgreSQL's TLS request, speaks TLS, and passes what comes on to the server of `url`."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self._parts = urlsplit(url)
        self._context = context
        self._writers: list[asyncio.StreamWriter] = []
        self.encrypted = 0
        self.port = 0

    def url(self, **words: str) -> str:
        credentials = self._parts.netloc.rpartition("@")[0]
        return f"postgresql://{credentials}@127.0.0.1:{self.port}{self._parts.path}?{urlencode(words)}"

    def cut(self) -> None:
        """Drop every connection, as a server does that goes to sleep: without a word of TLS or PostgreSQL."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readexactly(8) != bytes.fromhex("0000000804d2162f"):
                return
            writer.write(b"S")
            await writer.drain()
            await writer.start_tls(self._context)
            self.encrypted += 1
            behind = await asyncio.open_connection(self._parts.hostname, self._parts.port or 5432)
            self._writers += [writer, behind[1]]
            await asyncio.gather(pass_on(reader, behind[1]), pass_on(behind[0], writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@pytest.fixture
async def front(url: str, tmp_path: Path) -> AsyncIterator[Front]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate(tmp_path, "theirs"))
    front = Front(url, context)
    server = await asyncio.start_server(front.serve, "127.0.0.1", 0)
    front.port = server.sockets[0].getsockname()[1]
    yield front
    front.cut()
    server.close()


async def both_ways(client: AsyncClient) -> list[int]:
    """The statuses of a request through asyncpg, and of one through psycopg2."""
    path = "/api/categories/01a20e5d-d6bc-7550-8af4-da3e8cca6a93"
    return [(await client.get("/api/tasks")).status_code, (await client.delete(path)).status_code]


async def test_both_ways_speak_tls_where_the_url_says_so(
    front: Front, tmp_path: Path, settings_of: SettingsOf, serve: Serve, connect: Connect
) -> None:
    for words in (
        {"sslmode": "require", "channel_binding": "prefer"},
        {"sslmode": "verify-full", "sslrootcert": str(tmp_path / "theirs.crt")},
    ):
        before = front.encrypted
        client = connect(await serve(settings_of(front.url(**words))))
        assert await both_ways(client) == [200, 404]
        assert front.encrypted == before + 2


async def test_a_certificate_that_is_not_trusted_is_refused_both_ways(
    front: Front, tmp_path: Path, settings_of: SettingsOf, serve: Serve, connect: Connect
) -> None:
    other, _ = certificate(tmp_path, "other")
    for root in (str(other), "system"):
        url = front.url(sslmode="verify-full", sslrootcert=root)
        client = connect(await serve(settings_of(url)))
        assert await both_ways(client) == [503, 503]


async def test_a_server_without_tls_is_refused_where_tls_is_required(
    url: str, settings_of: SettingsOf, serve: Serve, connect: Connect
) -> None:
    client = connect(await serve(settings_of(f"{url}?sslmode=require")))
    assert await both_ways(client) == [503, 503]


async def test_connections_that_a_sleeping_server_dropped_are_not_noticed(
    front: Front, settings_of: SettingsOf, serve: Serve, connect: Connect
) -> None:
    client = connect(await serve(settings_of(front.url(sslmode="require"))))
    for _ in range(3):
        assert await both_ways(client) == [200, 404]
        front.cut()
