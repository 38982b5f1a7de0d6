"""The issuer's keys: fetched once for everybody, kept while it is away, rotated without anyone noticing."""

import asyncio
import gzip
import json
import random
import tracemalloc
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from jwt.algorithms import OKPAlgorithm
from todo_auth import KeysUnavailable, KeySet, SeedRefused, TrustedIssuer, Verifier, jws
from todo_auth.development import serving
from todo_auth.errors import KeyUnknown
from todo_auth.jwk import KeyRefused, SigningKey, read_key_set
from todo_auth.testing import Clock, Issuer, IssuerKey

MAX_KEY_SET_BYTES = 512 * 1024


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
    with pytest.raises(KeysUnavailable):
        await waiting
    issuer.gate.set()
    # Every timer that was due by then has run when this one has.
    await asyncio.sleep(0.02)
    assert issuer.fetches == 1


async def test_when_it_is_closed_nothing_of_it_runs_any_more(issuer: Issuer, clock: Clock) -> None:
    others = asyncio.all_tasks()
    keys = key_set(issuer, clock)
    issuer.gate = asyncio.Event()
    keys.refresh_if_due()
    await settle()
    await keys.aclose()
    assert asyncio.all_tasks() == others


async def test_a_key_set_that_was_closed_fetches_again(issuer: Issuer, clock: Clock) -> None:
    with serving(issuer) as url:
        keys = KeySet(f"{url}/api/auth/jwks", now=clock, sleep=clock.sleep)
        await keys.refresh()
        issuer.gate = asyncio.Event()
        waiting = [asyncio.ensure_future(keys.refresh()) for _ in range(2)]
        await settle()
        await keys.aclose()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [KeysUnavailable] * 2
        issuer.gate = None
        clock.moment += 1
        await keys.refresh()
        assert (keys.age_s, keys.state.last_error) == (0, None)
        await keys.aclose()


async def test_a_key_set_that_was_closed_before_its_fetch_began_fetches_again(
    issuer: Issuer, clock: Clock
) -> None:
    keys = key_set(issuer, clock)
    keys.refresh_if_due()
    await keys.aclose()
    clock.moment += 1
    assert (await keys.find(issuer.keys[0].kid, "EdDSA")).key_id == issuer.keys[0].kid
    await keys.aclose()


async def test_whoever_asks_while_a_fetch_runs_gets_one_that_begins_later(
    issuer: Issuer, clock: Clock
) -> None:
    keys = key_set(issuer, clock)
    started = clock.moment
    issuer.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(keys.refresh()) for _ in range(3)]
    await settle()
    assert issuer.fetches == 1
    clock.moment += 0.75
    issuer.gate.set()
    await asyncio.gather(*waiting)
    assert issuer.fetches == 2, "one later fetch for both"
    assert clock.moment == started + 1, "which waits no longer than it must"
    await keys.aclose()


async def test_a_key_that_comes_from_another_worker_meanwhile_is_found_though_the_issuer_fails(
    issuer: Issuer, clock: Clock
) -> None:
    keys, other = key_set(issuer, clock, wall=clock), key_set(issuer, clock, wall=clock)
    await keys.refresh()
    clock.moment += 5
    new = issuer.rotate()
    await other.refresh()
    exported = other.export()
    assert exported is not None
    issuer.gate = asyncio.Event()
    waiting = asyncio.ensure_future(keys.find(new.kid, "EdDSA"))
    await settle()
    keys.seed(exported)
    issuer.down = True
    issuer.gate.set()
    assert (await waiting).key_id == new.kid
    await keys.aclose()
    await other.aclose()


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
        assert {record.name for record in skipped} == {"todo_auth.jwk", "todo_auth.key_ring"}
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
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("point", LOW_ORDER)
def test_an_ed25519_key_of_small_order_is_refused(point: str) -> None:
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


