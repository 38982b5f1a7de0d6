"""Signatures, keys and encodings of the classes that Wycheproof collects for JSON web tokens.

The vectors here are made with keys of their own, in the classes of `json_web_signature_test.json`,
`json_web_key_test.json` and `json_web_crypto_test.json` in C2SP/wycheproof, `testvectors_v1`;
`test_wycheproof.py` judges those files themselves.

Task: T-038 · Spec: plan.md#proof-of-the-verifier
"""

import hashlib
import hmac
import json
import math
import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from jwt.algorithms import RSAAlgorithm
from todo_auth import InvalidToken, KeySet, TrustedIssuer, Verifier, jws
from todo_auth.errors import AlgorithmRefused, KeyUnknown, TokenMalformed
from todo_auth.jwk import ALGORITHMS
from todo_auth.testing import Clock, IssuerKey

ISSUER = "http://issuer.test"
CLOCK = Clock()
CLAIMS = {"iss": ISSUER, "aud": ISSUER, "sub": "ann", "exp": CLOCK.moment + 900}

# The order of each curve's group (SEC 2, RFC 8032 §5.1).
ORDERS = {
    "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ES384": int("f" * 48 + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16),
    "ES512": int("1" + "f" * 65 + "a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409", 16),
    "EdDSA": 2**252 + 27742317777372353535851937790883648493,
}

# The primes modulo which the flawed RSA generator of CVE-2017-15361 left every factor a power of 65537.
ROCA_PRIMES = [number for number in range(2, 702) if all(number % divisor for divisor in range(2, number))]


@cache
def key_of(algorithm: str) -> IssuerKey:
    return IssuerKey(algorithm)


def private(algorithm: str) -> Any:
    return jwt.PyJWK(key_of(algorithm).private_jwk, algorithm=algorithm).key


def key_set(*jwks: object) -> KeySet:
    answer = httpx.Response(200, json={"keys": jwks})
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer))
    return KeySet("http://issuer.test/jwks", client=client, now=CLOCK, sleep=CLOCK.sleep)


async def refusal(token: str, *jwks: object) -> InvalidToken | None:
    """Why a verifier that is given this key set refuses the token; None when it accepts it."""
    trusted = TrustedIssuer(ISSUER, frozenset({ISSUER}), key_set(*jwks))
    async with Verifier(trusted, now=CLOCK) as verifier:
        try:
            await verifier.verify(token)
        except InvalidToken as error:
            return error
    return None


async def accepted(vectors: Mapping[str, str], *jwks: object) -> set[str]:
    return {name for name, token in vectors.items() if await refusal(token, *jwks) is None}


def resigned(algorithm: str, signature: Callable[[bytes], bytes]) -> str:
    """A token whose signature is made from its signing input by `signature`."""
    signing_input = key_of(algorithm).sign(CLAIMS, {}).rpartition(".")[0]
    return f"{signing_input}.{jws.encode(signature(signing_input.encode()))}"


def json_part(value: object) -> str:
    return jws.encode(json.dumps(value).encode())


