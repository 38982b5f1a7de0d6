"""Whatever is sent, only a correctly signed, current token for the right audience is accepted, and nothing
but the error tree is raised; by the verifier for coroutines and by the one for threads alike.

What must hold is written down here a second time, independently of the verifier, and compared in both
directions: a check that is dropped accepts too much, one that is added refuses too much.

Task: T-038 · Spec: plan.md#proof-of-the-verifier
"""

import hmac
import json
import re
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any, Self, cast

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from todo_auth import (
    AuthError,
    Identity,
    IdentityMinter,
    IdentityVerifier,
    InvalidToken,
    KeySet,
    SyncVerifier,
    TrustedIssuer,
    Verifier,
    jws,
)
from todo_auth.bearer import bearer_token
from todo_auth.jwk import ALGORITHMS, KeyRefused, SigningKey, read_key_set
from todo_auth.testing import Clock, IssuerKey

NOW = 1_800_000_000
DAY_S = 86_400
LEEWAY_S = 30
ISSUER = "http://issuer.test"
AUDIENCE = "http://api.test"
SECRET = "a shared secret of more than thirty-two bytes"
CLAIMS: Mapping[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": NOW, "exp": NOW + 900}

# The fixtures keep no state that an example could see: the clock stands still, what is remembered stays good.
examples = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@cache
def honest(algorithm: str) -> IssuerKey:
    """A key of the set."""
    return IssuerKey(algorithm)


@cache
def forger(algorithm: str) -> IssuerKey:
    """A key of somebody else, under the same name as the honest one."""
    return IssuerKey(algorithm, {**IssuerKey(algorithm).private_jwk, "kid": honest(algorithm).kid})


def answering(document: bytes) -> KeySet:
    """A key set whose address answers these bytes. Its clock is its own, since a fetch may wait a second."""
    clock = Clock()
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=document)))
    return KeySet("http://issuer.test/jwks", client=client, now=clock, sleep=clock.sleep)


class Twins:
    """The verifier for coroutines and the one for threads, each with a key set of its own that is answered
    these bytes. They must give one verdict.
    """

    def __init__(self, document: bytes) -> None:
        issuers = [
            TrustedIssuer(ISSUER, frozenset({AUDIENCE}), answering(document), SECRET) for _ in range(2)
        ]
        self._coroutines = Verifier(issuers[0], now=lambda: NOW)
        self._threads = SyncVerifier(issuers[1], now=lambda: NOW)

    async def __aenter__(self) -> Self:
        await self._coroutines.start()
        self._threads.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._coroutines.aclose()
        self._threads.close()

    async def verify(self, token: str) -> Identity:
        """The identity that both see. Raises the AuthError that both raise."""
        expected: Identity | AuthError
        try:
            expected = await self._coroutines.verify(token)
        except AuthError as error:
            expected = error
        try:
            identity = self._threads.verify(token)
        except AuthError as error:
            assert type(error) is type(expected)
            assert str(error) == str(expected)
            raise
        assert identity == expected
        return identity


@pytest.fixture
async def verifiers() -> AsyncIterator[Twins]:
    """Trust one key of every algorithm, and the shared secret."""
    document = {"keys": [honest(algorithm).public_jwk for algorithm in sorted(ALGORITHMS)]}
    async with Twins(json.dumps(document).encode()) as made:
        yield made


async def is_accepted(verifiers: Twins, token: str) -> bool:
    try:
        identity = await verifiers.verify(token)
    except InvalidToken:
        return False
    assert identity.issuer == ISSUER
    assert identity.expires_at > NOW
    return True


