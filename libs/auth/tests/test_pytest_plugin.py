"""The fixtures that an application's own tests get."""

import subprocess
import sys

import httpx
from todo_auth import TrustedIssuer, Verifier
from todo_auth.testing import Issuer


async def test_an_issuer_in_process_needs_one_fixture(better_auth_issuer: Issuer) -> None:
    async with Verifier(better_auth_issuer.trusted()) as verifier:
        assert (await verifier.verify(better_auth_issuer.token("ann"))).user_id == "ann"


async def test_the_same_issuer_serves_on_a_port(
    better_auth_server: Issuer, better_auth_issuer: Issuer
) -> None:
    assert better_auth_server is better_auth_issuer
    async with Verifier(TrustedIssuer.better_auth(better_auth_server.base_url)) as verifier:
        assert (await verifier.verify(better_auth_server.token("ann"))).user_id == "ann"


def test_a_session_opened_by_a_test_is_exchanged_until_it_ends(better_auth_server: Issuer) -> None:
    session = better_auth_server.open_session("ann")
    headers = {"Authorization": f"Bearer {session}"}
    url = f"{better_auth_server.base_url}/api/auth/token"
    assert httpx.get(url, headers=headers).json()["token"].count(".") == 2
    better_auth_server.end_session(session)
    assert httpx.get(url, headers=headers).status_code == 401


def test_suites_that_use_no_fixture_of_ours_do_not_pay_for_the_library() -> None:
    code = "import pytest_todo_auth, sys; sys.exit('todo_auth' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
