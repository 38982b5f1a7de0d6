"""Every vector of Wycheproof's JSON web signature, key and crypto files, where `WYCHEPROOF` names a checkout.

Their payloads are no claims, so that a whole verifier would refuse even the good ones, for a reason that
says nothing. What is judged is the rest of it: the form of the token, its header, the key that a real key set
finds for it, and the signature over the bytes as they came. Source: C2SP/wycheproof, `testvectors_v1`.

Task: T-038 · Spec: plan.md#proof-of-the-verifier
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from todo_auth import AuthError, KeySet, jws
from todo_auth.errors import AlgorithmRefused, SignatureInvalid
from todo_auth.jwk import ALGORITHMS, canonical_algorithm

FILES = ("json_web_signature_test", "json_web_key_test", "json_web_crypto_test")
CHECKOUT = os.environ.get("WYCHEPROOF")
EMPTY_CLAIMS = jws.encode(b"{}")

_SYMMETRIC = "a key of a key set is never a shared secret"
_UNUSED = "Better Auth signs with no such algorithm"
_OTHER_ALG = "a key verifies the algorithm that its own alg names, and no other"
_MISSPELT = "ES521 is no algorithm's name"
_ENCRYPTED = "encrypted tokens are not read"
_ALPHABET = "a character of another alphabet in a part"

# Vectors that Wycheproof calls valid and that are refused here, each with the reason.
REFUSED_BY_POLICY: dict[str, dict[int, str]] = {
    "json_web_signature_test": {
        **dict.fromkeys((1, 348, 352, 357, 358, 359, 376, 377), _SYMMETRIC),
        **dict.fromkeys((*range(264, 272), *range(320, 324), *range(325, 329)), _UNUSED),
        **dict.fromkeys((346, 350), _OTHER_ALG),
        **dict.fromkeys((347, 351), _MISSPELT),
        **dict.fromkeys((372, 373), _ALPHABET),
    },
    "json_web_key_test": dict.fromkeys((2, 13, 14, 15), _SYMMETRIC),
    "json_web_crypto_test": {1: _SYMMETRIC, 48: _SYMMETRIC, 50: _ENCRYPTED, 67: _ENCRYPTED},
}


@dataclass(frozen=True)
class Vector:
    """`keys`: the JWK Set that it comes with."""

    file: str
    number: int
    is_valid: bool
    token: str
    keys: dict[str, Any]


def vectors(checkout: str) -> Iterator[Vector]:
    for file in FILES:
        document = json.loads(Path(checkout, "testvectors_v1", f"{file}.json").read_text())
        for group in document["testGroups"]:
            keys = group.get("public", group["private"])
            for test in group["tests"]:
                token = test.get("jws", test.get("jwe"))
                yield Vector(
                    file,
                    test["tcId"],
                    test["result"] == "valid",
                    token if isinstance(token, str) else json.dumps(token),
                    keys if "keys" in keys else {"keys": [keys]},
                )


async def judge(token: str, keys: dict[str, Any]) -> None:
    """What a verifier does with a token and its key set, but for the claims. Raises AuthError."""
    head, first_dot, rest = token.partition(".")
    payload, second_dot, signature = rest.partition(".")
    answer = httpx.Response(200, json=keys)
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer))
    key_set = KeySet("http://issuer.test/jwks", client=client)
    try:
        with_claims = f"{head}{first_dot}{EMPTY_CLAIMS if second_dot else payload}{second_dot}{signature}"
        unverified = jws.read(with_claims, types=frozenset({None, "jwt"}))
        jws.decode(payload, "payload")
        if unverified.algorithm not in ALGORITHMS | {"Ed25519"}:
            raise AlgorithmRefused(unverified.algorithm)
        key = await key_set.find(unverified.key_id, canonical_algorithm(unverified.algorithm))
        if not key.verifies(f"{head}.{payload}".encode(), unverified.signature):
            raise SignatureInvalid("not this key's signature")
    finally:
        await key_set.aclose()
        await client.aclose()


@pytest.mark.skipif(CHECKOUT is None, reason="WYCHEPROOF names no checkout of C2SP/wycheproof")
@pytest.mark.parametrize(
    "vector",
    [
        pytest.param(vector, id=f"{vector.file}-{vector.number}")
        for vector in (vectors(CHECKOUT) if CHECKOUT else ())
    ],
)
async def test_a_vector_is_accepted_where_it_is_valid_and_not_refused_by_policy(vector: Vector) -> None:
    policy = REFUSED_BY_POLICY[vector.file].get(vector.number)
    if vector.is_valid and policy is None:
        await judge(vector.token, vector.keys)
    else:
        assert vector.is_valid or policy is None, "the table of policies names an invalid vector"
        with pytest.raises(AuthError) as caught:
            await judge(vector.token, vector.keys)
        assert caught.value.status == 401
