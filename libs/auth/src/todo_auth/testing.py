"""An issuer of Better Auth's kind for tests and development: real keys, real signatures, no network needed.

In a test, in-process:

    issuer = Issuer("http://issuer.test")
    verifier = Verifier(issuer.trusted())
    identity = await verifier.verify(issuer.token("ann"))

    issuer.token("ann", exp=1)                    # any claims and header; None takes one out
    issuer.token("ann", secret=SHARED_SECRET)     # HS256
    issuer.rotate("ES256")                        # signs with a new key; issuer.withdraw(old)
    issuer.answer = HTML                          # or GARBAGE, huge(), redirect("/"), (500, b"")
    issuer.down = True

On a free port, with Better Auth's endpoints and the same faults:

    with serving(issuer) as url:                  # from todo_auth.development
        session = issuer.open_session("ann")      # a bearer token for {url}/api/auth/token

With pytest the fixtures `better_auth_issuer` and `better_auth_server` are there (pytest_todo_auth). For
development, with users that sign up: `python -m todo_auth.testing --port 3000`.

Task: T-011 · Spec: plan.md#testing-issuer
"""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from todo_auth import jws
from todo_auth.issuers import TrustedIssuer
from todo_auth.jwk import canonical_algorithm
from todo_auth.jwks import KeySet

SESSION_COOKIE = "better-auth.session_token"

Answer = tuple[int, bytes] | tuple[int, bytes, Mapping[str, str]]
"""Status, body and headers of an HTTP answer."""

GARBAGE: Answer = (200, b'{"keys":[\xff', {"Content-Type": "application/json"})
HTML: Answer = (200, b"<!DOCTYPE html><title>Sign in</title>", {"Content-Type": "text/html; charset=utf-8"})


def huge(size: int = 50_000_000) -> Answer:
    """An answer of that many bytes, which would be JSON if anyone read it all."""
    return (200, b'{"keys":[]' + b" " * (size - 11) + b"}", {"Content-Type": "application/json"})


def redirect(location: str, status: int = 302) -> Answer:
    """An answer that leads elsewhere."""
    return (status, b"", {"Location": location})


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
        return _compact(members, payload, lambda data: self._pair.Algorithm.sign(data, self._pair.key))


_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})


def _compact(
    header: Mapping[str, object], payload: Mapping[str, object], sign: Callable[[bytes], bytes]
) -> str:
    kept = {name: value for name, value in header.items() if value is not None}
    signing_input = ".".join(jws.encode(json.dumps(value).encode()) for value in (kept, payload))
    return f"{signing_input}.{jws.encode(sign(signing_input.encode()))}"


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

    Faults, in-process and on a port alike. `down`: connections are refused (on a port, closed without an
    answer). `answer`: any status, body and headers instead of the key set. `gate`: a fetch waits until it is
    set, which is how slow an issuer is. `fetches` counts how often the key set was asked for.
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
        self.answer: Answer | None = None
        self.gate: asyncio.Event | None = None
        self.fetches = 0
        self._sessions: dict[str, str] = {}
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
        secret: str | None = None,
        header: Mapping[str, object] | None = None,
        **claims: object,
    ) -> str:
        """A signed token: Better Auth's default one, with claims and header members changed or (by `None`)
        left out. `secret`: signed with it (HS256, no `kid`) instead of a key.
        """
        payload = self.claims(user_id, **claims)
        if secret is None:
            return (key or self.keys[0]).sign(payload, header or {})
        raw = secret.encode()
        members = {"alg": "HS256", **(header or {})}
        return _compact(members, payload, lambda data: hmac.digest(raw, data, hashlib.sha256))

    def open_session(self, user_id: str = "ann") -> str:
        """A new session's opaque token, which `/token` exchanges for a JWT until `end_session`."""
        token = secrets.token_urlsafe(24).replace("-", "a").replace("_", "b")
        self._sessions[token] = user_id
        return token

    def end_session(self, token: str) -> None:
        """Signs a session out; ending none is no error."""
        self._sessions.pop(token, None)

    def session_user(self, token: str) -> str | None:
        """The user of a session that is open."""
        return self._sessions.get(token)

    def trusted(self, *, secret: str | None = None, **key_set: Any) -> TrustedIssuer:
        """What a `Verifier` takes to trust this issuer in-process. `key_set`: settings of `KeySet`."""
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._serve))
        keys = KeySet(f"{self.base_url}/api/auth/jwks", client=client, **key_set)
        return TrustedIssuer(self.base_url, frozenset({self.base_url}), keys, secret)

    def key_set_answer(self) -> tuple[int, bytes, Mapping[str, str]]:
        """Status, body and headers that the key set's address answers now."""
        answer = self.answer or (200, json.dumps(self.jwks()).encode())
        return answer if len(answer) == 3 else (*answer, {"Content-Type": "application/json"})

    async def _serve(self, request: httpx.Request) -> httpx.Response:
        self.fetches += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        status, body, headers = self.key_set_answer()
        return httpx.Response(status, content=body, headers=headers)


def session_cookie(token: str, name: str = SESSION_COOKIE) -> str:
    """A session as a browser sends it: `name=token.signature`, percent-encoded. The signature is nobody's:
    the issuer here does not look at it.
    """
    signature = base64.b64encode(secrets.token_bytes(32)).decode()
    return f"{name}={quote(f'{token}.{signature}', safe='')}"


if __name__ == "__main__":
    from todo_auth.development import main

    main()
