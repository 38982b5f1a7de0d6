"""The token that carries a user from the gateway to a service."""

import json
from typing import Any

import jwt
import pytest
from todo_auth import CredentialsMissing, IdentityMinter, IdentityVerifier, Verifier, errors, jws
from todo_auth.identity import RawHeaders
from todo_auth.testing import Clock, Issuer

OLD = "the old secret, which has enough bytes in it"
NEW = "the new secret, which has enough bytes as well"


@pytest.fixture
def minter(clock: Clock) -> IdentityMinter:
    return IdentityMinter([NEW], now=clock)


@pytest.fixture
def at_the_door(clock: Clock) -> IdentityVerifier:
    return IdentityVerifier([NEW], now=clock)


def claims(clock: Clock, **changes: object) -> dict[str, Any]:
    now = int(clock.moment)
    made = {
        "iss": "todo-gateway",
        "aud": "todo",
        "sub": "ann",
        "iat": now,
        "exp": now + 60,
        "txn": "1",
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def sign(
    payload: dict[str, Any], typ: str | None = "txntoken+jwt", secret: str = NEW, algorithm: str = "HS256"
) -> str:
    return jwt.encode(payload, secret, algorithm, headers={"typ": typ})


def test_what_is_minted_is_a_transaction_token_that_verifies(
    minter: IdentityMinter, at_the_door: IdentityVerifier, clock: Clock
) -> None:
    token = minter.mint("ann")
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "txntoken+jwt"}
    payload = jwt.decode(token, options={"verify_signature": False})
    assert payload == claims(clock, txn=payload["txn"])
    identity = at_the_door.verify(token, "ann")
    assert (identity.user_id, identity.expires_at) == ("ann", clock.moment + 60)
    assert (identity.issuer, identity.claims) == ("todo-gateway", payload)


def test_a_minted_token_is_as_short_as_json_can_be_and_no_two_have_one_id(minter: IdentityMinter) -> None:
    transactions = set()
    for user in ("ann", "bob"):
        header, payload, _ = minter.mint(user).split(".")
        assert b" " not in jws.decode(header, "header") + jws.decode(payload, "payload")
        transactions.add(json.loads(jws.decode(payload, "payload"))["txn"])
    assert [len(jws.decode(transaction, "txn")) for transaction in transactions] == [16, 16]


def test_a_token_lives_a_second_at_least_and_a_minute_at_most(clock: Clock) -> None:
    for lifetime_s in (1, 60):
        token = IdentityMinter([NEW], lifetime_s=lifetime_s, now=clock).mint("ann")
        door = IdentityVerifier([NEW], now=clock)
        assert door.verify(token, "ann").expires_at == clock.moment + lifetime_s
    for lifetime_s in (0, 61):
        with pytest.raises(ValueError, match="1 to 60"):
            IdentityMinter([NEW], lifetime_s=lifetime_s)


def test_a_minted_token_is_reused_for_half_of_its_life(minter: IdentityMinter, clock: Clock) -> None:
    first = minter.mint("ann")
    assert minter.mint("bob") != first
    clock.moment += 29
    assert minter.mint("ann") == first
    clock.moment += 1
    assert minter.mint("ann") != first


def test_what_is_remembered_is_bounded(clock: Clock) -> None:
    minter = IdentityMinter([NEW], remembered=2, now=clock)
    first, second = minter.mint("ann"), minter.mint("bob")
    minter.mint("eve")
    assert minter.mint("bob") == second
    assert minter.mint("ann") != first
    door = IdentityVerifier([NEW], remembered=2, now=clock)
    tokens = {name: IdentityMinter([NEW], now=clock).mint(name) for name in ("ann", "bob", "eve")}
    identities = {name: door.verify(token, name) for name, token in tokens.items()}
    for name in ("eve", "bob"):
        assert door.verify(tokens[name], name) is identities[name]
    assert door.verify(tokens["ann"], "ann") is not identities["ann"]


