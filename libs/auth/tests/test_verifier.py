"""What the verifier believes and what it refuses."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from todo_auth import (
    AuthError,
    CredentialsMissing,
    InvalidRequest,
    KeySet,
    KeysUnavailable,
    TrustedIssuer,
    Verifier,
)
from todo_auth import errors
from todo_auth.bearer import bearer_token
from todo_auth.testing import Clock, Issuer, IssuerKey
from todo_auth.validation import Validator

SECRET = "a shared secret of more than thirty-two bytes"
YEARS_S = 60 * 365 * 24 * 3600


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def key_set_client(document: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=document)))


async def test_a_real_better_auth_token_of_every_algorithm_verifies_against_its_own_key_set(
    real: dict[str, Any],
) -> None:
    keys = KeySet(f"{real['issuer']}/api/auth/jwks", client=key_set_client(real["jwks"]))
    trusted = TrustedIssuer(real["issuer"], frozenset({real["issuer"]}), keys)
    async with Verifier(trusted, max_lifetime_s=YEARS_S) as verifier:
        identity = await verifier.verify(real["response"]["token"])
    payload = json.loads(base64.urlsafe_b64decode(real["response"]["token"].split(".")[1] + "=="))
    assert identity.user_id == payload["sub"] == identity.claims["id"]
    assert identity.claims["email"] == "ann@example.com"
    assert (identity.issuer, identity.expires_at) == (real["issuer"], payload["exp"])


async def test_a_real_token_that_lives_longer_than_a_day_is_refused_by_default(real: dict[str, Any]) -> None:
    keys = KeySet("http://issuer.test/jwks", client=key_set_client(real["jwks"]))
    async with Verifier(TrustedIssuer(real["issuer"], frozenset({real["issuer"]}), keys)) as verifier:
        with pytest.raises(errors.LifetimeTooLong):
            await verifier.verify(real["response"]["token"])


async def test_a_real_token_with_any_one_bit_of_its_signature_changed_is_refused(
    real: dict[str, Any],
) -> None:
    keys = KeySet("http://issuer.test/jwks", client=key_set_client(real["jwks"]))
    trusted = TrustedIssuer(real["issuer"], frozenset({real["issuer"]}), keys)
    head, payload, signature = real["response"]["token"].split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)))
    raw[len(raw) // 2] ^= 1
    async with Verifier(trusted, max_lifetime_s=YEARS_S) as verifier:
        with pytest.raises(errors.SignatureInvalid):
            await verifier.verify(f"{head}.{payload}.{part(bytes(raw))}")


@pytest.mark.parametrize("algorithm", ["EdDSA", "Ed25519", "ES256", "ES384", "ES512", "RS256", "PS256"])
async def test_every_algorithm_verifies_also_beside_others_in_one_set(
    algorithm: str, issuer: Issuer, verifier: Verifier
) -> None:
    key = issuer.rotate(algorithm)
    assert (await verifier.verify(issuer.token("ann", key=key))).user_id == "ann"
    assert jwt.get_unverified_header(issuer.token(key=key))["alg"] == algorithm


CLAIMS_REFUSED: list[tuple[dict[str, Any], type[AuthError]]] = [
    ({"exp": None}, errors.TokenMalformed),
    ({"exp": 1_800_000_000}, errors.TokenExpired),
    ({"exp": 1_799_999_999}, errors.TokenExpired),
    ({"exp": "1900000000"}, errors.TokenMalformed),
    ({"exp": True}, errors.TokenMalformed),
    ({"exp": 10**400}, errors.TokenMalformed),
    ({"exp": 2**53 + 1}, errors.TokenMalformed),
    ({"exp": 2**53}, errors.LifetimeTooLong),
    ({"exp": 1_800_000_000 + 86_401}, errors.LifetimeTooLong),
    ({"iat": 1_800_000_031}, errors.TokenNotYetValid),
    ({"nbf": 1_800_000_031}, errors.TokenNotYetValid),
    ({"nbf": "soon"}, errors.TokenMalformed),
    ({"iat": None, "exp": 1_800_000_000 + 86_401}, errors.LifetimeTooLong),
    ({"iss": None}, errors.IssuerMismatch),
    ({"iss": "http://issuer.test/"}, errors.IssuerMismatch),
    ({"iss": ["http://issuer.test"]}, errors.IssuerMismatch),
    ({"aud": None}, errors.AudienceMismatch),
    ({"aud": []}, errors.AudienceMismatch),
    ({"aud": "http://issuer.test/"}, errors.AudienceMismatch),
    ({"aud": {"http://issuer.test": 1}}, errors.AudienceMismatch),
    ({"sub": None}, errors.SubjectInvalid),
    ({"sub": ""}, errors.SubjectInvalid),
    ({"sub": 7}, errors.SubjectInvalid),
    ({"sub": "a b"}, errors.SubjectInvalid),
    ({"sub": "ann\r\nX-User-Id: bob"}, errors.SubjectInvalid),
    ({"sub": "änn"}, errors.SubjectInvalid),
    ({"sub": "a" * 256}, errors.SubjectInvalid),
]


@pytest.mark.parametrize(("claims", "error"), CLAIMS_REFUSED)
async def test_a_well_signed_token_with_claims_that_do_not_hold_is_refused(
    claims: dict[str, Any], error: type[AuthError], issuer: Issuer, verifier: Verifier
) -> None:
    with pytest.raises(error):
        await verifier.verify(issuer.token("ann", **claims))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["https://elsewhere.test", "http://issuer.test"]},
        {"iat": 1_800_000_030},
        {"nbf": 1_800_000_030},
        {"exp": 1_800_000_000.5},
        {"exp": 1_800_000_000 + 86_400},
        {"iat": None},
        {"sub": "a" * 255},
        {"sub": "5e1c7c6e-6b51-4b3c-9d3a-0a3c4a3f1b11"},
    ],
)
async def test_claims_at_the_edge_of_what_holds_are_accepted(
    claims: dict[str, Any], issuer: Issuer, verifier: Verifier
) -> None:
    identity = await verifier.verify(issuer.token("ann", **claims))
    assert identity.user_id == claims.get("sub", "ann")


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ({"typ": "better-auth.session-cache+jwt"}, errors.TypeRefused),
        ({"typ": "logout+jwt"}, errors.TypeRefused),
        ({"typ": "txntoken+jwt"}, errors.TypeRefused),
        ({"typ": "at+jwt"}, errors.TypeRefused),
        ({"crit": ["exp"]}, errors.TokenMalformed),
        ({"kid": "another"}, errors.KeyUnknown),
    ],
)
async def test_a_header_that_says_something_else_is_refused(
    header: dict[str, object], error: type[AuthError], issuer: Issuer, verifier: Verifier
) -> None:
    with pytest.raises(error):
        await verifier.verify(issuer.token(header=header))


async def test_the_type_jwt_is_accepted_in_any_case_and_others_where_they_are_configured(
    issuer: Issuer, clock: Clock
) -> None:
    async with Verifier(issuer.trusted(now=clock), types=("JWT", "at+jwt"), now=clock) as verifier:
        for type_ in ("JWT", "jwt", "application/jwt", "at+jwt"):
            assert (await verifier.verify(issuer.token(header={"typ": type_}))).user_id == "ann"


def forge(header: object, claims: object, signature: bytes = b"x" * 64) -> str:
    return f"{part(header)}.{part(claims)}.{part(signature)}"


async def test_forms_that_are_no_strict_compact_jws_are_refused_before_any_key_is_asked(
    issuer: Issuer, verifier: Verifier
) -> None:
    head, payload, signature = issuer.token().split(".")
    kid = issuer.keys[0].kid
    claims = issuer.claims()
    malformed = [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        f"{head}.{payload}.{signature}=",
        f"{head}.{payload}.{signature}==",
        f"{head}.{payload} .{signature}",
        f"{head}\n.{payload}.{signature}",
        f"{head}.{payload}.{signature[:-1]}" + chr(ord(signature[-1]) + 1),
        f"{head.replace('e', '+', 1)}.{payload}.{signature}",
        f"é{head}.{payload}.{signature}",
        forge([], claims),
        forge({"alg": "EdDSA", "kid": 7}, claims),
        forge({"alg": "EdDSA", "kid": kid, "b64": False}, claims),
        forge({"alg": "EdDSA", "kid": kid}, []),
        forge(b'{"alg":"EdDSA","alg":"none"}', claims),
        forge({"alg": "EdDSA", "kid": kid}, b'{"sub":"ann","sub":"bob"}'),
        forge({"alg": "EdDSA", "kid": kid}, b'{"exp":NaN}'),
        forge({"alg": "EdDSA", "kid": kid}, b'{"exp":1e999}'),
        forge({"alg": "EdDSA", "kid": kid}, b'{"sub":"\xff"}'),
        forge({"alg": "EdDSA", "kid": kid}, b"[" * 5000),
        forge({"alg": "EdDSA", "kid": kid}, b'{"exp":' + b"9" * 5000 + b"}"),
    ]
    for token in malformed:
        with pytest.raises(errors.TokenMalformed):
            await verifier.verify(token)
    with pytest.raises(errors.TokenTooLarge):
        await verifier.verify("a" * (16 * 1024 + 1))
    assert issuer.fetches == 1


@pytest.mark.parametrize("name", ["header", "payload", "signature"])
async def test_the_part_that_is_malformed_is_named(name: str, issuer: Issuer, verifier: Verifier) -> None:
    parts = dict(zip(("header", "payload", "signature"), issuer.token().split("."), strict=True))
    with pytest.raises(errors.TokenMalformed, match=f"^{name} is not base64url$"):
        await verifier.verify(".".join({**parts, name: "=="}.values()))


async def test_a_type_that_is_null_is_not_its_absence(issuer: Issuer, verifier: Verifier) -> None:
    with pytest.raises(errors.TypeRefused):
        await verifier.verify(
            forge({"alg": "EdDSA", "kid": issuer.keys[0].kid, "typ": None}, issuer.claims())
        )


async def test_algorithms_that_no_key_of_the_set_is_for_are_refused(
    issuer: Issuer, verifier: Verifier
) -> None:
    kid = issuer.keys[0].kid
    for algorithm in ("none", "None", "", "HS256", "HS384", "RS512", "ES256K", "EdDSA ", "RSA-OAEP", None, 7):
        with pytest.raises(errors.AlgorithmRefused):
            await verifier.verify(forge({"alg": algorithm, "kid": kid}, issuer.claims()))


async def test_a_key_is_bound_to_its_algorithm(issuer: Issuer, verifier: Verifier) -> None:
    rsa = issuer.rotate("RS256")
    token = issuer.token(key=rsa, header={"alg": "PS256"})
    assert jwt.get_unverified_header(token)["alg"] == "PS256"
    with pytest.raises(errors.KeyUnknown):
        await verifier.verify(token)


async def test_the_public_key_as_an_hmac_secret_signs_nothing(issuer: Issuer, clock: Clock) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = jwt.PyJWK(issuer.keys[0].public_jwk).key.public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    signing_input = f"{part({'alg': 'HS256', 'kid': issuer.keys[0].kid})}.{part(issuer.claims())}"
    token = f"{signing_input}.{part(hmac.digest(pem, signing_input.encode(), hashlib.sha256))}"
    async with Verifier(issuer.trusted(now=clock), now=clock) as without_secret:
        with pytest.raises(errors.AlgorithmRefused):
            await without_secret.verify(token)
    async with Verifier(issuer.trusted(secret=SECRET, now=clock), now=clock) as with_secret:
        with pytest.raises(errors.SignatureInvalid):
            await with_secret.verify(token)


def shared(claims: dict[str, object], secret: str = SECRET) -> str:
    return jwt.encode(claims, secret, "HS256")


async def test_an_hs256_token_needs_the_secret_issuer_audience_and_sub_or_id(
    issuer: Issuer, clock: Clock
) -> None:
    async with Verifier(issuer.trusted(secret=SECRET, now=clock), now=clock) as verifier:
        assert (await verifier.verify(shared(issuer.claims("ann")))).user_id == "ann"
        assert (await verifier.verify(shared(issuer.claims("bob", sub=None)))).user_id == "bob"
        assert (await verifier.verify(issuer.token("eve"))).user_id == "eve"
        for claims, error in [
            (issuer.claims(iss=None), errors.IssuerMismatch),
            (issuer.claims(aud=None), errors.AudienceMismatch),
            (issuer.claims(sub=None, id=None), errors.SubjectInvalid),
        ]:
            with pytest.raises(error):
                await verifier.verify(shared(claims))
        with pytest.raises(errors.SignatureInvalid):
            await verifier.verify(shared(issuer.claims(), "another secret of more than thirty-two bytes"))


async def test_an_issuer_with_a_secret_alone_needs_no_keys(issuer: Issuer, clock: Clock) -> None:
    trusted = TrustedIssuer(issuer.base_url, frozenset({issuer.base_url}), secret=SECRET)
    async with Verifier(trusted, now=clock) as verifier:
        assert (verifier.is_ready, verifier.key_sets) == (True, [])
        assert (await verifier.verify(shared(issuer.claims()))).user_id == "ann"
        with pytest.raises(errors.AlgorithmRefused):
            await verifier.verify(issuer.token())


def test_an_examined_token_says_its_algorithm_and_where_its_key_is(issuer: Issuer, clock: Clock) -> None:
    trusted = issuer.trusted(secret=SECRET, now=clock)
    validator = Validator(
        [trusted], max_lifetime_s=900, leeway_s=30, types=["JWT"], claims=None, remembered=0, now=clock
    )
    for token, algorithm, keys in (
        (issuer.token(header={"alg": "Ed25519"}), "EdDSA", trusted.keys),
        (issuer.token(secret=SECRET), "HS256", None),
    ):
        examined = validator.examine(token)
        assert (examined.algorithm, examined.keys) == (algorithm, keys)


async def test_id_stands_for_sub_only_in_hs256_tokens(issuer: Issuer, verifier: Verifier) -> None:
    with pytest.raises(errors.SubjectInvalid):
        await verifier.verify(issuer.token("ann", sub=None))


async def test_a_token_without_kid_is_accepted_only_where_one_key_fits(
    issuer: Issuer, verifier: Verifier
) -> None:
    assert (await verifier.verify(issuer.token(header={"kid": None}))).user_id == "ann"
    other_algorithm = issuer.rotate("ES256")
    assert (await verifier.verify(issuer.token("bob", key=other_algorithm))).user_id == "bob"
    assert (
        await verifier.verify(issuer.token("eve", key=other_algorithm, header={"kid": None}))
    ).user_id == "eve"
    second = issuer.rotate("ES256")
    assert (await verifier.verify(issuer.token("joe", key=second))).user_id == "joe"
    with pytest.raises(errors.KeyUnknown):
        await verifier.verify(issuer.token("kim", key=second, header={"kid": None}))


async def test_a_remembered_token_dies_with_its_exp(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    token = issuer.token(exp=int(clock.moment) + 60)
    first = await verifier.verify(token)
    assert await verifier.verify(token) is first
    clock.moment += 60
    with pytest.raises(errors.TokenExpired):
        await verifier.verify(token)


async def test_a_remembered_token_is_verified_again_after_fifteen_minutes(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    token = issuer.token(exp=int(clock.moment) + 3600)
    first = await verifier.verify(token)
    clock.moment += 899
    assert await verifier.verify(token) is first
    clock.moment += 1
    assert await verifier.verify(token) is not first


async def test_a_remembered_token_dies_with_its_key(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    old = issuer.keys[0]
    token = issuer.token("ann", key=old)
    first = await verifier.verify(token)
    issuer.rotate()
    await verifier.key_sets[0].refresh()
    assert await verifier.verify(token) is first, "the old key is still in the set"
    issuer.withdraw(old)
    clock.moment += 300
    await verifier.verify(issuer.token("bob"))
    await verifier.key_sets[0].refresh()
    with pytest.raises(errors.KeyUnknown):
        await verifier.verify(token)


async def test_what_is_remembered_is_bounded_and_forgets_the_oldest(issuer: Issuer, clock: Clock) -> None:
    async with Verifier(issuer.trusted(now=clock), remembered=2, now=clock) as verifier:
        tokens = [issuer.token(name) for name in ("ann", "bob", "eve")]
        first, second, third = [await verifier.verify(token) for token in tokens]
        assert await verifier.verify(tokens[2]) is third
        assert await verifier.verify(tokens[1]) is second
        assert await verifier.verify(tokens[0]) is not first


async def test_a_token_that_was_verified_anew_is_not_the_oldest(issuer: Issuer, clock: Clock) -> None:
    async with Verifier(issuer.trusted(now=clock), remembered=2, now=clock) as verifier:
        tokens = [issuer.token(name, exp=int(clock.moment) + 3600) for name in ("ann", "bob", "eve")]
        for token in tokens[:2]:
            await verifier.verify(token)
        clock.moment += 900
        again = await verifier.verify(tokens[0])
        await verifier.verify(tokens[2])
        assert await verifier.verify(tokens[0]) is again


def test_an_issuer_is_needed_and_each_once(issuer: Issuer) -> None:
    for issuers in ([], [issuer.trusted(), issuer.trusted()]):
        with pytest.raises(ValueError, match="one issuer or several"):
            Verifier(*issuers)


@pytest.mark.parametrize("remembered", [0, 1])
async def test_one_token_or_none_may_be_remembered(remembered: int, issuer: Issuer, clock: Clock) -> None:
    async with Verifier(issuer.trusted(now=clock), remembered=remembered, now=clock) as verifier:
        token = issuer.token()
        first = await verifier.verify(token)
        assert (await verifier.verify(token) is first) == bool(remembered)


def token_of(length: int, issuer: Issuer) -> str:
    """A good token of so many characters."""
    for spare in range(8):
        header = {"spare": "x" * spare}
        rest = len(issuer.token(header=header))
        for name in range((length - rest) * 3 // 4 - 4, length):
            token = issuer.token(header=header, name="x" * name)
            if len(token) == length:
                return token
            if len(token) > length:
                break
    raise ValueError(length)


async def test_a_token_over_four_kilobytes_is_accepted_but_not_remembered(
    issuer: Issuer, verifier: Verifier
) -> None:
    for length in (4096, 4097):
        token = token_of(length, issuer)
        first = await verifier.verify(token)
        assert (await verifier.verify(token) is first) == (length == 4096)


async def test_a_token_of_sixteen_kilobytes_is_the_longest(issuer: Issuer, verifier: Verifier) -> None:
    assert (await verifier.verify(token_of(16 * 1024, issuer))).user_id == "ann"
    with pytest.raises(errors.TokenTooLarge):
        await verifier.verify(token_of(16 * 1024 + 1, issuer))


async def test_several_issuers_are_trusted_each_with_its_own_keys(issuer: Issuer, clock: Clock) -> None:
    other = Issuer("https://other.test", now=clock)
    trusted = [each.trusted(now=clock, sleep=clock.sleep) for each in (issuer, other)]
    async with Verifier(*trusted, now=clock) as verifier:
        assert [keys.state.keys for keys in verifier.key_sets] == [1, 1]
        assert (await verifier.verify(issuer.token())).issuer == "http://issuer.test"
        assert (await verifier.verify(other.token())).issuer == "https://other.test"
        with pytest.raises(errors.KeyUnknown):
            await verifier.verify(other.token(iss="http://issuer.test", aud="http://issuer.test"))


async def test_an_issuer_that_was_never_reached_makes_tokens_unjudged_not_invalid(
    issuer: Issuer, clock: Clock
) -> None:
    issuer.down = True
    async with Verifier(issuer.trusted(now=clock, sleep=clock.sleep), now=clock) as verifier:
        assert not verifier.is_ready
        with pytest.raises(KeysUnavailable) as caught:
            await verifier.verify(issuer.token())
        assert caught.value.status == 503
        assert caught.value.headers == {"Retry-After": "2"}
        issuer.down = False
        clock.moment += 1
        assert (await verifier.verify(issuer.token())).user_id == "ann"
        assert verifier.is_ready


@pytest.mark.parametrize(
    ("made", "issuer_name", "jwks_url"),
    [
        (
            TrustedIssuer.better_auth("http://localhost:3000/"),
            "http://localhost:3000",
            "http://localhost:3000/api/auth/jwks",
        ),
        (
            TrustedIssuer.better_auth("https://app.example.com", jwks_url="http://web:3000/api/auth/jwks"),
            "https://app.example.com",
            "http://web:3000/api/auth/jwks",
        ),
        (
            TrustedIssuer.neon_auth("https://ep-x.neonauth.example.com/neondb/auth"),
            "https://ep-x.neonauth.example.com",
            "https://ep-x.neonauth.example.com/neondb/auth/.well-known/jwks.json",
        ),
    ],
)
def test_one_base_url_is_enough_to_trust_an_issuer(
    made: TrustedIssuer, issuer_name: str, jwks_url: str
) -> None:
    assert made.issuer == issuer_name
    assert made.audience == {issuer_name}
    assert made.keys is not None
    assert made.keys.url == jwks_url


def test_only_slashes_are_taken_from_the_end_of_a_base_url() -> None:
    assert TrustedIssuer.better_auth("https://example.com/X//").issuer == "https://example.com/X"


@pytest.mark.parametrize(("issuer", "audience"), [("", {"a"}), ("i", set()), ("i", {"a", ""})])
def test_an_issuer_without_a_name_or_an_audience_is_refused(issuer: str, audience: set[str]) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        TrustedIssuer(issuer, frozenset(audience), None, SECRET)


@pytest.mark.parametrize("url", ["", "localhost:3000", "ftp://x", "http://", "http://x/?a=b"])
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        TrustedIssuer.better_auth(url)


def test_a_short_shared_secret_is_refused_and_never_shown() -> None:
    with pytest.raises(ValueError, match="32 bytes") as caught:
        TrustedIssuer("http://issuer.test", frozenset({"a"}), None, "too short")
    assert "too short" not in str(caught.value)
    assert TrustedIssuer("http://issuer.test", frozenset({"a"}), None, "x" * 32).secret == "x" * 32
    assert SECRET not in repr(TrustedIssuer("http://issuer.test", frozenset({"a"}), None, SECRET))


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ([], CredentialsMissing),
        ([(b"authorization", b"Basic YTpi")], CredentialsMissing),
        ([(b"authorization", b"")], CredentialsMissing),
        ([(b"authorization", b"Bearer")], InvalidRequest),
        ([(b"authorization", b"Bearer ")], InvalidRequest),
        ([(b"authorization", b"Bearer a b")], InvalidRequest),
        ([(b"authorization", b"Bearer a, Bearer b")], InvalidRequest),
        ([(b"authorization", b"Bearer a"), (b"authorization", b"Bearer a")], InvalidRequest),
        ([(b"authorization", b"Bearer a.b.c")], "a.b.c"),
        ([(b"authorization", b"Bearer a,b")], InvalidRequest),
        ([(b"authorization", b"\xa0Bearer a.b.c")], CredentialsMissing),
        ([(b"accept-ranges", b"Bearer a.b.c")], CredentialsMissing),
        ([(b"authorization", b"bearer  a.b.c ")], "a.b.c"),
        ([(b"authorization", b"\tBearer XX.b.XX\t")], "XX.b.XX"),
        ([(b"x", b"y"), (b"authorization", b"BEARER a.b.c")], "a.b.c"),
    ],
)
def test_bearer_credentials_are_read_once_and_strictly(
    headers: list[tuple[bytes, bytes]], outcome: str | type[AuthError]
) -> None:
    if isinstance(outcome, str):
        assert bearer_token(headers) == outcome
    else:
        with pytest.raises(outcome):
            bearer_token(headers)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda children: st.lists(children, max_size=3)
    | st.dictionaries(st.text(max_size=6), children, max_size=3),
    max_leaves=6,
)
CHANGES = st.dictionaries(st.sampled_from(["iss", "aud", "sub", "exp", "iat", "nbf", "id"]), JSON, min_size=1)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
async def test_whatever_the_claims_say_only_the_right_ones_are_accepted(
    changes: dict[str, Any], issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    claims = {**issuer.claims(), **changes}
    try:
        identity = await verifier.verify(issuer.keys[0].sign(claims, {}))
    except AuthError as error:
        assert error.status == 401
    else:
        assert identity.user_id == claims["sub"]
        assert claims["iss"] == issuer.base_url
        assert claims["aud"] == issuer.base_url or issuer.base_url in claims["aud"]
        assert clock.moment < claims["exp"] <= clock.moment + 86_400 + 30


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_change_to_a_good_tokens_text_is_accepted_or_raises_anything_unforeseen(
    data: st.DataObject, issuer: Issuer, verifier: Verifier
) -> None:
    good = issuer.token()
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, len(good)))
    changed = good[:start] + data.draw(st.text(max_size=8)) + good[end:]
    if changed == good:
        return
    with pytest.raises(AuthError):
        await verifier.verify(changed)


async def test_a_token_signed_by_somebody_elses_key_of_the_same_kid_is_refused(
    issuer: Issuer, verifier: Verifier
) -> None:
    forger = IssuerKey("EdDSA")
    with pytest.raises(errors.SignatureInvalid):
        await verifier.verify(forger.sign(issuer.claims(), {"kid": issuer.keys[0].kid}))


@dataclass(frozen=True)
class Membership:
    role: str

    @classmethod
    def of(cls, claims: Mapping[str, object]) -> "Membership":
        role = claims["role"]
        if role not in ("admin", "member"):
            raise ValueError(f"{role!r} is no role")
        return cls(str(role))


async def test_claims_are_read_once_by_the_applications_own_model(issuer: Issuer, clock: Clock) -> None:
    async with Verifier(issuer.trusted(now=clock), claims=Membership.of, now=clock) as verifier:
        token = issuer.token(role="admin")
        identity = await verifier.verify(token)
        role: str = identity.extra.role
        assert (identity.user_id, role, identity.issuer) == ("ann", "admin", issuer.base_url)
        assert identity.claims["role"] == "admin"
        assert (await verifier.verify(token)).extra is identity.extra
        for claims in ({}, {"role": "the secret role"}, {"role": ["admin"]}):
            with pytest.raises(errors.ClaimsInvalid) as caught:
                await verifier.verify(issuer.token(header=None, **claims))
            assert (caught.value.code, caught.value.status) == ("claims_invalid", 401)
            assert "secret" not in str(caught.value)


async def test_without_a_model_there_is_nothing_extra(issuer: Issuer, verifier: Verifier) -> None:
    assert (await verifier.verify(issuer.token())).extra is None


async def test_what_is_no_string_is_malformed(verifier: Verifier) -> None:
    tokens: list[Any] = [None, 7, b"a.b.c", bytearray(b"a.b.c"), ["a"], {}]
    for token in tokens:
        with pytest.raises(errors.TokenMalformed):
            await verifier.verify(token)


async def test_strings_and_numbers_that_cannot_be_written_again_are_refused(
    issuer: Issuer, verifier: Verifier
) -> None:
    lists, objects = json.loads("[" * 65 + "]" * 65), json.loads('{"x":' * 65 + "1" + "}" * 65)
    for claims in (
        {"sub": "\ud800"},
        {"name": "\udfff"},
        {"x": {"\ud800": 1}},
        {"x": lists},
        {"x": objects},
    ):
        with pytest.raises(errors.TokenMalformed):
            await verifier.verify(issuer.token(**claims))
    for header in ({"kid": "\ud800"}, {"typ": "\ud800"}, {"alg": "\ud800"}):
        with pytest.raises(errors.TokenMalformed):
            await verifier.verify(issuer.token(header=header))
    kept = {"name": "\U0001f600", "x": json.loads("[" * 63 + "]" * 63), "many": [[]] * 100, "n": 10**4000}
    assert (await verifier.verify(issuer.token(**kept))).claims["name"] == "\U0001f600"


@pytest.mark.parametrize("value", [1e308, -1e308, 10**4000, False, [], {}, ""])
async def test_a_date_that_is_no_sane_number_is_refused(
    value: object, issuer: Issuer, verifier: Verifier
) -> None:
    for name in ("exp", "iat", "nbf"):
        with pytest.raises(errors.TokenMalformed):
            await verifier.verify(issuer.keys[0].sign({**issuer.claims(), name: value}, {}))


async def test_where_a_header_says_its_keys_are_is_never_asked(issuer: Issuer, verifier: Verifier) -> None:
    forger = IssuerKey("EdDSA")
    led_astray = {
        "kid": issuer.keys[0].kid,
        "jku": "http://forger.test/jwks",
        "x5u": "http://forger.test/cert",
        "jwk": forger.public_jwk,
    }
    with pytest.raises(errors.SignatureInvalid):
        await verifier.verify(forger.sign(issuer.claims(), led_astray))
    assert (await verifier.verify(issuer.keys[0].sign(issuer.claims(), led_astray))).user_id == "ann"
    assert issuer.fetches == 1


async def test_two_issuers_with_the_same_keys_are_still_two(issuer: Issuer, clock: Clock) -> None:
    trusted = issuer.trusted(now=clock)
    other = TrustedIssuer("https://other.test", frozenset({"other"}), trusted.keys)
    async with Verifier(trusted, other, now=clock) as verifier:
        assert (await verifier.verify(issuer.token())).issuer == issuer.base_url
        assert (
            await verifier.verify(issuer.token(iss="https://other.test", aud="other"))
        ).issuer == other.issuer
        with pytest.raises(errors.AudienceMismatch):
            await verifier.verify(issuer.token(iss="https://other.test"))


async def test_one_issuer_that_is_down_does_not_harm_the_other(issuer: Issuer, clock: Clock) -> None:
    down = Issuer("https://down.test", now=clock)
    down.down = True
    async with Verifier(issuer.trusted(now=clock), down.trusted(now=clock), now=clock) as verifier:
        assert verifier.is_ready
        assert (await verifier.verify(issuer.token())).user_id == "ann"
        with pytest.raises(KeysUnavailable):
            await verifier.verify(down.token())


def test_an_audience_that_is_one_string_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="set of strings"):
        TrustedIssuer("http://issuer.test", "http://issuer.test", None, SECRET)  # type: ignore[arg-type]


async def test_header_bytes_that_are_not_ascii_are_a_malformed_token(verifier: Verifier) -> None:
    for value in (b"Bearer \xff.\xfe.\xfd", "Bearer é.é.é".encode(), b"Bearer \x00"):
        with pytest.raises(errors.TokenMalformed):
            await verifier.authenticate([(b"authorization", value)])
    with pytest.raises(CredentialsMissing):
        await verifier.authenticate([(b"authorization", b"\xff\xfe")])
