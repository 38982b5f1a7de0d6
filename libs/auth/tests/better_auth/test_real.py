"""What the real Better Auth issues, the verifier believes, and no longer than Better Auth stands by it.

Task: T-037 · Spec: plan.md#real-better-auth
"""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from todo_auth import KeySet, TrustedIssuer, Verifier, errors
from todo_auth.doctor import examine
from todo_auth.sessions import SessionExchange
from todo_auth.testing import SESSION_COOKIE, Clock
from todo_auth.token_endpoint import SessionRefused

RECHECK_S = 60


@dataclass
class User:
    """Ann at one issuer. `session`: her opaque token. `http`: a client with her cookie."""

    id: str
    session: str
    http: httpx.AsyncClient

    async def token(self) -> str:
        """A new JWT for her session."""
        answer = await self.http.get("/api/auth/token")
        return str(answer.raise_for_status().json()["token"])


@pytest.fixture
def algorithm() -> str:
    """Better Auth's own choice, where a test names no other."""
    return "default"


@pytest.fixture
def url(servers: dict[str, str], algorithm: str) -> str:
    """The base URL of a Better Auth that signs with the algorithm."""
    return servers[algorithm]


@pytest.fixture
async def ann(url: str) -> AsyncIterator[User]:
    """A user who has just signed up."""
    async with httpx.AsyncClient(base_url=url, headers={"Origin": url}, timeout=20) as http:
        body = {"name": "Ann", "email": f"{secrets.token_hex(8)}@example.com", "password": "correct horse"}
        answer = (await http.post("/api/auth/sign-up/email", json=body)).raise_for_status().json()
        yield User(answer["user"]["id"], answer["token"], http)


@pytest.fixture
async def keys(url: str, clock: Clock) -> AsyncIterator[KeySet]:
    """The issuer's key set, under a clock that the test moves."""
    keys = KeySet(f"{url}/api/auth/jwks", now=clock, sleep=clock.sleep)
    yield keys
    await keys.aclose()


@pytest.fixture
def verifier(url: str, keys: KeySet) -> Verifier:
    return Verifier(TrustedIssuer.better_auth(url, keys=keys))


@pytest.mark.parametrize(
    ("algorithm", "signed_with"),
    [
        ("default", "EdDSA"),
        *((name, name) for name in ("EdDSA", "ES256", "ES384", "ES512", "PS256", "RS256")),
    ],
)
async def test_a_user_of_real_better_auth_is_believed_by_every_algorithm(
    signed_with: str, ann: User, verifier: Verifier, keys: KeySet
) -> None:
    identity = await verifier.verify(await ann.token())
    assert identity.user_id == ann.id
    assert identity.claims["name"] == "Ann"
    assert keys.known(None, signed_with) is not None


@pytest.mark.parametrize("algorithm", ["default", "ES256", "RS256"])
async def test_a_new_key_of_real_better_auth_is_picked_up_at_once_and_the_old_one_stays(
    ann: User, verifier: Verifier
) -> None:
    old = await ann.token()
    await verifier.verify(old)
    (await ann.http.post("/keys")).raise_for_status()
    new = await ann.token()
    assert new.partition(".")[0] != old.partition(".")[0]
    for token in (new, old):
        assert (await verifier.verify(token)).user_id == ann.id


async def test_a_key_withdrawn_from_real_better_auth_is_refused_after_the_next_refresh(
    ann: User, verifier: Verifier, keys: KeySet, clock: Clock
) -> None:
    token = await ann.token()
    await verifier.verify(token)
    jwks = (await ann.http.get("/api/auth/jwks")).json()["keys"]
    for jwk in jwks:
        (await ann.http.delete(f"/keys/{jwk['kid']}")).raise_for_status()
    assert (await verifier.verify(token)).user_id == ann.id, "until it is noticed"
    clock.moment += 240
    await keys.refresh()
    with pytest.raises(errors.KeyUnknown):
        await verifier.verify(token)
    assert (await verifier.verify(await ann.token())).user_id == ann.id


@pytest.mark.parametrize("shown_as", ["bearer", "cookie"])
async def test_a_session_of_real_better_auth_is_exchanged_and_its_sign_out_noticed(
    shown_as: str, url: str, ann: User, verifier: Verifier, clock: Clock
) -> None:
    cookie = f"{SESSION_COOKIE}={ann.http.cookies[SESSION_COOKIE]}"
    header = {"bearer": (b"authorization", f"Bearer {ann.session}"), "cookie": (b"cookie", cookie)}[shown_as]
    headers = [(header[0], header[1].encode()), (b"origin", url.encode())]
    token_url = f"{url}/api/auth/token"
    async with SessionExchange(
        verifier, token_url, origins=[url], recheck_s=RECHECK_S, timeout_s=20, now=clock
    ) as exchange:
        assert (await exchange.authenticate(headers, method="GET")).user_id == ann.id
        (await ann.http.post("/api/auth/sign-out")).raise_for_status()
        clock.moment += RECHECK_S - 1
        assert (await exchange.authenticate(headers, method="GET")).user_id == ann.id, "until it is noticed"
        clock.moment += 1
        with pytest.raises(SessionRefused):
            await exchange.authenticate(headers, method="GET")


async def test_the_doctor_finds_nothing_wrong_with_real_better_auth(url: str, ann: User) -> None:
    findings = await examine(url, token=await ann.token())
    assert [(finding.level, finding.code) for finding in findings] == [
        *(("ok", "key_set"), ("ok", "clock"), ("ok", "keys"), ("ok", "token"))
    ]
    by_session = await examine(url, token=ann.session)
    assert [finding.code for finding in by_session][-3:] == ["opaque_token", "session", "token"]


@pytest.mark.parametrize("algorithm", ["PS256"])  # its own server: no other test works under another secret
async def test_the_doctor_tells_that_the_secret_of_real_better_auth_was_changed(url: str, ann: User) -> None:
    await ann.token()
    (await ann.http.post("/secret")).raise_for_status()
    findings = await examine(url, token=ann.session)
    assert [finding.code for finding in findings][-2:] == ["opaque_token", "issuer_fails"]
    assert "BETTER_AUTH_SECRET" in findings[-1].hint