def test_one_may_be_all_that_is_remembered(clock: Clock) -> None:
    minter, door = IdentityMinter([NEW], remembered=1, now=clock), IdentityVerifier(
        [NEW], remembered=1, now=clock
    )
    token = minter.mint("ann")
    assert minter.mint("ann") == token
    assert door.verify(token, "ann") is door.verify(token, "ann")


def test_who_was_minted_anew_is_not_the_oldest(clock: Clock) -> None:
    minter = IdentityMinter([NEW], remembered=3, now=clock)
    minter.mint("ann")
    clock.moment += 20
    minter.mint("bob")
    clock.moment += 10
    again = minter.mint("ann")
    minter.mint("eve")
    minter.mint("joe")
    assert minter.mint("ann") == again


def test_nothing_is_remembered_where_that_is_asked(clock: Clock) -> None:
    minter, door = IdentityMinter([NEW], remembered=0, now=clock), IdentityVerifier(
        [NEW], remembered=0, now=clock
    )
    token = minter.mint("ann")
    assert minter.mint("ann") != token
    assert door.verify(token, "ann") is not door.verify(token, "ann")


def test_another_users_name_beside_a_good_token_is_refused(
    minter: IdentityMinter, at_the_door: IdentityVerifier
) -> None:
    token = minter.mint("ann")
    at_the_door.verify(token, "ann")
    for name in ("bob", "", "ANN"):
        with pytest.raises(errors.SubjectInvalid):
            at_the_door.verify(token, name)


def test_a_remembered_token_still_ends_with_its_exp(
    minter: IdentityMinter, at_the_door: IdentityVerifier, clock: Clock
) -> None:
    token = minter.mint("ann")
    at_the_door.verify(token, "ann")
    clock.moment += 60
    for _ in range(2):
        with pytest.raises(errors.TokenExpired):
            at_the_door.verify(token, "ann")


def test_secrets_rotate_without_a_refused_request(clock: Clock) -> None:
    before, after = IdentityMinter([OLD], now=clock), IdentityMinter([NEW, OLD], now=clock)
    door = IdentityVerifier([NEW, OLD], now=clock)
    assert door.verify(before.mint("ann"), "ann").user_id == "ann"
    assert door.verify(after.mint("ann"), "ann").user_id == "ann"
    with pytest.raises(errors.SignatureInvalid):
        IdentityVerifier([NEW], now=clock).verify(before.mint("ann"), "ann")


REFUSED: list[tuple[dict[str, object], type[errors.AuthError]]] = [
    ({"iss": "somebody"}, errors.IssuerMismatch),
    ({"iss": None}, errors.IssuerMismatch),
    ({"aud": "another domain"}, errors.AudienceMismatch),
    ({"aud": ["todo"]}, errors.AudienceMismatch),
    ({"aud": None}, errors.AudienceMismatch),
    ({"exp": None}, errors.TokenMalformed),
    ({"iat": None}, errors.TokenMalformed),
    ({"exp": 1_800_000_061}, errors.LifetimeTooLong),
    ({"iat": 1_799_999_940, "exp": 1_800_000_000}, errors.TokenExpired),
    ({"iat": 1_800_000_031, "exp": 1_800_000_040}, errors.TokenNotYetValid),
    ({"iat": True}, errors.TokenMalformed),
    ({"exp": 10**400}, errors.TokenMalformed),
    ({"nbf": 1_800_000_031}, errors.TokenNotYetValid),
    ({"nbf": "now"}, errors.TokenMalformed),
    ({"iat": 1_800_000_010, "exp": 1_800_000_010}, errors.LifetimeTooLong),
    ({"txn": None}, errors.TokenMalformed),
    ({"sub": None}, errors.SubjectInvalid),
    ({"sub": "a b"}, errors.SubjectInvalid),
]