MISSING = object()
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda children: st.lists(children, max_size=3)
    | st.dictionaries(st.text(max_size=6), children, max_size=3),
    max_leaves=6,
)
EDGES_S = (-DAY_S, -901, -LEEWAY_S, -1, 0, 1, LEEWAY_S, 899, DAY_S, DAY_S + LEEWAY_S)
DATES: st.SearchStrategy[Any] = (
    st.sampled_from([NOW + edge + step for edge in EDGES_S for step in (-1, -0.5, 0, 0.5, 1)])
    | st.sampled_from([True, 10**400, -(10**400), 2**53, 2**53 + 1, str(NOW + 60), [NOW + 60], 0, -1, 1e308])
    | JSON
)
AUDIENCES: st.SearchStrategy[Any] = (
    st.sampled_from(
        [ISSUER, AUDIENCE.upper(), AUDIENCE + "/", AUDIENCE[:-1], {AUDIENCE: 1}, [[AUDIENCE]], ""]
    )
    | st.lists(st.sampled_from([AUDIENCE, ISSUER, AUDIENCE + "/", 7, None]), max_size=3)
    | JSON
)
ISSUERS: st.SearchStrategy[Any] = (
    st.sampled_from([AUDIENCE, ISSUER + "/", ISSUER.upper(), [ISSUER], {ISSUER: 1}, ISSUER[:-1]]) | JSON
)
SUBJECTS: st.SearchStrategy[Any] = (
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7F), max_size=4)
    | st.integers(254, 257).map("a".__mul__)
    | st.sampled_from(["ann\n", "ann\r\nX-User-Id: bob", "änn", "\x00", "a\u2028"])
    | JSON
)
STRATEGIES = {
    "exp": DATES,
    "iat": DATES,
    "nbf": DATES,
    "aud": AUDIENCES,
    "iss": ISSUERS,
    "sub": SUBJECTS,
    "id": SUBJECTS,
}


@st.composite
def claims(draw: st.DrawFn) -> dict[str, Any]:
    """Good claims with one to three of them changed or taken out."""
    made = dict(CLAIMS)
    for name in draw(st.lists(st.sampled_from(sorted(STRATEGIES)), min_size=1, max_size=3, unique=True)):
        value = draw(st.just(MISSING) | STRATEGIES[name])
        made.pop(name, None)
        if value is not MISSING:
            made[name] = value
    return made


