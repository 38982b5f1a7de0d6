"""The development issuer on a port: Better Auth's endpoints, and users who outlive a restart."""

import asyncio
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest
from todo_auth import KeySet, TrustedIssuer, Verifier
from todo_auth.development import Accounts, Server, serving
from todo_auth.testing import GARBAGE, HTML, Issuer, huge, redirect

ANN = {"name": "Ann", "email": "ann@example.com", "password": "correct horse"}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "issuer.json"


def serve(state: Path) -> tuple[Server, str]:
    issuer = Issuer("http://will.be.set")
    server = Server(("127.0.0.1", 0), Accounts(issuer, state))
    issuer.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, issuer.base_url


@pytest.fixture
def http(state: Path) -> Iterator[httpx.Client]:
    server, url = serve(state)
    with httpx.Client(base_url=url) as client:
        yield client
    server.shutdown()
    server.server_close()


async def test_a_user_signs_up_and_gets_a_token_that_verifies(http: httpx.Client) -> None:
    signed_up = http.post("/api/auth/sign-up/email", json=ANN)
    assert signed_up.status_code == 200
    by_cookie = http.get("/api/auth/token").json()["token"]
    http.cookies.clear()
    by_bearer = http.get(
        "/api/auth/token", headers={"Authorization": f"Bearer {signed_up.json()['token']}"}
    ).json()
    async with Verifier(TrustedIssuer.better_auth(str(http.base_url))) as verifier:
        for token in (by_cookie, by_bearer["token"]):
            identity = await verifier.verify(token)
            assert identity.user_id == signed_up.json()["user"]["id"]
            assert identity.claims["email"] == "ann@example.com"


def test_get_session_and_sign_out_answer_like_better_auth(http: httpx.Client) -> None:
    assert http.get("/api/auth/get-session").json() is None
    http.post("/api/auth/sign-up/email", json=ANN)
    session = http.get("/api/auth/get-session")
    assert session.json()["user"]["name"] == "Ann"
    assert session.headers["set-auth-jwt"].count(".") == 2
    assert http.post("/api/auth/sign-out").json() == {"success": True}
    assert http.get("/api/auth/token").status_code == 401


def test_users_and_keys_survive_a_restart(http: httpx.Client, state: Path) -> None:
    user = http.post("/api/auth/sign-up/email", json=ANN).json()["user"]
    keys = http.get("/api/auth/jwks").json()
    assert stat.S_IMODE(os.stat(state).st_mode) == 0o600
    server, url = serve(state)
    with httpx.Client(base_url=url) as again:
        assert again.post("/api/auth/sign-in/email", json=ANN).json()["user"] == user
        assert again.get("/api/auth/jwks").json() == keys
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("sign-up/email", {**ANN, "email": "nonsense"}, 400),
        ("sign-up/email", {**ANN, "password": "short"}, 400),
        ("sign-up/email", {"email": 7}, 400),
        ("sign-up/email", [], 400),
        ("sign-in/email", {**ANN, "email": "nobody@example.com"}, 401),
        ("sign-in/email", {**ANN, "password": "wrong horse"}, 401),
        ("nowhere", {}, 404),
    ],
)
def test_bad_input_is_refused_in_words(path: str, body: object, status: int, http: httpx.Client) -> None:
    answer = http.post(f"/api/auth/{path}", json=body)
    assert answer.status_code == status
    assert set(answer.json()) == {"code", "message"}


def test_a_taken_address_is_refused(http: httpx.Client) -> None:
    assert http.post("/api/auth/sign-up/email", json=ANN).status_code == 200
    assert http.post("/api/auth/sign-up/email", json={**ANN, "email": "ANN@example.com"}).status_code == 422


def test_a_body_that_is_not_json_is_refused(http: httpx.Client) -> None:
    assert http.post("/api/auth/sign-in/email", content=b"{").status_code == 400


def test_it_does_not_run_in_production() -> None:
    environment = {**os.environ, "ENV": "production"}
    ended = subprocess.run(
        [sys.executable, "-m", "todo_auth.testing", "--port", "0"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode != 0
    assert "ENV=production" in ended.stderr


@pytest.mark.parametrize("on_a_port", [True, False])
async def test_faults_are_the_same_in_process_and_on_a_port(on_a_port: bool) -> None:
    issuer = Issuer()
    with serving(issuer) if on_a_port else nullcontext():
        keys = KeySet(f"{issuer.base_url}/api/auth/jwks") if on_a_port else issuer.trusted().keys
        assert keys is not None
        await keys.refresh()
        assert (issuer.fetches, keys.is_usable) == (1, True)
        await keys.aclose()
        for answer in (GARBAGE, HTML, huge(600_000), redirect("/"), (500, b"")):
            issuer.answer = answer
            assert await cannot_fetch(issuer, on_a_port)
        issuer.answer = None
        issuer.down = True
        assert await cannot_fetch(issuer, on_a_port)
        issuer.down = False
        assert not await cannot_fetch(issuer, on_a_port)


async def cannot_fetch(issuer: Issuer, on_a_port: bool) -> bool:
    keys = KeySet(f"{issuer.base_url}/api/auth/jwks") if on_a_port else issuer.trusted().keys
    assert keys is not None
    await keys.refresh()
    await keys.aclose()
    return not keys.is_usable


async def test_a_gate_holds_an_answer_on_a_port_until_it_is_set() -> None:
    issuer = Issuer()
    issuer.gate = asyncio.Event()
    with serving(issuer) as url:
        async with httpx.AsyncClient() as client:
            asking = asyncio.ensure_future(client.get(f"{url}/api/auth/jwks"))
            while not issuer.fetches:
                await asyncio.sleep(0.001)
            assert not asking.done()
            issuer.gate.set()
            assert (await asking).json() == issuer.jwks()


async def test_a_token_under_a_shared_secret_takes_one_argument() -> None:
    secret = "a shared secret of more than thirty-two bytes"
    issuer = Issuer()
    async with Verifier(issuer.trusted(secret=secret)) as verifier:
        assert (await verifier.verify(issuer.token("ann", secret=secret))).user_id == "ann"