@pytest.mark.parametrize(("changes", "error"), REFUSED)
def test_a_well_signed_token_with_claims_that_do_not_hold_is_refused(
    changes: dict[str, object], error: type[errors.AuthError], at_the_door: IdentityVerifier, clock: Clock
) -> None:
    with pytest.raises(error):
        at_the_door.verify(sign(claims(clock, **changes)), "ann")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1_800_000_001},
        {"iat": 1_800_000_030, "exp": 1_800_000_090},
        {"nbf": 1_800_000_030},
        {"iat": 1_799_999_941, "exp": 1_800_000_001},
        {"sub": "a" * 255},
    ],
)
def test_claims_at_the_edge_of_what_holds_are_accepted(
    changes: dict[str, object], at_the_door: IdentityVerifier, clock: Clock
) -> None:
    made = claims(clock, **changes)
    assert at_the_door.verify(sign(made), made["sub"]).user_id == made["sub"]


@pytest.mark.parametrize("typ", [None, "JWT", "at+jwt"])
def test_only_the_transaction_tokens_type_is_accepted(
    typ: str | None, at_the_door: IdentityVerifier, clock: Clock
) -> None:
    with pytest.raises(errors.TypeRefused):
        at_the_door.verify(sign(claims(clock), typ), "ann")


def test_another_algorithm_or_secret_is_refused(at_the_door: IdentityVerifier, clock: Clock) -> None:
    with pytest.raises(errors.AlgorithmRefused):
        at_the_door.verify(sign(claims(clock), secret=NEW * 2, algorithm="HS512"), "ann")
    with pytest.raises(errors.SignatureInvalid):
        at_the_door.verify(sign(claims(clock), secret=OLD), "ann")


async def test_neither_token_is_accepted_at_the_others_door(
    issuer: Issuer, verifier: Verifier, minter: IdentityMinter, at_the_door: IdentityVerifier
) -> None:
    with pytest.raises(errors.TypeRefused):
        await verifier.verify(minter.mint("ann"))
    with pytest.raises(errors.TypeRefused):
        at_the_door.verify(issuer.token("ann"), "ann")


async def test_a_service_needs_both_headers_once(
    minter: IdentityMinter, at_the_door: IdentityVerifier
) -> None:
    token, user = (b"txn-token", minter.mint("ann").encode()), (b"x-user-id", b"ann")
    assert (await at_the_door.authenticate([token, user])).user_id == "ann"
    missing: list[RawHeaders] = [[], [user], [token]]
    for headers in missing:
        with pytest.raises(CredentialsMissing):
            await at_the_door.authenticate(headers)
    repeated: list[RawHeaders] = [[token, token, user], [token, user, user]]
    for headers in repeated:
        with pytest.raises(errors.TokenMalformed):
            await at_the_door.authenticate(headers)


@pytest.mark.parametrize("secrets", [[], ["short"], [NEW, "short"]])
def test_secrets_that_are_missing_or_short_are_refused(secrets: list[str]) -> None:
    for kind in (IdentityMinter, IdentityVerifier):
        with pytest.raises(ValueError, match="secret") as caught:
            kind(secrets)
        assert "short" not in str(caught.value)


def test_a_secret_of_32_bytes_is_enough(clock: Clock) -> None:
    secret = "é" * 16
    token = IdentityMinter([secret], now=clock).mint("ann")
    assert IdentityVerifier([secret], now=clock).verify(token, "ann").user_id == "ann"


def test_a_user_id_that_cannot_be_a_header_is_never_minted(minter: IdentityMinter) -> None:
    for user_id in ("", "a\r\nb", "a b", "ä", "a" * 256):
        with pytest.raises(errors.SubjectInvalid):
            minter.mint(user_id)


def test_claims_cannot_be_changed_by_who_reads_them(
    minter: IdentityMinter, at_the_door: IdentityVerifier
) -> None:
    identity = at_the_door.verify(minter.mint("ann"), "ann")
    with pytest.raises(TypeError):
        identity.claims["sub"] = "bob"  # type: ignore[index]  # that is what is tried
    assert json.dumps(dict(identity.claims))