def modified_forms(key: IssuerKey) -> dict[str, str]:
    token = key.sign(CLAIMS, {})
    head, payload, signature = token.split(".")
    raw = jws.decode(signature, "signature")
    forger = IssuerKey(key.algorithm)
    public = json.dumps(key.public_jwk).encode()
    flattened = {"protected": head, "payload": payload, "signature": signature}
    general = {"payload": payload, "signatures": [{"protected": head, "signature": signature}]}
    confused = f"{json_part({'alg': 'HS256', 'kid': key.kid})}.{payload}"
    forms = {
        "signature changed at its start": f"{head}.{payload}.{jws.encode(bytes([raw[0] ^ 1]) + raw[1:])}",
        "signature changed at its end": f"{head}.{payload}.{jws.encode(raw[:-1] + bytes([raw[-1] ^ 1]))}",
        "signature too long": f"{head}.{payload}.{jws.encode(raw + raw)}",
        "signature with zeros after it": f"{head}.{payload}.{jws.encode(raw + bytes(2))}",
        "signature with zeros before it": f"{head}.{payload}.{jws.encode(bytes(2) + raw)}",
        "signature cut": f"{head}.{payload}.{jws.encode(raw[:-1])}",
        "signature of zeros": f"{head}.{payload}.{jws.encode(bytes(len(raw)))}",
        "no signature": f"{head}.{payload}.",
        "no signature, no dot": f"{head}.{payload}",
        "another payload": f"{head}.{json_part({**CLAIMS, 'sub': 'bob'})}.{signature}",
        "no payload": f"{head}..{signature}",
        "no payload, no dot": f"{head}.{signature}",
        "another header": f"{json_part({'alg': key.algorithm, 'x': 1})}.{payload}.{signature}",
        "no header": f".{payload}.{signature}",
        "no header, no dot": f"{payload}.{signature}",
        "payload alone": payload,
        "nothing": "",
        "an empty part more": f"{token}.",
        "a part more": f"{token}.{signature}",
        "like an encrypted token": f"{token}.{signature}.{signature}",
        "flattened JSON": json.dumps(flattened),
        "general JSON": json.dumps(general),
        "the forger's key in the header": forger.sign(CLAIMS, {"kid": key.kid, "jwk": forger.public_jwk}),
        "the forger's key at an address": forger.sign(CLAIMS, {"kid": key.kid, "jku": "http://forger.test"}),
        "the public key as a secret": (
            f"{confused}.{jws.encode(hmac.digest(public, confused.encode(), 'sha256'))}"
        ),
    }
    for name in ("none", "None", "NONE", "nOnE", ""):
        unsigned = f"{json_part({'alg': name, 'kid': key.kid})}.{payload}"
        forms |= {f"alg {name!r}": f"{unsigned}.{signature}", f"alg {name!r}, unsigned": f"{unsigned}."}
    for number, part in enumerate(("header", "payload", "signature")):
        for name, change in ENCODINGS.items():
            parts = [head, payload, signature]
            parts[number] = change(parts[number])
            forms[f"{name} in the {part}"] = ".".join(parts)
    return forms


ENCODINGS: dict[str, Callable[[str], str]] = {
    "padding": lambda part: part + "=",
    "padding by length": lambda part: part + "=" * (-len(part) % 4 or 4),
    "a space before": lambda part: " " + part,
    "a space after": lambda part: part + " ",
    "a space": lambda part: f"{part[:4]} {part[4:]}",
    "a line feed after": lambda part: part + "\n",
    "a character of no alphabet": lambda part: f"{part[:5]}?{part[5:]}",
    "characters of no alphabet before": lambda part: "####" + part,
    "a character of the other alphabet": lambda part: f"{part[:4]}+{part[5:]}",
    "a wide digit": lambda part: f"{part[:4]}\N{FULLWIDTH DIGIT ONE}{part[5:]}",
}


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
async def test_no_modified_form_of_a_signed_token_is_accepted(algorithm: str) -> None:
    key = key_of(algorithm)
    assert await refusal(key.sign(CLAIMS, {}), key.public_jwk) is None
    assert await accepted(modified_forms(key), key.public_jwk) == set()


async def test_unused_bits_of_a_part_are_not_free() -> None:
    key = key_of("EdDSA")
    head, payload, signature = key.sign(CLAIMS, {}).split(".")
    # 64 bytes end in a character of which two bits count: three others decode to the same bytes.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    place = alphabet.index(signature[-1])
    for others in (1, 2, 3):
        error = await refusal(f"{head}.{payload}.{signature[:-1]}{alphabet[place + others]}", key.public_jwk)
        assert isinstance(error, TokenMalformed)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