@pytest.mark.parametrize(
    ("answer", "due_s"),
    [
        ({}, 240),
        ({"Cache-Control": "public, max-age=60"}, 60),
        ({"Cache-Control": "Max-Age=60"}, 60),
        ({"Cache-Control": "max-age=100", "Age": "40"}, 60),
        ({"Cache-Control": "max-age=86400"}, 240),
        ({"Cache-Control": "max-age=0"}, 30),
        ({"Cache-Control": "no-store, no-cache"}, 240),
        ({"Cache-Control": "s-maxage=5, x-max-age=6"}, 240),
        ({"Cache-Control": "max-age=soon"}, 240),
        ({"Cache-Control": "max-age=60", "Age": "soon"}, 60),
        ({"Cache-Control": "max-age=60", "Age": "3600"}, 30),
        ({"Age": "60"}, 240),
    ],
)
@pytest.mark.parametrize("jitter", [0.9, 1.0])
async def test_max_age_moves_the_refresh_within_bounds(
    answer: dict[str, str],
    due_s: float,
    jitter: float,
    issuer: Issuer,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: {low: low, high: high}[jitter])
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=answer, json=issuer.jwks()))
    keys = KeySet("http://issuer.test/jwks", client=httpx.AsyncClient(transport=transport), now=clock)
    await keys.refresh()
    clock.moment += due_s * jitter - 0.5
    early = keys.is_due
    clock.moment += 0.5
    assert (early, keys.is_due) == (False, True)
    await keys.aclose()


async def test_keys_are_fetched_again_though_nobody_asks_for_any(issuer: Issuer) -> None:
    keys = issuer.trusted(refresh_s=0.01).keys
    assert keys is not None
    await keys.refresh()
    while issuer.fetches < 3:
        await asyncio.sleep(0.001)
    await keys.aclose()


@pytest.mark.parametrize(
    ("refresh_s", "delays_s"),
    [
        (5_000, [200, 400, 800, 1_600, 3_200, 5_000, 5_000]),
        (10**9, [100 * 2**failures for failures in range(1, 17)] + [6_553_600, 6_553_600]),
    ],
)
async def test_an_issuer_that_fails_is_asked_less_and_less_often(
    refresh_s: float, delays_s: list[float], issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    issuer.down = True
    keys = key_set(issuer, clock, refresh_s=refresh_s, retry_s=100)
    for delay_s in delays_s:
        await keys.refresh()
        clock.moment += delay_s - 0.5
        early = keys.is_due
        clock.moment += 0.5
        assert (early, keys.is_due) == (False, True)
    assert issuer.fetches == keys.state.failures == len(delays_s)
    await keys.aclose()


async def test_a_fetch_ends_with_its_limit_of_time(issuer: Issuer, clock: Clock) -> None:
    keys = key_set(issuer, clock, timeout_s=0.01)
    issuer.gate = asyncio.Event()
    await keys.refresh()
    assert (keys.state.last_error or "").startswith("TimeoutError")
    await keys.aclose()


async def test_where_a_redirect_leads_is_never_asked_even_by_a_client_that_follows_them(
    issuer: Issuer,
) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        if request.url.host == "elsewhere.test":
            return httpx.Response(200, json=issuer.jwks())
        return httpx.Response(302, headers={"Location": "http://elsewhere.test/jwks"})

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer), follow_redirects=True)
    keys = KeySet("http://issuer.test/jwks", client=client)
    await keys.refresh()
    assert asked == ["issuer.test"]
    assert keys.state.last_error == "ValueError: status 302"
    await keys.aclose()


@pytest.mark.parametrize("chunk_bytes", [64 * 1024, 1024 * 1024])
async def test_a_key_set_of_512_kilobytes_is_the_longest(chunk_bytes: int, issuer: Issuer) -> None:
    async def parts(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), chunk_bytes):
            yield body[start : start + chunk_bytes]

    for size, error in (
        (MAX_KEY_SET_BYTES, None),
        (MAX_KEY_SET_BYTES + 1, "ValueError: more than 524288 bytes"),
    ):
        answer = httpx.Response(200, content=parts(json.dumps(issuer.jwks()).encode().ljust(size)))
        client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _, answer=answer: answer))
        keys = KeySet("http://issuer.test/jwks", client=client)
        await keys.refresh()
        assert keys.state.last_error == error
        await keys.aclose()


