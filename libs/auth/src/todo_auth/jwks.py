"""One issuer's keys: fetched, cached, rotated.

Task: T-007 · Spec: plan.md#key-set
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import httpx
import jwt
from jwt.algorithms import Algorithm

from todo_auth import jws
from todo_auth.errors import KeysUnavailable, KeyUnknown, TokenMalformed

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
MAX_KEY_SET_BYTES = 512 * 1024

_Y_MASK = (1 << 255) - 1
_P = 2**255 - 19
_Y8 = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
# The y coordinates of the points of order 4, 1, 2 and 8 on edwards25519: under such a key anyone can sign.
_LOW_ORDER_Y = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})

ALGORITHMS = frozenset(_KEY_SHAPES)


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
    def from_jwk(cls, jwk: Mapping[str, object]) -> "SigningKey":
        """Reads a JWK (RFC 7517 §4). Raises KeyRefused for a key without `alg`, of another use, private,
        weak, or not fit for its algorithm.
        """
        name = jwk.get("alg")
        if not isinstance(name, str):
            raise KeyRefused("it has no alg")
        algorithm = canonical_algorithm(name)
        if algorithm not in _KEY_SHAPES:
            raise KeyRefused(f"alg {name!r} is not one that is verified with a key set")
        key_type, curve = _KEY_SHAPES[algorithm]
        if jwk.get("kty") != key_type or (curve is not None and jwk.get("crv") != curve):
            raise KeyRefused(f"kty or crv does not fit {name}")
        if jwk.get("use", "sig") != "sig":
            raise KeyRefused("its use is not sig")
        operations = jwk.get("key_ops", ["verify"])
        if not isinstance(operations, list) or "verify" not in operations:
            raise KeyRefused("its key_ops do not include verify")
        if "d" in jwk:
            raise KeyRefused("it is a private key")
        key_id = jwk.get("kid")
        if key_id is not None and not isinstance(key_id, str):
            raise KeyRefused("its kid is not a string")
        _check_strength(jwk, key_type)
        try:
            parsed = jwt.PyJWK(dict(jwk), algorithm=algorithm)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise KeyRefused(f"it cannot be read ({type(error).__name__})") from None
        return cls(key_id, algorithm, parsed.key, parsed.Algorithm)

    def verifies(self, signing_input: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's over those bytes."""
        try:
            return bool(self._verifier.verify(signing_input, self._public, signature))
        except (jwt.PyJWTError, ValueError):
            return False


def read_key_set(document: bytes) -> dict[str, Mapping[str, object]]:
    """The members of a JWK Set (RFC 7517 §5), each under its own canonical text. Raises ValueError when it is
    no key set.
    """
    value = jws.strict_json(document)
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list):
        raise ValueError("it is not a JSON object with a list of keys")
    members: dict[str, Mapping[str, object]] = {}
    for jwk in keys:
        if isinstance(jwk, dict):
            members[repr(sorted(jwk.items(), key=lambda item: item[0]))] = jwk
        else:
            _log.warning("a member of the key set is skipped: it is not an object")
    return members