async def test_a_signature_of_another_algorithm_is_refused_whatever_the_header_says(algorithm: str) -> None:
    key = key_of(algorithm)
    vectors = {}
    for other in sorted(ALGORITHMS - {algorithm}):
        vectors[f"{other} under {algorithm}"] = key_of(other).sign(CLAIMS, {"alg": algorithm, "kid": key.kid})
        vectors[f"{algorithm} under {other}"] = key.sign(CLAIMS, {"alg": other})
    assert await accepted(vectors, key.public_jwk) == set()


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
async def test_special_values_of_an_ecdsa_signature_are_refused(algorithm: str) -> None:
    order = ORDERS[algorithm]
    size = (order.bit_length() + 7) // 8
    head = key_of(algorithm).sign(CLAIMS, {})
    signing_input, _, text = head.rpartition(".")
    raw = jws.decode(text, "signature")
    r, s = int.from_bytes(raw[:size]), int.from_bytes(raw[size:])

    def signed(r: int, s: int, r_size: int = size, s_size: int = size) -> str:
        return f"{signing_input}.{jws.encode(r.to_bytes(r_size) + s.to_bytes(s_size))}"

    edges = {"0": 0, "1": 1, "n-1": order - 1, "n": order, "greatest": 256**size - 1}
    vectors = {f"r={a} s={b}": signed(edges[a], edges[b]) for a in edges for b in edges}
    vectors |= {
        "swapped": signed(s, r),
        "a wider s": signed(r, s, s_size=size + 1),
        "a wider r": signed(r, s, r_size=size + 1),
        "both wider": signed(r, s, size + 1, size + 1),
        "r and n": signed(r + order, s, r_size=size + 1, s_size=size + 1),
        "s and n": signed(r, s + order, r_size=size + 1, s_size=size + 1),
        "DER": f"{signing_input}.{jws.encode(encode_dss_signature(r, s))}",
    }
    public = key_of(algorithm).public_jwk
    assert await accepted(vectors, public) == set()
    # The one other value that is as good shows that the order above is the curve's.
    assert await refusal(signed(r, order - s), public) is None


async def test_an_eddsa_signature_has_one_form() -> None:
    signing_input, _, text = key_of("EdDSA").sign(CLAIMS, {}).rpartition(".")
    raw = jws.decode(text, "signature")
    s = int.from_bytes(raw[32:], "little")

    def signed(signature: bytes) -> str:
        return f"{signing_input}.{jws.encode(signature)}"

    vectors = {
        f"s and {times} times the order": signed(raw[:32] + value.to_bytes(32, "little"))
        for times in range(1, 16)
        if (value := s + times * ORDERS["EdDSA"]) < 2**256
    } | {
        "another sign of R": signed(raw[:31] + bytes([raw[31] ^ 0x80]) + raw[32:]),
        "R of small order, s zero": signed(bytes([1]) + bytes(63)),
    }
    assert len(vectors) > 10
    assert await accepted(vectors, key_of("EdDSA").public_jwk) == set()


# DigestInfo of SHA-256 (RFC 8017 §9.2) without the digest, and forms that a loose parser takes for it.
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
OTHER_INFOS = {
    "no digest info": b"",
    "no NULL": bytes.fromhex("302f300b0609608648016503040201" + "0420"),
    "a length in the long form": bytes.fromhex("308131300d060960864801650304020105000420"),
    "a length with a leading zero": bytes.fromhex("30820031300d060960864801650304020105000420"),
    "a length too great": bytes.fromhex("3032300d060960864801650304020105000420"),
    "an indefinite length": bytes.fromhex("3080300d060960864801650304020105000420"),
    "another tag": bytes.fromhex("3131300d060960864801650304020105000420"),
    "SHA-1's name": bytes.fromhex("3021300906052b0e03021a05000414"),
    "SHA-384's name": bytes.fromhex("3041300d060960864801650304020205000430"),
}


async def test_a_pkcs1_signature_has_one_padding() -> None:
    pair: rsa.RSAPrivateKey = private("RS256")
    modulus, exponent = pair.public_key().public_numbers().n, pair.private_numbers().d
    size = (modulus.bit_length() + 7) // 8

    def signed(make: Callable[[bytes], bytes]) -> str:
        def signature(signing_input: bytes) -> bytes:
            block = make(hashlib.sha256(signing_input).digest())
            return int.to_bytes(pow(int.from_bytes(block), exponent, modulus), size)

        return resigned("RS256", signature)

    def padded(info: bytes, fill: bytes = b"\xff", kind: bytes = b"\x01") -> bytes:
        return b"\x00" + kind + fill * (size - 3 - len(info)) + b"\x00" + info

    def padded_after(info: bytes, digest: bytes) -> bytes:
        return padded(info + digest)

    def cut(digest: bytes) -> bytes:
        """Eight bytes of padding, and what is free behind the digest (Bleichenbacher's forgery of 2006)."""
        return (b"\x00\x01" + b"\xff" * 8 + b"\x00" + SHA256_INFO + digest).ljust(size, b"\x00")

    public = key_of("RS256").public_jwk
    assert await refusal(signed(lambda digest: padded(SHA256_INFO + digest)), public) is None
    vectors = {name: signed(partial(padded_after, info)) for name, info in OTHER_INFOS.items()}
    vectors |= {
        "padding of encryption": signed(lambda digest: padded(SHA256_INFO + digest, kind=b"\x02")),
        "padding of zeros": signed(lambda digest: padded(SHA256_INFO + digest, fill=b"\x00", kind=b"\x00")),
        "another fill": signed(lambda digest: padded(SHA256_INFO + digest, fill=b"\xfe")),
        "something behind the digest": signed(lambda digest: padded(SHA256_INFO + digest + b"\x00")),
        "short padding": signed(cut),
        "digest cut": signed(lambda digest: padded(SHA256_INFO + digest[:-1])),
        "no padding": signed(lambda digest: digest.rjust(size, b"\x00")),
    }
    assert await accepted(vectors, public) == set()