async def test_a_compressed_key_set_is_neither_asked_for_nor_unpacked(issuer: Issuer) -> None:
    asked: list[list[str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        named = ("Accept", "Accept-Encoding", "Cache-Control")
        asked.append([request.method, *(request.headers[name] for name in named)])
        body = gzip.compress(json.dumps(issuer.jwks()).encode())
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(body))

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    keys = KeySet("http://issuer.test/jwks", client=client)
    await keys.refresh()
    assert asked == [["GET", "application/json", "identity", "no-cache"]]
    assert keys.state.last_error == "ValueError: it is compressed, which was not asked for"
    await keys.aclose()


async def test_literal_keys_serve_at_once_and_nothing_is_fetched(issuer: Issuer, clock: Clock) -> None:
    for given in (issuer.jwks(), issuer.jwks()["keys"]):
        keys = KeySet.of(given)
        trusted = TrustedIssuer(issuer.base_url, frozenset({issuer.base_url}), keys)
        async with Verifier(trusted, now=clock) as verifier:
            assert verifier.is_ready
            assert (await verifier.verify(issuer.token())).user_id == "ann"
            with pytest.raises(KeyUnknown):
                await verifier.verify(issuer.token(header={"kid": "another"}))
        assert keys.state.fetches == 0
        assert (keys.url, keys.export()) == ("", None)
        keys.refresh_if_due()
        assert keys.state.fetches == 0
    with pytest.raises(ValueError, match="no key"):
        KeySet.of([])


async def test_keys_in_a_file_are_read_again_when_a_token_names_a_new_one(
    issuer: Issuer, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "the keys #1.json"
    path.write_text(json.dumps(issuer.jwks()))
    address = KeySet.from_file(path).url
    keys = KeySet(address, now=clock, sleep=clock.sleep)
    trusted = TrustedIssuer(issuer.base_url, frozenset({issuer.base_url}), keys)
    async with Verifier(trusted, now=clock) as verifier:
        old, new = issuer.keys[0], issuer.rotate()
        assert (await verifier.verify(issuer.token("ann", key=old))).user_id == "ann"
        path.write_text(json.dumps(issuer.jwks()))
        assert (await verifier.verify(issuer.token("bob", key=new))).user_id == "bob"


async def test_a_file_that_is_missing_or_too_large_makes_tokens_unjudged(
    issuer: Issuer, tmp_path: Path
) -> None:
    document = json.dumps(issuer.jwks()).encode()
    large, largest, missing = (tmp_path / name for name in ("large.json", "largest.json", "missing.json"))
    large.write_bytes(document.ljust(MAX_KEY_SET_BYTES + 1))
    largest.write_bytes(document.ljust(MAX_KEY_SET_BYTES))
    for path, error in ((large, "ValueError: more than"), (missing, "FileNotFoundError:")):
        keys = KeySet.from_file(path)
        with pytest.raises(KeysUnavailable):
            await keys.find("a", "EdDSA")
        assert (keys.state.last_error or "").startswith(error)
        await keys.aclose()
    keys = KeySet.from_file(largest)
    assert (await keys.find(issuer.keys[0].kid, "EdDSA")).key_id == issuer.keys[0].kid
    await keys.aclose()


async def test_of_a_file_that_is_too_large_no_more_is_read_than_shows_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(64 * MAX_KEY_SET_BYTES)
    tracemalloc.start()
    try:
        keys = KeySet.from_file(path)
        await keys.start()
        assert tracemalloc.get_traced_memory()[1] < 8 * MAX_KEY_SET_BYTES
    finally:
        tracemalloc.stop()
    assert not keys.is_usable
    await keys.aclose()


async def test_a_refresh_begins_only_when_it_is_due(issuer: Issuer, clock: Clock) -> None:
    keys = key_set(issuer, clock)
    await keys.refresh()
    for passed_s, fetches in ((0, 1), (240, 2)):
        clock.moment += passed_s
        keys.refresh_if_due()
        await settle()
        assert issuer.fetches == fetches
    await keys.aclose()


async def test_a_new_worker_starts_warm_with_anothers_keys_as_old_as_they_are(
    issuer: Issuer, clock: Clock
) -> None:
    first = key_set(issuer, clock, wall=clock)
    assert first.export() is None
    await first.refresh()
    clock.moment += 100
    exported = first.export()
    assert exported is not None
    clock.moment += 40
    issuer.down = True
    second = key_set(issuer, clock, wall=clock)
    second.seed(exported)
    assert (second.age_s, second.is_due) == (140, False)
    await second.start()
    assert issuer.fetches == 1, "nobody waits for the issuer"
    assert (await second.find(issuer.keys[0].kid, "EdDSA")).key_id == issuer.keys[0].kid
    clock.moment += 100
    assert second.is_due, "a withdrawn key is noticed as soon as where the keys came from"
    clock.moment += 24 * 3600 - 240
    last = second.is_usable
    clock.moment += 1
    assert (last, second.is_usable) == (True, False), "they live no longer than there"
    assert second.export() is None, "and are not handed on"
    await first.aclose()
    await second.aclose()


async def test_a_seed_that_cannot_be_believed_is_refused_and_changes_nothing(
    issuer: Issuer, clock: Clock
) -> None:
    keys = key_set(issuer, clock, wall=clock)
    good = {"url": keys.url, "fetched_at": clock.moment, **issuer.jwks()}
    refused: list[object] = [
        [],
        {**good, "keys": None},
        {**good, "url": "http://elsewhere.test/jwks"},
        {**good, "fetched_at": clock.moment - 24 * 3600 - 1},
        {**good, "fetched_at": clock.moment + 31},
        {**good, "fetched_at": 10**400},
        {**good, "fetched_at": True},
        {**good, "fetched_at": None},
    ]
    for document in refused:
        with pytest.raises(SeedRefused):
            keys.seed(json.dumps(document).encode())
    with pytest.raises(SeedRefused):
        keys.seed(b"\xff")
    assert keys.state.keys == 0
    await keys.refresh()
    for moment in (clock.moment - 1, clock.moment):
        with pytest.raises(SeedRefused, match="newer"):
            keys.seed(json.dumps({**good, "fetched_at": moment}).encode())
    await keys.aclose()


@pytest.mark.parametrize(("offset_s", "age_s"), [(30, 0), (0, 0), (-0.5, 0.5), (-24 * 3600, 24 * 3600)])
def test_a_seed_at_the_edge_of_what_is_believed_is_taken(
    offset_s: float, age_s: float, issuer: Issuer, clock: Clock
) -> None:
    keys = key_set(issuer, clock, wall=clock)
    keys.seed(json.dumps({"url": keys.url, "fetched_at": clock.moment + offset_s, **issuer.jwks()}).encode())
    assert (keys.state.keys, keys.is_usable, keys.age_s) == (1, True, age_s)
    assert keys.is_due == (age_s > 240)
    assert keys.peek(issuer.keys[0].kid, "EdDSA") is not None


async def test_a_worker_that_starts_with_a_seed_that_is_due_fetches_in_the_background(
    issuer: Issuer, clock: Clock
) -> None:
    starting, verifying = (key_set(issuer, clock, wall=clock) for _ in range(2))
    seed = {"url": starting.url, "fetched_at": clock.moment - 240, **issuer.jwks()}
    issuer.gate = asyncio.Event()
    for keys in (starting, verifying):
        keys.seed(json.dumps(seed).encode())
    await starting.start()
    assert verifying.known(issuer.keys[0].kid, "EdDSA") is not None
    await settle()
    assert [keys.state.fetches for keys in (starting, verifying)] == [1, 1]
    await starting.aclose()
    await verifying.aclose()


async def test_how_the_key_set_stands_is_told(issuer: Issuer, clock: Clock) -> None:
    keys = key_set(issuer, clock)
    assert (keys.state.is_usable, keys.state.age_s, keys.state.fetches) == (False, None, 0)
    assert keys.state.last_error is None
    await keys.refresh()
    clock.moment += 7
    assert (keys.state.keys, keys.state.is_usable, keys.state.age_s) == (1, True, 7)
    issuer.down = True
    await keys.refresh()
    state = keys.state
    assert (state.fetches, state.failures, state.last_error) == (2, 1, "ConnectError: refused")
    issuer.down = False
    clock.moment += 2
    await keys.refresh()
    assert (keys.state.failures, keys.state.last_error) == (1, None)
    await keys.aclose()


async def test_those_who_wait_for_an_unknown_key_are_counted_and_bounded(
    issuer: Issuer, clock: Clock
) -> None:
    keys = key_set(issuer, clock, max_waiting=2)
    await keys.refresh()
    issuer.gate = asyncio.Event()
    clock.moment += 5
    new = issuer.rotate()
    waiting = [asyncio.ensure_future(keys.find(kid, "EdDSA")) for kid in (new.kid, "unknown")]
    await settle()
    assert keys.state.waiting == 2
    with pytest.raises(KeysUnavailable):
        await keys.find(new.kid, "EdDSA")
    assert (await keys.find(issuer.keys[1].kid, "EdDSA")).key_id == issuer.keys[1].kid
    issuer.gate.set()
    found, unknown = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(found, SigningKey)
    assert isinstance(unknown, KeyUnknown)
    assert keys.state.waiting == 0
    await keys.aclose()


def test_a_key_set_goes_on_in_another_event_loop(issuer: Issuer, clock: Clock) -> None:
    keys = key_set(issuer, clock)

    async def leave_a_fetch_behind() -> None:
        issuer.gate = asyncio.Event()
        keys.refresh_if_due()
        await settle()

    asyncio.run(leave_a_fetch_behind())
    issuer.gate = None
    clock.moment += 3.5
    early = keys.is_due
    clock.moment += 0.5
    assert (early, keys.is_due) == (False, True), "after a fetch's time limit and the interval"
    assert asyncio.run(keys.find(issuer.keys[0].kid, "EdDSA")).key_id == issuer.keys[0].kid


async def test_one_key_under_both_names_of_its_algorithm_is_one_key(issuer: Issuer, clock: Clock) -> None:
    jwk = issuer.keys[0].public_jwk
    keys = KeySet.of([jwk, {**jwk, "alg": "Ed25519"}])
    assert keys.peek(issuer.keys[0].kid, "EdDSA") is not None
    other = {**IssuerKey().public_jwk, "kid": jwk["kid"]}
    assert KeySet.of([jwk, other]).peek(issuer.keys[0].kid, "EdDSA") is None


async def test_a_set_nested_too_deeply_is_no_answer(issuer: Issuer, clock: Clock) -> None:
    issuer.answer = (200, b'{"keys":[{"x":' + b"[" * 500 + b"]" * 500 + b"}]}")
    keys = key_set(issuer, clock)
    with pytest.raises(KeysUnavailable):
        await keys.find("a", "EdDSA")
    assert keys.state.last_error == "ValueError: nested too deeply"
    await keys.aclose()


@pytest.mark.parametrize("error", [ValueError, jwt.InvalidKeyError])
def test_a_signature_that_the_library_chokes_on_is_not_good(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def choke(*_: object) -> bool:
        raise error

    key = SigningKey.from_jwk(IssuerKey().public_jwk)
    monkeypatch.setattr(OKPAlgorithm, "verify", choke)
    assert key.verifies(b"a.b", b"c") is False


@cache
def sound(algorithm: str) -> dict[str, Any]:
    """The public half of a key; the same one each time, since RSA keys take long to make."""
    return IssuerKey(algorithm).public_jwk


@pytest.mark.parametrize(
    ("algorithm", "changes"),
    [
        ("EdDSA", {"crv": "X25519"}),
        ("EdDSA", {"x": 7}),
        ("EdDSA", {"x": None}),
        ("ES256", {"x": "AAAA"}),
        ("ES256", {"y": 7}),
        ("ES512", {"crv": "P-256"}),
        ("RS256", {"e": "AQ"}),
        ("RS256", {"e": "BA"}),
        ("RS256", {"e": "AQABAQABAQABAQAB"}),
        ("RS256", {"n": None}),
        *[("RS256", {member: "AQAB"}) for member in ("d", "p", "q", "dp", "dq", "qi", "oth", "k")],
        ("RS256", {"n": jws.encode((2**16384 + 1).to_bytes(2049))}),
        ("EdDSA", {"alg": "HS256", "kty": "oct", "k": "A" * 43}),
    ],
)
def test_a_key_that_is_not_sound_is_refused(algorithm: str, changes: dict[str, Any]) -> None:
    with pytest.raises(KeyRefused):
        SigningKey.from_jwk({**sound(algorithm), **changes})


def test_a_modulus_of_16384_bits_is_the_longest() -> None:
    modulus = jws.encode((2**16384 - 1).to_bytes(2048))
    assert SigningKey.from_jwk({**sound("RS256"), "n": modulus}).algorithm == "RS256"


@pytest.mark.parametrize(
    ("exponent", "is_sound"),
    [
        *[(exponent, False) for exponent in (0, 1, 2, 4, 65_536, 2**64 + 1)],
        *[(exponent, True) for exponent in (3, 65_537, 2**64 - 1)],
    ],
)
def test_an_rsa_exponent_is_odd_at_least_3_and_of_64_bits_at_most(exponent: int, is_sound: bool) -> None:
    size = (exponent.bit_length() + 7) // 8 or 1
    jwk = {**sound("RS256"), "e": jws.encode(exponent.to_bytes(size))}
    if is_sound:
        assert SigningKey.from_jwk(jwk).algorithm == "RS256"
    else:
        with pytest.raises(KeyRefused, match="exponent"):
            SigningKey.from_jwk(jwk)


@pytest.mark.parametrize("member", ["x", "y"])
def test_each_coordinate_of_a_curves_point_has_its_full_length_and_no_more(member: str) -> None:
    jwk = sound("ES256")
    for octets in (b"\0" + jws.decode(jwk[member], member), bytes(31)):
        with pytest.raises(KeyRefused, match="coordinates are not of 32 bytes"):
            SigningKey.from_jwk({**jwk, member: jws.encode(octets)})


def test_a_member_that_is_no_base64url_is_named() -> None:
    with pytest.raises(KeyRefused, match="^x is not base64url$"):
        SigningKey.from_jwk({**sound("EdDSA"), "x": "=="})
