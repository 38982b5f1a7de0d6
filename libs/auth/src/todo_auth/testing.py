"""An issuer of Better Auth's kind for tests and development: real keys, real signatures, no network needed.

In a test, in-process:

    issuer = Issuer("http://issuer.test")
    verifier = Verifier(issuer.trusted())
    identity = await verifier.verify(issuer.token("ann"))

On a port, with Better Auth's endpoints and users that sign up: `python -m todo_auth.testing --port 3000`.

Task: T-011 · Spec: plan.md#testing-issuer
"""

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from todo_auth import jws
from todo_auth.jwks import KeySet, canonical_algorithm
from todo_auth.verifier import TrustedIssuer

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_MAKERS: Mapping[str, Callable[[], PrivateKey]] = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "PS256": lambda: rsa.generate_private_key(65537, 2048),
}


class IssuerKey:
    """A key pair of an issuer. `private_jwk` has the whole pair, `public_jwk` what the key set shows."""

    def __init__(self, algorithm: str = "EdDSA", private_jwk: Mapping[str, Any] | None = None) -> None:
        """Makes a pair for EdDSA (or `Ed25519`), ES256, ES384, ES512, RS256 or PS256, or takes a kept one."""
        if private_jwk is None:
            maker = _MAKERS[canonical_algorithm(algorithm)]
            handler: Any = get_default_algorithms()[canonical_algorithm(algorithm)]
            pair = handler.to_jwk(maker(), as_dict=True)
            pair.pop("key_ops", None)
            private_jwk = {**pair, "alg": algorithm, "kid": secrets.token_hex(16)}
        self.private_jwk = dict(private_jwk)
        self.algorithm = str(self.private_jwk["alg"])
        self.kid = str(self.private_jwk["kid"])
        self._pair = jwt.PyJWK(self.private_jwk, algorithm=canonical_algorithm(self.algorithm))

    @property
    def public_jwk(self) -> dict[str, Any]:
        """The public half, with the members that Better Auth shows: no `use`."""
        return {name: self.private_jwk[name] for name in self.private_jwk if name not in _PRIVATE_MEMBERS}

    def sign(self, payload: Mapping[str, Any], header: Mapping[str, Any]) -> str:
        """A compact JWS by this key's algorithm, whatever `header` says. `None` takes a member out."""
        members = {"alg": self.algorithm, "kid": self.kid, **header}
        kept = {name: value for name, value in members.items() if value is not None}
        signing_input = ".".join(jws.encode(json.dumps(value).encode()) for value in (kept, payload))
        signature = self._pair.Algorithm.sign(signing_input.encode(), self._pair.key)
        return f"{signing_input}.{jws.encode(signature)}"


_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})


class Clock:
    """A clock that stands still until it is moved, for what takes `now` and `sleep`. `moment`: in seconds."""

    def __init__(self, moment: float = 1_800_000_000) -> None:
        self.moment = moment

    def __call__(self) -> float:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        """Passes the time at once."""
        self.moment += seconds


class Issuer:
    """An issuer at `base_url`, which is its `iss` and `aud`. It has one key at first; `rotate` and `withdraw`
    change the set.

    Faults for what fetches its keys in-process: `down` (refused), `answer` (any status and body instead of
    the key set), and `gate` (a fetch waits until it is set). `fetches` counts.
    """

    def __init__(
        self,
        base_url: str = "http://issuer.test",
        algorithm: str = "EdDSA",
        now: Callable[[], float] = time.time,
    ) -> None:
        self.base_url = base_url
        self.keys = [IssuerKey(algorithm)]
        self.down = False
        self.answer: tuple[int, bytes] | None = None
        self.gate: asyncio.Event | None = None
        self.fetches = 0
        self._now = now

    def rotate(self, algorithm: str = "EdDSA") -> IssuerKey:
        """Signs with a new key from now on; the old ones stay in the set."""
        self.keys.insert(0, IssuerKey(algorithm))
        return self.keys[0]

    def withdraw(self, key: IssuerKey) -> None:
        """Takes a key out of the set; it can still sign."""
        self.keys.remove(key)

    def jwks(self) -> dict[str, Any]:
        """The key set, as Better Auth answers it."""
        return {"keys": [key.public_jwk for key in self.keys]}

    def claims(self, user_id: str = "ann", **changes: object) -> dict[str, Any]:
        """Better Auth's default payload. A change to `None` takes the claim out."""
        now = int(self._now())
        claims = {
            "iat": now,
            "name": user_id,
            "email": f"{user_id}@example.com",
            "emailVerified": False,
            "image": None,
            "id": user_id,
            "sub": user_id,
            "exp": now + 900,
            "iss": self.base_url,
            "aud": self.base_url,
        }
        claims.update(changes)
        return {name: value for name, value in claims.items() if value is not None or name == "image"}

    def token(
        self,
        user_id: str = "ann",
        *,
        key: IssuerKey | None = None,
        header: Mapping[str, object] | None = None,
        **claims: object,
    ) -> str:
        """A signed token: Better Auth's default one, with claims and header members changed or (by `None`)
        left out.
        """
        return (key or self.keys[0]).sign(self.claims(user_id, **claims), header or {})

    def trusted(self, *, secret: str | None = None, **key_set: Any) -> TrustedIssuer:
        """What a `Verifier` takes to trust this issuer in-process. `key_set`: settings of `KeySet`."""
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._serve))
        keys = KeySet(f"{self.base_url}/api/auth/jwks", client=client, **key_set)
        return TrustedIssuer(self.base_url, frozenset({self.base_url}), keys, secret)

    async def _serve(self, request: httpx.Request) -> httpx.Response:
        self.fetches += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        if self.answer is not None:
            return httpx.Response(self.answer[0], content=self.answer[1])
        return httpx.Response(200, content=json.dumps(self.jwks()).encode())


if __name__ == "__main__":
    from todo_auth.development import main

    main()
