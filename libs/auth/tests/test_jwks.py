"""The issuer's keys: fetched once for everybody, kept while it is away, rotated without anyone noticing."""

import asyncio
import json
from typing import Any

import pytest
from todo_auth import KeysUnavailable, KeySet, Verifier
from todo_auth.errors import KeyUnknown
from todo_auth.jwks import KeyRefused, SigningKey, read_key_set
from todo_auth.testing import Clock, Issuer, IssuerKey


def key_set(issuer: Issuer, clock: Clock, **settings: Any) -> KeySet:
    keys = issuer.trusted(now=clock, sleep=clock.sleep, **settings).keys
    assert keys is not None
    return keys


async def settle() -> None:
    """Lets everything that can run, run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_hundred_first_requests_share_one_fetch(issuer: Issuer, clock: Clock) -> None:
    keys = key_set(issuer, clock)
    kid = issuer.keys[0].kid
    found = await asyncio.gather(*(keys.find(kid, "EdDSA") for _ in range(100)))
    assert len({id(key) for key in found}) == 1
    assert issuer.fetches == 1
    await keys.aclose()


async def test_known_keys_answer_at_once_while_the_issuer_hangs(issuer: Issuer, clock: Clock) -> None:
    async with Verifier(issuer.trusted(now=clock, sleep=clock.sleep), now=clock) as verifier:
        issuer.gate = asyncio.Event()
        clock.moment += 300
        identities = [await verifier.verify(issuer.token(f"user{n}")) for n in range(100)]
        assert len(identities) == 100
        assert not issuer.gate.is_set()
        await settle()
        assert issuer.fetches == 2, "one refresh waits in the background, for all of them"


@pytest.mark.parametrize(
    "answer",
    [
        (500, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"keys":{}}'),
        (302, b""),
        (200, b" " * 600_000),
        None,
    ],
)
async def test_known_keys_outlive_an_issuer_that_fails_until_they_are_a_day_old(
    answer: tuple[int, bytes] | None, issuer: Issuer, clock: Clock
) -> None:
    async with Verifier(issuer.trusted(now=clock, sleep=clock.sleep), now=clock) as verifier:
        await verifier.verify(issuer.token())
        issuer.answer = answer
        issuer.down = answer is None
        clock.moment += 23 * 3600
        assert (await verifier.verify(issuer.token("bob"))).user_id == "bob"
        await settle()
        assert issuer.fetches == 2
        clock.moment += 3601
        assert not verifier.is_ready
        with pytest.raises(KeysUnavailable):
            await verifier.verify(issuer.token("eve"))


async def test_a_key_that_appears_right_after_a_fetch_is_picked_up_by_its_first_token(
    issuer: Issuer, verifier: Verifier
) -> None:
    await verifier.verify(issuer.token())
    new = issuer.rotate("ES256")
    assert (await verifier.verify(issuer.token("bob", key=new))).user_id == "bob"
    newer = issuer.rotate()
    assert (await verifier.verify(issuer.token("eve", key=newer))).user_id == "eve"
    assert issuer.fetches == 3


async def test_a_key_published_while_a_fetch_runs_is_found_by_the_next_one(
    issuer: Issuer, clock: Clock
) -> None:
    keys = key_set(issuer, clock)
    await keys.refresh()
    clock.moment += 5
    issuer.answer = (200, json.dumps(issuer.jwks()).encode())
    issuer.gate = asyncio.Event()
    early = asyncio.ensure_future(keys.refresh())
    await settle()
    new = issuer.rotate()
    waiting = asyncio.ensure_future(keys.find(new.kid, "EdDSA"))
    await settle()
    issuer.gate.set()
    await early
    issuer.answer = None
    assert (await waiting).key_id == new.kid
    await keys.aclose()


async def test_a_flood_of_unknown_keys_costs_one_fetch_a_second_and_no_valid_token(
    issuer: Issuer, clock: Clock
) -> None:
    keys = key_set(issuer, clock)
    await keys.refresh()
    started = clock.moment
    flood = [keys.find(f"unknown-{n}", "EdDSA") for n in range(500)]
    outcomes = await asyncio.gather(*flood, keys.find(issuer.keys[0].kid, "EdDSA"), return_exceptions=True)
    assert isinstance(outcomes[-1], SigningKey)
    assert all(isinstance(outcome, KeyUnknown) for outcome in outcomes[:-1])
    assert issuer.fetches == 2
    for n in range(5):
        with pytest.raises(KeyUnknown):
            await keys.find(f"unknown-again-{n}", "EdDSA")
    assert issuer.fetches - 1 <= clock.moment - started + 1
    await keys.aclose()


async def test_an_unknown_key_while_the_issuer_is_away_is_unjudged_not_refused(
    issuer: Issuer, clock: Clock
) -> None:
    keys = key_set(issuer, clock)
    await keys.refresh()
    issuer.down = True
    clock.moment += 5
    with pytest.raises(KeysUnavailable):
        await keys.find("unknown", "EdDSA")
    fetches = issuer.fetches
    with pytest.raises(KeysUnavailable):
        await keys.find("unknown", "EdDSA")
    assert issuer.fetches == fetches, "nobody asks again within the second"
    await keys.aclose()


async def test_the_caller_who_leaves_does_not_end_the_fetch_that_others_wait_for(
    issuer: Issuer, clock: Clock
) -> None:
    keys = key_set(issuer, clock)
    issuer.gate = asyncio.Event()
    leaver = asyncio.ensure_future(keys.find(issuer.keys[0].kid, "EdDSA"))
    stayer = asyncio.ensure_future(keys.find(issuer.keys[0].kid, "EdDSA"))
    await settle()
    leaver.cancel()
    await settle()
    issuer.gate.set()
    assert (await stayer).key_id == issuer.keys[0].kid
    await keys.aclose()


async def test_closing_while_a_fetch_runs_leaves_nothing_scheduled(issuer: Issuer, clock: Clock) -> None:
    keys = key_set(issuer, clock, refresh_s=0.01)
    issuer.gate = asyncio.Event()
    waiting = asyncio.ensure_future(keys.find(issuer.keys[0].kid, "EdDSA"))
    await settle()
    await keys.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    issuer.gate.set()
    # Every timer that was due by then has run when this one has.
    await asyncio.sleep(0.02)
    assert issuer.fetches == 1


async def test_an_empty_key_set_is_normal_and_the_first_key_is_found_later(
    issuer: Issuer, clock: Clock
) -> None:
    issuer.answer = (200, b'{"keys":[]}')
    async with Verifier(issuer.trusted(now=clock, sleep=clock.sleep), now=clock) as verifier:
        assert verifier.is_ready
        with pytest.raises(KeyUnknown):
            await verifier.verify(issuer.token())
        issuer.answer = None
        assert (await verifier.verify(issuer.token())).user_id == "ann"


async def test_odd_members_of_a_set_are_skipped_once_in_the_log_and_spoil_nothing(
    issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    good = issuer.keys[0].public_jwk
    odd: list[object] = [
        None,
        "key",
        {**good, "kid": "no alg", "alg": None},
        {**good, "kid": "kty", "kty": "oct", "k": "AAAA"},
        {**good, "kid": "use", "use": "enc"},
        {**good, "kid": "ops", "key_ops": ["encrypt"]},
        {**good, "kid": "private", "d": "AAAA"},
        {**good, "kid": "short", "x": "AAAA"},
        {**good, "kid": ["list"]},
        {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "off the curve", "x": "A" * 43, "y": "A" * 43},
    ]
    issuer.answer = (200, json.dumps({"keys": [*odd, good]}).encode())
    async with Verifier(issuer.trusted(now=clock, sleep=clock.sleep), now=clock) as verifier:
        assert (await verifier.verify(issuer.token())).user_id == "ann"
        skipped = [record for record in caplog.records if "skipped" in record.getMessage()]
        assert len(skipped) == len(odd)
        clock.moment += 300
        await verifier.verify(issuer.token("bob"))
        await settle()
        again = [record for record in caplog.records if "off the curve" in record.getMessage()]
        assert len(again) == 1


LOW_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("point", LOW_ORDER)
def test_an_ed25519_key_of_small_order_is_refused(point: str) -> None:
    from todo_auth import jws

    jwk = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "a", "x": jws.encode(bytes.fromhex(point))}
    with pytest.raises(KeyRefused, match="small order"):
        SigningKey.from_jwk(jwk)


def test_a_short_rsa_key_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from jwt.algorithms import RSAAlgorithm

    weak = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key(), as_dict=True)
    with pytest.raises(KeyRefused, match="2048"):
        SigningKey.from_jwk({**weak, "alg": "RS256", "key_ops": ["verify"]})


def test_a_key_of_one_curve_does_not_serve_the_algorithm_of_another() -> None:
    for algorithm, other in [("ES256", "ES384"), ("ES384", "ES512"), ("ES512", "ES256"), ("RS256", "ES256")]:
        with pytest.raises(KeyRefused):
            SigningKey.from_jwk({**IssuerKey(algorithm).public_jwk, "alg": other})


@pytest.mark.parametrize(
    "document", [b"", b"null", b"{}", b'{"keys":null}', b'{"keys":[],"keys":[]}', b"\xff", b"[" * 9999]
)
def test_a_document_that_is_no_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_key_set(document)
