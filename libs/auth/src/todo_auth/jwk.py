"""One public key of a key set, bound to the one algorithm it verifies.

Task: T-007 · Spec: plan.md#key-set
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from jwt.algorithms import Algorithm

from todo_auth import jws
from todo_auth.errors import TokenMalformed

_log = logging.getLogger(__name__)

# What a key of each algorithm must be (RFC 7518 §6, RFC 8037 §2); RFC 9864 names EdDSA by its curve.
_KEY_SHAPES: Mapping[str, tuple[str, str | None]] = {
    "EdDSA": ("OKP", "Ed25519"),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "RS256": ("RSA", None),
    "PS256": ("RSA", None),
}
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 16384
# The RSA generator of CVE-2017-15361 (ROCA) made every modulus a power of 65537 modulo each of these primes;
# of other moduli one in 2 * 10**8 is (Nemec and others, "The Return of Coppersmith's Attack", CCS 2017).
_ROCA_RESIDUES = {
    prime: frozenset(pow(65537, power, prime) for power in range(prime))
    for prime in (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
}
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_COORDINATE_BYTES = {"P-256": 32, "P-384": 48, "P-521": 66}

_Y_MASK = (1 << 255) - 1
_P = 2**255 - 19
_Y8 = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
# The y coordinates of the points of order 4, 1, 2 and 8 on edwards25519: under such a key anyone can sign.
_LOW_ORDER_Y = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})

ALGORITHMS = frozenset(_KEY_SHAPES)

Jwk = Mapping[str, object]


def canonical_algorithm(name: str) -> str:
    """`Ed25519` (RFC 9864) is what `EdDSA` means here; every other name is its own."""
    return "EdDSA" if name == "Ed25519" else name


class KeyRefused(ValueError):
    """A member of a key set that cannot be used; the text says why."""


@dataclass(slots=True, eq=False)
class SigningKey:
    """A public key bound to the one algorithm it verifies. `withdrawn`: it has left its set, and what it
    signed is no longer believed.
    """

    key_id: str | None
    algorithm: str
    withdrawn: bool = field(default=False, init=False)
    _public: object
    _verifier: Algorithm

    @classmethod
    def from_jwk(cls, jwk: Jwk) -> "SigningKey":
        """Reads a JWK (RFC 7517 §4). Raises KeyRefused for a key without `alg`, of another use, private,
        weak, or not fit for its algorithm.
        """
        name = jwk.get("alg")
        if not isinstance(name, str):
            raise KeyRefused("it has no alg")
        algorithm = canonical_algorithm(name)
        if algorithm not in _KEY_SHAPES:
            raise KeyRefused(f"alg {name[:32]!r} is not one that is verified with a key set")
        key_type, curve = _KEY_SHAPES[algorithm]
        if jwk.get("kty") != key_type or (curve is not None and jwk.get("crv") != curve):
            raise KeyRefused(f"kty or crv does not fit {name}")
        if jwk.get("use", "sig") != "sig":
            raise KeyRefused("its use is not sig")
        operations = jwk.get("key_ops", ["verify"])
        if not isinstance(operations, list) or "verify" not in operations:
            raise KeyRefused("its key_ops do not include verify")
        if not _PRIVATE_MEMBERS.isdisjoint(jwk):
            raise KeyRefused("it is a private or a secret key")
        key_id = jwk.get("kid")
        if key_id is not None and not isinstance(key_id, str):
            raise KeyRefused("its kid is not a string")
        _check_strength(jwk, key_type)
        try:
            parsed = jwt.PyJWK(dict(jwk), algorithm=algorithm)
        except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError) as error:
            raise KeyRefused(f"it cannot be read ({type(error).__name__})") from None
        return cls(key_id, algorithm, parsed.key, parsed.Algorithm)

    def is_same_key(self, other: "SigningKey") -> bool:
        """Whether both hold one public key, however their members are written."""
        return self.algorithm == other.algorithm and self._public == other._public

    def verifies(self, signing_input: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's over those bytes."""
        try:
            return bool(self._verifier.verify(signing_input, self._public, signature))
        except (jwt.PyJWTError, ValueError):
            return False


def read_key_set(document: bytes) -> dict[str, Jwk]:
    """The members of a JWK Set (RFC 7517 §5), each under its own canonical text. Raises ValueError when it is
    no key set.
    """
    return distinct_members(jws.strict_json(document))


def distinct_members(value: object) -> dict[str, Jwk]:
    """What `read_key_set` gives, of a document that has been parsed already."""
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list):
        raise ValueError("it is not a JSON object with a list of keys")
    members: dict[str, Jwk] = {}
    for jwk in keys:
        if isinstance(jwk, dict):
            members[repr(sorted(jwk.items()))] = jwk
        else:
            _log.warning("a member of the key set is skipped: it is not an object")
    return members


def _check_strength(jwk: Jwk, key_type: str) -> None:
    """RSA of at least 2048 bits with a sound exponent (RFC 7518 §3.3), not of the generator whose factors
    can be found (CVE-2017-15361); coordinates of an elliptic curve in full length (§6.2.1.2); no Ed25519
    key of small order or in a non-canonical form (RFC 8032 §5.1.3). That a point is on its curve is for the
    library that makes the key.
    """
    if key_type == "RSA":
        modulus = int.from_bytes(_octets(jwk, "n"))
        exponent = int.from_bytes(_octets(jwk, "e"))
        if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
            raise KeyRefused(f"its modulus is not of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")
        if exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > 64:
            raise KeyRefused("its exponent is not an odd number of 3 to 2**64")
        if all(modulus % prime in residues for prime, residues in _ROCA_RESIDUES.items()):
            raise KeyRefused("it is of the flawed generator of CVE-2017-15361")
    elif key_type == "EC":
        length = _COORDINATE_BYTES[str(jwk["crv"])]
        if len(_octets(jwk, "x")) != length or len(_octets(jwk, "y")) != length:
            raise KeyRefused(f"its coordinates are not of {length} bytes")
    else:
        point = _octets(jwk, "x")
        y = int.from_bytes(point, "little") & _Y_MASK
        if len(point) != 32 or y >= _P or y in _LOW_ORDER_Y:
            raise KeyRefused("its point is malformed or of small order")


def _octets(jwk: Jwk, name: str) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise KeyRefused(f"its {name} is not a string")
    try:
        return jws.decode(value, name)
    except TokenMalformed as error:
        raise KeyRefused(str(error)) from None