class KeySet:
    """The keys at one address, so kept that requests do not wait for the issuer.

    `refresh_s`: they are fetched again in the background at this age (with up to a tenth less, so that many
    processes spread out), which is also how soon a withdrawn key is noticed. `max_stale_s`: for how long
    known keys are believed while the issuer does not answer. `retry_s`: at most one fetch begins in this
    time, however many tokens name keys that are not known. `timeout_s`: of one fetch, altogether.
    """

    def __init__(
        self,
        url: str,
        *,
        client: httpx.AsyncClient | None = None,
        refresh_s: float = 240,
        max_stale_s: float = 24 * 3600,
        retry_s: float = 1,
        timeout_s: float = 3,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.url = url
        self._client = client
        self._owns_client = client is None
        self._refresh_s = refresh_s
        self._max_stale_s = max_stale_s
        self._retry_s = retry_s
        self._timeout_s = timeout_s
        self._now = now
        self._sleep = sleep
        self._keys: dict[str, SigningKey] = {}
        self._refused: set[str] = set()
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._due_at = 0.0
        self._failures = 0
        self._current: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def age_s(self) -> float | None:
        """Seconds since the keys were last had; None before the first time."""
        return None if self._fetched_at is None else self._now() - self._fetched_at

    @property
    def is_usable(self) -> bool:
        """Whether the keys were had, and not too long ago."""
        return self._fetched_at is not None and self._now() - self._fetched_at <= self._max_stale_s

    def known(self, key_id: str | None, algorithm: str) -> SigningKey | None:
        """The key for a token, if it is here now; without `kid` only where exactly one key fits. Never waits;
        begins a refresh in the background when it is due.
        """
        if not self.is_usable:
            return None
        if self._now() >= self._due_at:
            self._begin()
        fitting = [
            key
            for key in self._keys.values()
            if key.algorithm == algorithm and (key_id is None or key.key_id == key_id)
        ]
        return fitting[0] if len(fitting) == 1 else None

    async def find(self, key_id: str | None, algorithm: str) -> SigningKey:
        """The key for a token, after a fetch that began later than this call if it is not known.

        Raises KeyUnknown when the set, so fetched, has none, and KeysUnavailable when it could not be
        fetched.
        """
        if (key := self.known(key_id, algorithm)) is not None:
            return key
        if self._current is not None:
            # It may have begun too early to see the key; but mostly it is the first fetch, and everybody's.
            await asyncio.shield(self._current)
            if (key := self.known(key_id, algorithm)) is not None:
                return key
        if self._failures and not self._may_try():
            raise KeysUnavailable("the issuer's keys could not be fetched a moment ago")
        await self.refresh()
        if (key := self.known(key_id, algorithm)) is not None:
            return key
        if self._failures:
            raise KeysUnavailable("the issuer's keys could not be fetched")
        raise KeyUnknown(f"no key of the set fits kid and {algorithm}")

    async def refresh(self) -> None:
        """Waits for a fetch that begins after this call, shared with everyone who waits for the same one. Its
        failure is kept and logged, not raised.
        """
        if self._current is None and self._may_try():
            task = self._begin()
        elif self._next is not None:
            task = self._next
        else:
            task = self._next = asyncio.ensure_future(self._fetch_later())
        await asyncio.shield(task)

    async def aclose(self) -> None:
        """Ends what runs in the background, and the HTTP client if it was made here."""
        tasks = [task for task in (self._current, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Last, since a fetch that is cancelled schedules the next one as it ends.
        if self._timer is not None:
            self._timer.cancel()
        if self._owns_client and self._client is not None:
            await self._client.aclose()
            self._client = None

    def _may_try(self) -> bool:
        return self._tried_at is None or self._now() - self._tried_at >= self._retry_s

    def _begin(self) -> asyncio.Task[None]:
        """The fetch that runs, begun if there is none."""
        if self._current is None:
            self._tried_at = self._now()
            self._current = asyncio.ensure_future(self._fetch())
        return self._current

    async def _fetch_later(self) -> None:
        """One fetch after the one that runs and after the interval; everybody who comes meanwhile waits for
        it.
        """
        if self._current is not None:
            await asyncio.shield(self._current)
        if self._tried_at is not None:
            await self._sleep(max(0.0, self._tried_at + self._retry_s - self._now()))
        self._next = None
        await asyncio.shield(self._begin())

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                self._replace(read_key_set(await self._download()))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
            self._failures += 1
            _log.warning("the issuer's keys could not be fetched (%s: %s)", type(error).__name__, error)
        else:
            self._failures = 0
            self._fetched_at = self._now()
        finally:
            self._current = None
            self._schedule()

    def _schedule(self) -> None:
        """The next refresh in the background: at its age, or sooner and sooner less often while the issuer
        fails.
        """
        if self._timer is not None:
            self._timer.cancel()
        delay = self._refresh_s
        if self._failures:
            delay = min(delay, self._retry_s * 2.0 ** min(self._failures, 16))
        delay *= random.uniform(0.9, 1.0)
        self._due_at = self._now() + delay
        self._timer = asyncio.get_running_loop().call_later(delay, self._begin)

    async def _download(self) -> bytes:
        """The document at the address: 200 only, no redirect, at most 512 KiB."""
        if self._client is None:
            self._client = httpx.AsyncClient(follow_redirects=False, timeout=self._timeout_s)
        headers = {"Accept": "application/json"}
        async with self._client.stream("GET", self.url, headers=headers, follow_redirects=False) as response:
            if response.status_code != 200:
                raise ValueError(f"status {response.status_code}")
            document = bytearray()
            async for chunk in response.aiter_bytes():
                document += chunk
                if len(document) > MAX_KEY_SET_BYTES:
                    raise ValueError(f"more than {MAX_KEY_SET_BYTES} bytes")
            return bytes(document)

    def _replace(self, members: Mapping[str, Mapping[str, object]]) -> None:
        """Keeps the keys that stay, so that what they verified stays remembered, and withdraws those that
        have gone.
        """
        keys: dict[str, SigningKey] = {}
        refused: set[str] = set()
        for text, jwk in members.items():
            try:
                keys[text] = self._keys.get(text) or SigningKey.from_jwk(jwk)
            except KeyRefused as error:
                refused.add(text)
                if text not in self._refused:
                    _log.warning("key %r of the set is skipped: %s", jwk.get("kid"), error)
        for text, key in self._keys.items():
            key.withdrawn = text not in keys
        self._keys, self._refused = keys, refused


def _check_strength(jwk: Mapping[str, object], key_type: str) -> None:
    """RSA of at least 2048 bits with a sound exponent (RFC 7518 §3.3); no Ed25519 key of small order or in a
    non-canonical form (RFC 8032 §5.1.3).
    """
    try:
        if key_type == "RSA":
            modulus = int.from_bytes(jws.decode(str(jwk.get("n")), "n"))
            exponent = int.from_bytes(jws.decode(str(jwk.get("e")), "e"))
            if not MIN_RSA_BITS <= modulus.bit_length() <= 16384:
                raise KeyRefused(f"its modulus is not of {MIN_RSA_BITS} to 16384 bits")
            if exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > 64:
                raise KeyRefused("its exponent is not an odd number from 3 on")
        elif key_type == "OKP":
            point = jws.decode(str(jwk.get("x")), "x")
            y = int.from_bytes(point, "little") & _Y_MASK
            if len(point) != 32 or y >= _P or y in _LOW_ORDER_Y:
                raise KeyRefused("its point is malformed or of small order")
    except TokenMalformed as error:
        raise KeyRefused(str(error)) from None