def is_date(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 2**53


def is_subject(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[!-~]{1,255}", value) is not None


def hold(claims: Mapping[str, Any], user_claim: str = "sub") -> bool:
    """What the claims of an accepted token must say (RFC 7519 §4.1 and this library's own limits)."""
    if not all(is_date(claims[name]) for name in ("exp", "iat", "nbf") if name in claims):
        return False
    audience = claims.get("aud")
    return (
        claims.get("iss") == ISSUER
        and (audience == AUDIENCE or isinstance(audience, list) and AUDIENCE in audience)
        and is_subject(claims.get(user_claim))
        and "exp" in claims
        and NOW < claims["exp"] <= claims.get("iat", NOW) + DAY_S
        and claims.get("iat", NOW) <= NOW + LEEWAY_S
        and claims.get("nbf", NOW) <= NOW + LEEWAY_S
    )


@examples
@given(claims=claims())
@example(claims={**CLAIMS, "iat": NOW + 0.5, "exp": 10**400})
async def test_a_well_signed_token_is_accepted_exactly_when_its_claims_hold(
    claims: dict[str, Any], verifiers: Twins
) -> None:
    assert await is_accepted(verifiers, honest("EdDSA").sign(claims, {})) == hold(claims)


@examples
@given(claims=claims())
async def test_a_token_under_the_shared_secret_is_accepted_exactly_when_its_claims_hold(
    claims: dict[str, Any], verifiers: Twins
) -> None:
    user_claim = "id" if claims.get("sub") is None else "sub"
    assert await is_accepted(verifiers, symmetric(SECRET.encode(), {}, claims)) == hold(claims, user_claim)


def symmetric(secret: bytes, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    parts = [jws.encode(json.dumps(part).encode()) for part in ({"alg": "HS256", **header}, claims)]
    signing_input = ".".join(parts)
    return f"{signing_input}.{jws.encode(hmac.digest(secret, signing_input.encode(), 'sha256'))}"


TYPES: st.SearchStrategy[Any] = st.sampled_from(
    ["JWT", "jwt", "application/jwt", "at+jwt", "logout+jwt", "txntoken+jwt", "better-auth.session-cache+jwt"]
    + ["application/application/jwt", "JWT ", "", "jwt;charset=utf-8"]
) | st.one_of(JSON)


@examples
@given(type_=TYPES)
async def test_a_type_is_accepted_exactly_when_it_is_jwt(type_: object, verifiers: Twins) -> None:
    token = honest("EdDSA").sign(CLAIMS, {"typ": type_})
    # A member that is None is left out by `sign`, and no type is a good one.
    good = type_ is None or isinstance(type_, str) and type_.lower() in ("jwt", "application/jwt")
    assert await is_accepted(verifiers, token) == good


NAMES = [*sorted(ALGORITHMS), "Ed25519", "HS256", "HS384", "RS384", "ES256K", "none", "None", "", "EDDSA"]


@examples
@given(
    algorithm=st.sampled_from(sorted(ALGORITHMS)),
    name=st.sampled_from(NAMES),
    kid_of=st.sampled_from([*sorted(ALGORITHMS), "nobody", None]),
)
async def test_a_signature_counts_only_for_its_own_key_and_algorithm(
    algorithm: str, name: str, kid_of: str | None, verifiers: Twins
) -> None:
    kid = honest(kid_of).kid if kid_of in ALGORITHMS else kid_of
    token = honest(algorithm).sign(CLAIMS, {"alg": name, "kid": kid})
    fits = name == algorithm or (name, algorithm) == ("Ed25519", "EdDSA")
    assert await is_accepted(verifiers, token) == (fits and kid_of in (algorithm, None))


def public_forms(key: IssuerKey) -> list[bytes]:
    """What somebody who has only the key set could take for a secret."""
    public = cast(Any, jwt.PyJWK(key.public_jwk, algorithm=key.algorithm).key)
    encodings = [
        public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
        for encoding in (Encoding.PEM, Encoding.DER)
    ]
    texts = [value.encode() for value in key.public_jwk.values()]
    return [*encodings, encodings[0].strip(), json.dumps(key.public_jwk).encode(), *texts, b"", b"\x00"]


@st.composite
def forgeries(draw: st.DrawFn) -> str:
    """Good claims, signed by somebody who knows everything but a private key and the secret."""
    algorithm = draw(st.sampled_from(sorted(ALGORITHMS)))
    own = forger(algorithm)
    header: dict[str, Any] = {
        "alg": draw(st.sampled_from(NAMES)),
        "kid": draw(
            st.sampled_from([honest(name).kid for name in sorted(ALGORITHMS)]) | st.none() | st.text()
        ),
        **draw(
            st.sampled_from(
                [{}, {"jwk": own.public_jwk}, {"jku": "http://forger.test"}, {"x5u": "http://forger.test"}]
                + [
                    {"x5c": ["AAAA"]},
                    {"crit": ["exp"], "exp": 1},
                    {"crit": []},
                    {"b64": False},
                    {"cty": "JWT"},
                ]
            )
        ),
    }
    way = draw(st.sampled_from(["own key", "public key as secret", "taken signature", "any bytes"]))
    if way == "own key":
        return own.sign(CLAIMS, header)
    if way == "public key as secret":
        secret = draw(st.sampled_from(public_forms(honest(algorithm))))
        return symmetric(secret, header if draw(st.booleans()) else {"kid": header["kid"]}, CLAIMS)
    signing_input = own.sign(CLAIMS, header).rpartition(".")[0]
    if way == "taken signature":
        signature = honest(algorithm).sign({**CLAIMS, "sub": "bob"}, header).rpartition(".")[2]
    else:
        signature = jws.encode(draw(st.binary(max_size=80)))
    return f"{signing_input}.{signature}"


@examples
@given(token=forgeries())
async def test_nothing_made_without_a_private_key_or_the_secret_is_accepted(
    token: str, verifiers: Twins
) -> None:
    assert not await is_accepted(verifiers, token)


@examples
@given(
    number=st.integers(0, 2),
    place=st.integers(0),
    bit=st.integers(0, 7),
    algorithm=st.sampled_from(sorted(ALGORITHMS)),
)
async def test_no_bit_of_a_token_is_free(
    number: int, place: int, bit: int, algorithm: str, verifiers: Twins
) -> None:
    parts = [jws.decode(part, "part") for part in honest(algorithm).sign(CLAIMS, {}).split(".")]
    changed = bytearray(parts[number])
    changed[place % len(changed)] ^= 1 << bit
    parts[number] = bytes(changed)
    assert not await is_accepted(verifiers, ".".join(map(jws.encode, parts)))


@examples
@given(
    chosen=st.tuples(*[st.integers(0, 7)] * 3),
)
async def test_parts_of_several_good_tokens_make_no_other_one(
    chosen: tuple[int, int, int], verifiers: Twins
) -> None:
    tokens = [honest(name).sign({**CLAIMS, "sub": name}, {}) for name in sorted(ALGORITHMS)]
    tokens += [honest("EdDSA").sign({**CLAIMS, "sub": "bob"}, {}), symmetric(SECRET.encode(), {}, CLAIMS)]
    spliced = ".".join(tokens[take].split(".")[number] for number, take in enumerate(chosen))
    assert await is_accepted(verifiers, spliced) == (spliced in tokens)


@examples
@given(data=st.data())
async def test_no_change_of_a_tokens_text_is_accepted(data: st.DataObject, verifiers: Twins) -> None:
    good = honest("EdDSA").sign(CLAIMS, {})
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 8)))
    alphabet = st.sampled_from("Aa0-_=.+/ \n\x00é٠\ud800")
    changed = good[:start] + data.draw(st.text(alphabet, max_size=3)) + good[end:]
    assert await is_accepted(verifiers, changed) == (changed == good)


