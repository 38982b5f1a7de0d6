"""The doctor names what is wrong, all of it, and shows no token."""

import asyncio
import datetime
import io
import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from todo_auth.__main__ import main, show
from todo_auth.doctor import Finding, examine, network
from todo_auth.testing import GARBAGE, HTML, Answer, Issuer, IssuerKey, huge, redirect, session_cookie

SECRET = "a shared secret of more than thirty-two bytes"

Place = Mapping[str, Answer]


@contextmanager
def place(answers: Place, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that answers some paths, and 404 to all others."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, *headers = answers.get(self.path, (404, b"{}"))
            self.send_response(status)
            for name, value in (headers[0] if headers else {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing to say."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A handshake that fails is the test's."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def key_set(issuer: Issuer) -> Answer:
    return (200, json.dumps(issuer.jwks()).encode(), {"Content-Type": "application/json"})


async def found(url: str, **settings: Any) -> dict[str, Finding]:
    """What is found, by its code, once it is sure that nothing secret is in it."""
    findings = await examine(url, **settings)
    words = repr(findings)
    token = settings.get("token")
    if token is not None and len(token) > 30:
        assert token not in words
        assert token.rpartition(".")[2] not in words
    assert SECRET not in words
    return {finding.code: finding for finding in findings}


def problems(findings: Mapping[str, Finding]) -> list[str]:
    return [code for code, finding in findings.items() if finding.level == "problem"]


@pytest.fixture
def issuer(better_auth_server: Issuer) -> Issuer:
    return better_auth_server


async def test_where_all_is_well_the_token_is_accepted(issuer: Issuer) -> None:
    findings = await found(issuer.base_url + "/", token=issuer.token("ann"))
    assert list(findings) == ["key_set", "clock", "keys", "token"]
    assert {finding.level for finding in findings.values()} == {"ok"}
    assert "'ann'" in findings["token"].text
    assert f"EdDSA '{issuer.keys[0].kid}'" in findings["keys"].text


@pytest.mark.parametrize(
    ("path", "below", "setting"),
    [
        ("/api/auth/jwks", "/some/page", "BETTER_AUTH_URL="),
        ("/api/auth/jwks", "/api/auth", "BETTER_AUTH_URL="),
        ("/auth/jwks", "", "BETTER_AUTH_JWKS_URL="),
        ("/base/jwks", "/base", "BETTER_AUTH_JWKS_URL="),
        ("/.well-known/jwks.json", "/api/auth", "NEON_AUTH_BASE_URL="),
    ],
)
async def test_a_wrong_base_url_is_answered_with_the_right_one(
    path: str, below: str, setting: str, better_auth_issuer: Issuer
) -> None:
    with place({path: key_set(better_auth_issuer)}) as url:
        findings = await found(url + below)
        assert problems(findings) == ["wrong_path", "elsewhere"]
        assert f"{url}{path}" in findings["elsewhere"].text
        right = url if setting != "BETTER_AUTH_JWKS_URL=" else url + path
        assert findings["elsewhere"].hint == f"Set {setting}{right}"


async def test_neon_auth_is_known_by_its_layout_and_its_tokens_name_the_origin(
    better_auth_issuer: Issuer,
) -> None:
    with place({"/db/auth/.well-known/jwks.json": key_set(better_auth_issuer)}) as url:
        better_auth_issuer.base_url = url
        findings = await found(f"{url}/db/auth", token=better_auth_issuer.token())
    assert problems(findings) == []
    assert findings["key_set"].hint == f"Set NEON_AUTH_BASE_URL={url}/db/auth"
    assert "token" in findings


async def test_a_wrong_address_of_the_keys_alone_is_told_from_the_right_one(issuer: Issuer) -> None:
    findings = await found(issuer.base_url, jwks_url=f"{issuer.base_url}/jwks")
    assert problems(findings) == ["wrong_path", "elsewhere"]
    assert f"{issuer.base_url}/api/auth/jwks" in findings["elsewhere"].text


async def test_an_address_of_the_keys_that_is_not_reached_from_here_does_not_hide_the_public_one(
    issuer: Issuer,
) -> None:
    findings = await found(issuer.base_url, jwks_url="http://web.invalid:3000/api/auth/jwks")
    assert problems(findings) == ["dns", "elsewhere"]


async def test_better_auth_without_the_jwt_plugin_is_recognised() -> None:
    with place({"/api/auth/ok": (200, b'{"ok":true}')}) as url:
        assert problems(await found(url)) == ["wrong_path", "no_jwt_plugin"]


async def test_no_key_set_anywhere_is_said() -> None:
    with place({}) as url:
        assert problems(await found(url)) == ["wrong_path", "key_set_not_found"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (HTML, "html"),
        ((200, b"<!doctype html>"), "html"),
        ((404, b"<html>", {"Content-Type": "text/html"}), "html"),
        (GARBAGE, "not_a_key_set"),
        ((200, b'{"keys":{}}'), "not_a_key_set"),
        (huge(600_000), "not_a_key_set"),
        (redirect("https://elsewhere.example/login"), "redirect"),
        ((500, b""), "issuer_fails"),
    ],
)
async def test_an_answer_that_is_no_key_set_is_named(answer: Answer, code: str, issuer: Issuer) -> None:
    issuer.answer = answer
    findings = await found(issuer.base_url, token=issuer.token())
    assert problems(findings)[0] == code
    assert "keys_unavailable" in findings
    if code == "redirect":
        assert "https://elsewhere.example/login" in findings[code].text


async def test_an_empty_key_set_is_no_problem_before_the_first_token(issuer: Issuer) -> None:
    issuer.answer = (200, b'{"keys":[]}')
    findings = await found(issuer.base_url)
    assert problems(findings) == []
    assert findings["empty_key_set"].level == "warning"
    assert problems(await found(issuer.base_url, token=issuer.token())) == ["key_unknown"]


async def test_skipped_keys_are_named_with_the_reason_and_do_not_spoil_the_others(issuer: Issuer) -> None:
    old = {name: value for name, value in IssuerKey().public_jwk.items() if name != "alg"}
    issuer.answer = (
        200,
        json.dumps({"keys": [{**old, "kid": "old\x1b[31m"}, issuer.keys[0].public_jwk]}).encode(),
    )
    findings = await found(issuer.base_url, token=issuer.token())
    assert problems(findings) == []
    assert "'old\\x1b[31m'" in findings["key_skipped"].text
    assert "it has no alg" in findings["key_skipped"].text
    assert "1.3.4" in findings["key_skipped"].hint
    issuer.answer = (200, json.dumps({"keys": [old]}).encode())
    assert problems(await found(issuer.base_url)) == ["no_usable_key"]


async def test_a_name_without_an_address_is_told_from_a_port_nobody_listens_on(issuer: Issuer) -> None:
    assert problems(await found("http://web.invalid:3000")) == ["dns"]
    with place({}) as url:
        pass
    findings = await found(url)
    assert problems(findings) == ["refused"]
    assert "BETTER_AUTH_JWKS_URL" in findings["refused"].hint


async def test_https_and_http_taken_for_each_other_are_recognised(
    issuer: Issuer, tls: ssl.SSLContext
) -> None:
    assert problems(await found(issuer.base_url.replace("http:", "https:"))) == ["tls"]
    with place({}, tls) as url:
        assert problems(await found(url.replace("https:", "http:"))) == ["not_http"]


async def test_a_certificate_that_is_not_trusted_is_named(tls: ssl.SSLContext) -> None:
    with place({}, tls) as url:
        findings = await found(url)
    assert problems(findings) == ["certificate"]
    assert "self-signed certificate" in findings["certificate"].text


async def test_an_issuer_that_hangs_is_not_waited_for(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "TIMEOUT_S", 0.1)
    issuer.gate = asyncio.Event()
    assert problems(await found(issuer.base_url)) == ["timeout"]


@pytest.mark.parametrize(
    ("ahead_s", "level"), [(0, "ok"), (-15, "warning"), (15, "warning"), (90, "problem")]
)
async def test_clocks_that_differ_are_noticed_by_the_date_of_the_answer(
    ahead_s: float, level: str, issuer: Issuer
) -> None:
    findings = await found(issuer.base_url, now=lambda: time.time() - ahead_s)
    finding = findings["clock" if level == "ok" else "clock_skew"]
    assert finding.level == level
    if level != "ok":
        assert ("ahead of" if ahead_s > 0 else "behind") in finding.text


NOW = int(time.time())
REFUSED: list[tuple[str, Callable[[Issuer], str], list[str]]] = [
    ("issuer", lambda issuer: issuer.token(iss="http://other.example"), ["issuer_mismatch"]),
    ("no issuer", lambda issuer: issuer.token(iss=None), ["issuer_mismatch"]),
    ("audience", lambda issuer: issuer.token(aud=["http://other.example"]), ["audience_mismatch"]),
    ("no audience", lambda issuer: issuer.token(aud=None), ["audience_mismatch"]),
    ("expired", lambda issuer: issuer.token(iat=NOW - 9000, exp=NOW - 8100), ["token_expired"]),
    ("future", lambda issuer: issuer.token(iat=NOW + 500, exp=NOW + 900), ["token_not_yet_valid"]),
    ("long", lambda issuer: issuer.token(exp=NOW + 90_000), ["lifetime_too_long"]),
    ("type", lambda issuer: issuer.token(header={"typ": "logout+jwt"}), ["type_refused"]),
    ("type", lambda issuer: issuer.token(header={"typ": 7}), ["type_refused"]),
    ("subject", lambda issuer: issuer.token(sub="a b"), ["subject_invalid"]),
    ("no exp", lambda issuer: issuer.token(exp=None), ["token_malformed"]),
    ("key", lambda issuer: issuer.token(key=IssuerKey()), ["key_unknown"]),
    ("HS256", lambda issuer: issuer.token(secret=SECRET), ["algorithm_refused"]),
    ("none", lambda issuer: issuer.token(header={"alg": "none"}), ["algorithm_refused"]),
    ("signature", lambda issuer: issuer.token()[:-9] + issuer.token("eve")[-9:], ["signature_invalid"]),
    ("encrypted", lambda issuer: "a.b.c.d." + "e" * 30, ["token_malformed"]),
    (
        "everything",
        lambda issuer: issuer.token(
            iss="http://a.example", aud="b", iat=NOW - 200_000, exp=NOW - 9, header={"typ": "x"}
        ),
        ["type_refused", "issuer_mismatch", "audience_mismatch", "token_expired", "lifetime_too_long"],
    ),
]


@pytest.mark.parametrize(("make", "codes"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_every_reason_for_refusing_a_token_is_found(
    make: Callable[[Issuer], str], codes: list[str], issuer: Issuer
) -> None:
    findings = await found(issuer.base_url, token=make(issuer))
    assert problems(findings) == codes
    assert "token" not in findings


async def test_a_mismatch_shows_both_sides_and_the_nearest_cure(issuer: Issuer) -> None:
    token = issuer.token(iss=f"{issuer.base_url}/", aud=issuer.base_url.replace("127.0.0.1", "localhost"))
    findings = await found(issuer.base_url, token=token)
    mismatch = findings["issuer_mismatch"]
    assert f"'{issuer.base_url}/'" in mismatch.text
    assert f"'{issuer.base_url}' is expected" in mismatch.text
    assert mismatch.hint.endswith(f"set BETTER_AUTH_ISSUER={issuer.base_url}/")
    assert "two names" in findings["audience_mismatch"].hint


async def test_settings_that_are_given_take_the_place_of_derived_ones(issuer: Issuer) -> None:
    token = issuer.token(iss="https://app.example", aud="mobile")
    assert problems(await found(issuer.base_url, token=token)) == ["issuer_mismatch", "audience_mismatch"]
    settings = {"issuer": "https://app.example", "audience": ["web", "mobile"]}
    assert problems(await found(issuer.base_url, token=token, **settings)) == []


async def test_a_shared_secret_that_was_rotated_is_told_from_one_that_is_right(issuer: Issuer) -> None:
    token = issuer.token(secret=SECRET)
    assert problems(await found(issuer.base_url, token=token, secret=SECRET)) == []
    wrong = await found(issuer.base_url, token=token, secret=SECRET[::-1])
    assert problems(wrong) == ["signature_invalid"]
    assert "secret" in wrong["signature_invalid"].text
    short = await found(issuer.base_url, token=token, secret="short")
    assert problems(short) == ["secret_too_short", "algorithm_refused"]


@pytest.mark.parametrize("token", ["", "undefined", "null", "[object Object]", "Bearer undefined", '"null"'])
async def test_a_word_sent_for_a_token_is_named(token: str, issuer: Issuer) -> None:
    assert problems(await found(issuer.base_url, token=token)) == ["no_token"]


async def test_a_token_is_taken_as_it_is_copied(issuer: Issuer) -> None:
    assert problems(await found(issuer.base_url, token=f' Bearer "{issuer.token()}"\n')) == []


async def test_a_session_token_is_recognised_and_its_issuer_asked_for_the_jwt(issuer: Issuer) -> None:
    session = issuer.open_session("ann")
    for token in (session, session_cookie(session).partition("=")[2]):
        findings = await found(issuer.base_url, token=token)
        assert problems(findings) == ["opaque_token"]
        assert "SESSION_EXCHANGE" in findings["opaque_token"].hint
        assert "'ann'" in findings["token"].text
    issuer.end_session(session)
    assert problems(await found(issuer.base_url, token=session)) == ["opaque_token", "session_refused"]
    assert problems(await found(issuer.base_url, token="not a token")) == ["opaque_token"]


@pytest.mark.parametrize(
    ("status", "code"), [(500, "issuer_fails"), (404, "no_jwt_plugin"), (200, "no_jwt_plugin")]
)
async def test_an_issuer_that_cannot_sign_is_told_from_one_that_makes_no_tokens(
    status: int, code: str, better_auth_issuer: Issuer
) -> None:
    answers: Place = {"/api/auth/jwks": key_set(better_auth_issuer), "/api/auth/token": (status, b"")}
    with place(answers) as url:
        findings = await found(url, token="a-session-token-of-32-characters")
    assert problems(findings) == ["opaque_token", code]
    assert ("BETTER_AUTH_SECRET" in findings[code].hint) == (status == 500)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:3000",
        "ftp://a.example",
        "http://",
        "http://a.example/?x",
        "http://u:p@a.example",
        "http://a:b",
    ],
)
async def test_what_is_no_address_is_refused_before_anything_is_asked(url: str) -> None:
    assert problems(await found(url)) == ["bad_url"]


def test_the_exit_code_says_whether_a_problem_was_found(
    issuer: Issuer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["doctor", issuer.base_url, "--token", issuer.token()]) == 0
    assert capsys.readouterr().out.count("✓") == 4
    monkeypatch.setattr(sys, "stdin", io.StringIO(issuer.token(aud="other") + "\n"))
    assert main(["doctor", issuer.base_url, "--token=-", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    assert [finding["code"] for finding in findings if finding["level"] == "problem"] == ["audience_mismatch"]
    assert main(["doctor", issuer.base_url, "--secret-env", "NO_SUCH_VARIABLE"]) == 2
    monkeypatch.setenv("A_SECRET", SECRET)
    arguments = [
        "--token",
        issuer.token(secret=SECRET),
        "--secret-env=A_SECRET",
        "--audience",
        issuer.base_url,
    ]
    assert main(["doctor", issuer.base_url, *arguments]) == 0
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 2


def test_lines_are_ascii_where_the_terminal_shows_no_more() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii")
    show([Finding("ok", "a", "Good."), Finding("problem", "b", "Bad…", "Do this.")], stream)
    stream.flush()
    assert raw.getvalue().decode().split("\n") == ["ok  Good.", "x   Bad...", "    Do this.", ""]


def test_it_runs_as_a_module(issuer: Issuer) -> None:
    command = [sys.executable, "-m", "todo_auth", "doctor", issuer.base_url, "--token", "null"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "'null' is sent instead of a token." in ended.stdout


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's context with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file: Path = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