async def test_a_pss_signature_has_one_salt_length_hash_and_mask() -> None:
    pair: rsa.RSAPrivateKey = private("PS256")
    sha256, sha384, sha1 = hashes.SHA256(), hashes.SHA384(), hashes.SHA1()

    def signed(salt: int, hash_: hashes.HashAlgorithm, mask: hashes.HashAlgorithm) -> str:
        return resigned("PS256", lambda data: pair.sign(data, padding.PSS(padding.MGF1(mask), salt), hash_))

    public = key_of("PS256").public_jwk
    assert await refusal(signed(32, sha256, sha256), public) is None
    vectors = {f"salt of {salt}": signed(salt, sha256, sha256) for salt in (0, 20, 31, 33, 222)} | {
        "SHA-384": signed(48, sha384, sha384),
        "SHA-384, salt of 32": signed(32, sha384, sha384),
        "SHA-1": signed(20, sha1, sha1),
        "mask with SHA-1": signed(32, sha256, sha1),
        "PKCS #1 v1.5": resigned("PS256", lambda data: pair.sign(data, padding.PKCS1v15(), sha256)),
    }
    assert await accepted(vectors, public) == set()


def odd_keys(jwk: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What no key of a set may be, made from one that may."""
    changes: dict[str, dict[str, Any]] = {
        "use enc": {"use": "enc"},
        "use of another case": {"use": "SIG"},
        "use null": {"use": None},
        "key_ops encrypt": {"key_ops": ["encrypt"]},
        "key_ops sign": {"key_ops": ["sign"]},
        "key_ops empty": {"key_ops": []},
        "key_ops text": {"key_ops": "verify"},
        "no alg": {"alg": None},
        "alg of another case": {"alg": jwk["alg"].lower()},
        "alg unknown": {"alg": "ES224"},
        "alg misspelt": {"alg": "ES521"},
        "alg of encryption": {"alg": "RSA1_5"},
        "alg symmetric": {"alg": "HS256"},
        "alg AES": {"alg": "A256GCM"},
        "alg none": {"alg": "none"},
        "kty oct": {"kty": "oct", "k": jws.encode(bytes(32))},
        "kty missing": {"kty": None},
        "kid a number": {"kid": 7},
        "private": {"d": jws.encode(bytes(32))},
    }
    for name, change in changes.items():
        yield name, {
            member: value
            for member, value in {**jwk, **change}.items()
            if value is not None or member == "use"
        }
    for other in ("EC", "RSA", "OKP"):
        if other != jwk["kty"]:
            yield f"kty {other}", {**jwk, "kty": other}
    for curve in ("P-256", "P-384", "P-521", "secp256k1", "Ed25519", "Ed448", "X25519"):
        if "crv" in jwk and curve != jwk["crv"]:
            yield f"crv {curve}", {**jwk, "crv": curve}
    for member in ("x", "y", "n"):
        if member in jwk:
            raw = jws.decode(jwk[member], member)
            yield f"{member} cut", {**jwk, member: jws.encode(raw[:-1])}
            yield f"{member} empty", {**jwk, member: ""}
            yield f"{member} a number", {**jwk, member: 7}
            yield f"no {member}", {name: value for name, value in jwk.items() if name != member}
    if jwk["kty"] == "EC":
        size = len(jws.decode(jwk["y"], "y"))
        yield "off the curve", {**jwk, "y": jws.encode(bytes(size - 1) + b"\x01")}
        yield "at infinity", {**jwk, "x": jws.encode(bytes(size)), "y": jws.encode(bytes(size))}
    if jwk["kty"] == "RSA":
        for exponent in (0, 1, 2, 65536, 2**65 + 1):
            yield f"exponent {exponent}", {
                **jwk,
                "e": jws.encode(exponent.to_bytes(9).lstrip(b"\0") or b"\0"),
            }
        modulus = int.from_bytes(jws.decode(jwk["n"], "n"))
        yield "modulus short", {**jwk, "n": jws.encode((modulus >> 1024).to_bytes(128))}
        yield "modulus huge", {**jwk, "n": jws.encode(b"\x01" + bytes(2048) + b"\x01")}


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
async def test_a_key_that_is_unfit_verifies_nothing_and_spoils_nothing(algorithm: str) -> None:
    key = key_of(algorithm)
    token = key.sign(CLAIMS, {})
    other = key_of("ES256" if algorithm != "ES256" else "EdDSA")
    for use in ({}, {"use": "sig"}, {"key_ops": ["verify"]}, {"use": "sig", "key_ops": ["sign", "verify"]}):
        assert await refusal(token, {**key.public_jwk, **use}) is None
    for name, odd in odd_keys(key.public_jwk):
        assert isinstance(await refusal(token, odd), KeyUnknown), name
        assert await refusal(other.sign(CLAIMS, {}), odd, other.public_jwk) is None, name


async def test_an_rsa_key_of_1024_bits_verifies_nothing_though_its_signature_is_good() -> None:
    pair = rsa.generate_private_key(65537, 1024)
    weak = IssuerKey("RS256", {**RSAAlgorithm.to_jwk(pair, as_dict=True), "alg": "RS256", "kid": "weak"})
    public = {name: value for name, value in weak.public_jwk.items() if name != "key_ops"}
    assert isinstance(await refusal(weak.sign(CLAIMS, {}), public), KeyUnknown)


def roca_prime() -> int:
    """A prime of 1024 bits as the flawed generator made them: a power of 65537 modulo many small primes."""
    product = math.prod(ROCA_PRIMES)
    residue = pow(65537, secrets.randbits(64), product)
    while True:
        candidate = (
            secrets.randbits(1024 - product.bit_length()) | 3 << 1022 - product.bit_length()
        ) * product + residue
        if candidate.bit_length() == 1024 and pow(2, candidate - 1, candidate) == 1:
            return candidate


async def test_an_rsa_key_of_the_flawed_generator_verifies_nothing() -> None:
    p, q = roca_prime(), roca_prime()
    d = pow(65537, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(65537, p * q)
    )
    jwk = RSAAlgorithm.to_jwk(numbers.private_key(), as_dict=True)
    flawed = IssuerKey("RS256", {**jwk, "key_ops": ["sign", "verify"], "alg": "RS256", "kid": "flawed"})
    assert isinstance(await refusal(flawed.sign(CLAIMS, {}), flawed.public_jwk), KeyUnknown)


async def test_of_two_keys_with_one_kid_neither_is_guessed() -> None:
    first, second = key_of("EdDSA"), IssuerKey("EdDSA")
    twin = {**second.public_jwk, "kid": first.kid}
    assert isinstance(await refusal(first.sign(CLAIMS, {}), first.public_jwk, twin), KeyUnknown)
    assert await refusal(first.sign(CLAIMS, {}), first.public_jwk, first.public_jwk) is None


@pytest.mark.parametrize("size", [0, 16, 32, 64])
async def test_a_symmetric_key_in_a_set_verifies_nothing(size: int) -> None:
    secret = bytes(range(size))
    jwk = {"kty": "oct", "alg": "HS256", "use": "sig", "kid": "shared", "k": jws.encode(secret)}
    signing_input = f"{json_part({'alg': 'HS256', 'kid': 'shared'})}.{json_part(CLAIMS)}"
    token = f"{signing_input}.{jws.encode(hmac.digest(secret, signing_input.encode(), 'sha256'))}"
    for others in ([], [key_of("ES256").public_jwk]):
        assert isinstance(await refusal(token, jwk, *others), AlgorithmRefused)