@examples
@given(token=st.text() | st.lists(st.binary().map(jws.encode), max_size=5).map(".".join))
async def test_no_text_at_all_raises_anything_but_a_refusal(token: str, verifiers: Twins) -> None:
    assert not await is_accepted(verifiers, token)


@examples
@given(
    header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk"]), JSON), payload=JSON
)
async def test_no_header_and_no_payload_raise_anything_but_a_refusal(
    header: dict[str, Any], payload: Any, verifiers: Twins
) -> None:
    parts = [jws.encode(json.dumps(part).encode()) for part in ({"alg": "EdDSA", **header}, payload)]
    assert not await is_accepted(verifiers, ".".join([*parts, jws.encode(bytes(64))]))


def jwks(algorithm: str) -> st.SearchStrategy[dict[str, Any]]:
    """A key of somebody else with up to three members changed: half of them still keys."""
    values = JSON | st.sampled_from(
        [
            "EC",
            "RSA",
            "OKP",
            "oct",
            "P-256",
            "P-384",
            "P-521",
            "Ed25519",
            "X25519",
            "sig",
            "enc",
            "AQAB",
            "AQ",
        ]
        + ["", "A" * 43, "_" * 43, "A" * 8000, ["verify"], ["sign"], *NAMES]
    )
    names = st.sampled_from(
        ["kty", "crv", "alg", "kid", "use", "key_ops", "x", "y", "n", "e", "d", "k", "x5c"]
    )
    changes = st.dictionaries(names, values, max_size=3)
    return changes.map(lambda made: {**forger(algorithm).public_jwk, **made})


@examples
@given(jwk=st.sampled_from(sorted(ALGORITHMS)).flatmap(jwks))
def test_a_key_is_read_or_refused_with_a_reason_and_verifies_no_other_ones_signature(
    jwk: dict[str, Any],
) -> None:
    try:
        key = SigningKey.from_jwk(jwk)
    except KeyRefused as error:
        assert str(error)
        return
    assert key.algorithm in ALGORITHMS
    for algorithm in sorted(ALGORITHMS):
        signing_input, _, signature = honest(algorithm).sign(CLAIMS, {}).rpartition(".")
        assert not key.verifies(signing_input.encode(), jws.decode(signature, "signature"))


DOCUMENTS: st.SearchStrategy[bytes] = (
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.lists(st.sampled_from(sorted(ALGORITHMS)).flatmap(jwks) | JSON, max_size=4).map(
        lambda keys: json.dumps({"keys": keys}).encode()
    )
)


@examples
@given(document=DOCUMENTS)
@example(document=b'{"keys":' + b"[" * 5000 + b"]" * 5000 + b"}")
@example(document=b'{"keys":[' + b"9" * 5000 + b"]}")
async def test_whatever_the_issuers_address_answers_a_token_is_only_ever_refused(document: bytes) -> None:
    try:
        read_key_set(document)
    except ValueError as error:
        assert str(error)  # noqa: PT017
    async with Twins(document) as verifiers:
        with pytest.raises(AuthError) as caught:
            await verifiers.verify(honest("EdDSA").sign(CLAIMS, {}))
    assert caught.value.status in (401, 503)


HOSTS = st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8}){0,2}(:[1-9][0-9]{1,3})?", fullmatch=True)
PATHS = st.from_regex(r"(/[a-z0-9]{1,5}){0,3}", fullmatch=True)


@examples
@given(scheme=st.sampled_from(["http", "https"]), host=HOSTS, path=PATHS, slash=st.sampled_from(["", "/"]))
def test_a_base_url_is_issuer_audience_and_way_to_the_keys_unless_told_otherwise(
    scheme: str, host: str, path: str, slash: str
) -> None:
    origin = f"{scheme}://{host}"
    base = origin + path
    for made, name, jwks_url in (
        (TrustedIssuer.better_auth(base + slash), base, f"{base}/api/auth/jwks"),
        (TrustedIssuer.neon_auth(base + slash), origin, f"{base}/.well-known/jwks.json"),
    ):
        assert (made.issuer, made.audience, made.secret) == (name, frozenset({name}), None)
        assert made.keys is not None
        assert made.keys.url == jwks_url
    inside = "http://inside.test:3000/jwks"
    for make in (TrustedIssuer.better_auth, TrustedIssuer.neon_auth):
        made = make(base, issuer="i", audience=["a", "b"], jwks_url=inside + slash)
        assert (made.issuer, made.audience) == ("i", frozenset({"a", "b"}))
        assert made.keys is not None
        assert made.keys.url == inside
        assert make(base, audience="ab").audience == {"ab"}
    assert TrustedIssuer.better_auth(base, secret=SECRET).secret == SECRET


@examples
@given(url=st.text(max_size=12) | st.text("htps:/x.?#@ ", max_size=12))
def test_what_is_no_http_url_is_no_issuer(url: str) -> None:
    if re.match(r"https?://[^/?#@]", url.strip(), re.IGNORECASE):
        return
    for make in (TrustedIssuer.better_auth, TrustedIssuer.neon_auth):
        with pytest.raises(ValueError):  # noqa: PT011
            make(url)


AUTHORIZATIONS = (
    st.binary(max_size=20)
    | st.sampled_from(
        [b"Bearer a.b.c", b"bearer  a.b.c ", b"Bearer", b"Bearer a b", b"Basic YTpi", b"Bearer\ta"]
    )
    | st.builds(
        lambda scheme, rest: scheme + rest, st.sampled_from([b"Bearer ", b"BEARER "]), st.binary(max_size=9)
    )
)
HEADERS = st.lists(
    st.tuples(st.sampled_from([b"authorization", b"cookie", b"x"]), AUTHORIZATIONS), max_size=3
)


@examples
@given(headers=HEADERS)
def test_a_bearer_token_is_read_from_one_header_or_refused(headers: list[tuple[bytes, bytes]]) -> None:
    values = [value for name, value in headers if name == b"authorization"]
    try:
        token = bearer_token(headers)
    except AuthError as error:
        assert error.status in (400, 401)
        assert not (len(values) == 1 and re.fullmatch(rb"(?i:bearer) +[A-Za-z0-9._~+/=-]+", values[0]))
    else:
        assert len(values) == 1
        assert values[0].strip(b" \t").lower().startswith(b"bearer ")
        assert values[0].strip(b" \t")[7:].strip(b" ") == token.encode("latin-1")
        assert not {" ", ","} & set(token)


DOMAIN = "todo"
TXN_CLAIMS: Mapping[str, Any] = {
    "iss": "todo-gateway",
    "aud": DOMAIN,
    "sub": "ann",
    "iat": NOW,
    "exp": NOW + 60,
    "txn": "t",
}
TXN_DATES: st.SearchStrategy[Any] = st.sampled_from(
    [NOW + edge + step for edge in (-60, -30, 0, 30, 60, 90) for step in (-1, -0.5, 0, 0.5, 1)]
    + [True, 10**400, -(10**400), str(NOW), None, 1e308]
)


@st.composite
def txn_claims(draw: st.DrawFn) -> dict[str, Any]:
    strategies = {
        "iss": st.sampled_from([ISSUER, ["todo-gateway"], "Todo-Gateway"]) | JSON,
        "aud": st.sampled_from([[DOMAIN], "Todo", ISSUER, ""]) | JSON,
        "sub": SUBJECTS | st.just("bob"),
        "iat": TXN_DATES,
        "exp": TXN_DATES,
        "txn": JSON,
    }
    made = dict(TXN_CLAIMS)
    for name in draw(st.lists(st.sampled_from(sorted(strategies)), min_size=1, max_size=3, unique=True)):
        value = draw(st.just(MISSING) | strategies[name])
        made.pop(name)
        if value is not MISSING:
            made[name] = value
    return made


def txn_hold(claims: Mapping[str, Any]) -> bool:
    """What an accepted `Txn-Token` must say (plan.md#internal-identity)."""
    return (
        claims.get("iss") == "todo-gateway"
        and claims.get("aud") == DOMAIN
        and claims.get("sub") == "ann"
        and isinstance(claims.get("txn"), str)
        and is_date(claims.get("iat"))
        and is_date(claims.get("exp"))
        and claims["iat"] <= NOW + LEEWAY_S
        and NOW < claims["exp"]
        and 0 < claims["exp"] - claims["iat"] <= 60
    )


@examples
@given(claims=txn_claims())
def test_an_internal_token_is_accepted_exactly_when_its_claims_hold(claims: dict[str, Any]) -> None:
    door = IdentityVerifier([SECRET], now=lambda: NOW)
    token = symmetric(SECRET.encode(), {"typ": "txntoken+jwt"}, claims)
    try:
        identity = door.verify(token, "ann")
    except InvalidToken:
        assert not txn_hold(claims)
    else:
        assert txn_hold(claims)
        assert identity.user_id == "ann"


def test_dates_out_of_all_range_in_an_internal_token_are_a_refusal() -> None:
    door = IdentityVerifier([SECRET], now=lambda: NOW)
    for dates in ({"iat": NOW + 0.5, "exp": 10**400}, {"iat": -(10**400), "exp": NOW + 0.5}):
        with pytest.raises(InvalidToken):
            door.verify(symmetric(SECRET.encode(), {"typ": "txntoken+jwt"}, {**TXN_CLAIMS, **dates}), "ann")


@examples
@given(
    token=st.text() | st.just(IdentityMinter(["x" * 32], now=lambda: NOW).mint("ann")),
    user=st.text(max_size=5) | st.just("ann"),
)
def test_nothing_that_the_gateway_did_not_sign_opens_a_services_door(token: str, user: str) -> None:
    door = IdentityVerifier([SECRET], now=lambda: NOW)
    with pytest.raises(InvalidToken):
        door.verify(token, user)


@examples
@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"x-user-id", b"txn-token", b"authorization"]),
            st.binary(max_size=20) | st.sampled_from([b"ann", b"bob", b"\xe4nn", b"a.b.c", b""]),
        ),
        max_size=4,
    )
)
async def test_no_headers_raise_anything_but_a_refusal_at_a_services_door(
    headers: list[tuple[bytes, bytes]],
) -> None:
    door = IdentityVerifier([SECRET], now=lambda: NOW)
    with pytest.raises(AuthError):
        await door.authenticate(headers)
