"""What somebody would take from PyPI to let Better Auth's users into a FastAPI application, each used as its
own documentation shows it.

Left out: what cannot verify Better Auth's default algorithm, EdDSA, or fetches no keys at all.

Task: T-039 · Spec: plan.md#alternatives
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Any

import fastapi_better_auth as bridge
import fastapi_betterauth as betterauth
import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from todo_auth import Identity, KeySet, TrustedIssuer, Verifier
from todo_auth.fastapi import BearerToken

ALGORITHMS = ("EdDSA", "ES256")
"""What every contender is told to accept: Better Auth's default, and one more."""

STALE_S = 301
"""Longer than any contender takes its keys for fresh."""


@dataclass(frozen=True)
class Contender:
    """`app`: an application whose `/` is for users. `verify`: the same verification alone. `let_age`: makes
    its keys `STALE_S` older. `aclose`: ends it.
    """

    app: FastAPI
    verify: Callable[[str], Awaitable[object]]
    let_age: Callable[[], None]
    aclose: Callable[[], Awaitable[None]]


async def _nothing() -> None:
    """There is nothing to end."""


def _todo_auth(url: str) -> Contender:
    passed_s = [0.0]
    keys = KeySet(f"{url}/api/auth/jwks", now=lambda: time.monotonic() + passed_s[0])
    verifier = Verifier(TrustedIssuer(url, frozenset({url}), keys))
    app = FastAPI()

    @app.get("/")
    async def route(user: Annotated[Identity, Depends(BearerToken(verifier))]) -> str:
        return user.user_id

    def let_age() -> None:
        passed_s[0] += STALE_S

    return Contender(app, verifier.verify, let_age, verifier.aclose)


def _bridge(url: str) -> Contender:
    verifier = bridge.JwtVerifier(base_url=url, algorithms=ALGORITHMS)
    auth = bridge.BetterAuth(verifiers=[verifier])
    app = FastAPI()

    @app.get("/")
    async def route(session: Annotated[bridge.Session[bridge.User], Depends(auth.current_session())]) -> str:
        return session.user.id

    def let_age() -> None:
        # It has a clock that can be replaced, but no way to hand one in.
        keys = verifier._keys
        keys._clock = lambda: time.monotonic() + STALE_S

    async def verify(token: str) -> object:
        return await verifier.verify(token, bridge.User)

    return Contender(app, verify, let_age, _nothing)


def _age(client: jwt.PyJWKClient) -> None:
    cached = client.jwk_set_cache and client.jwk_set_cache.jwk_set_with_timestamp
    if cached:
        cached.timestamp -= STALE_S


def _betterauth(url: str) -> Contender:
    auth = betterauth.BetterAuth(url, algorithms=ALGORITHMS)
    app = FastAPI()

    @app.get("/")
    def route(user: Annotated[betterauth.User, Depends(auth)]) -> str:
        return str(user.get("sub"))

    async def verify(token: str) -> object:
        return auth.fetch_token(token)

    client: jwt.PyJWKClient = getattr(auth, "_BetterAuth__client")  # noqa: B009 - not handed out
    return Contender(app, verify, lambda: _age(client), _nothing)


def _pyjwt(url: str) -> Contender:
    client = jwt.PyJWKClient(f"{url}/api/auth/jwks")
    bearer = HTTPBearer()
    app = FastAPI()

    def decode(token: str) -> dict[str, Any]:
        key = client.get_signing_key_from_jwt(token)
        return jwt.decode(token, key.key, algorithms=list(ALGORITHMS), audience=url, issuer=url)

    def user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> dict[str, Any]:
        try:
            return decode(credentials.credentials)
        except jwt.PyJWTError as error:
            raise HTTPException(401, "Not authenticated", {"WWW-Authenticate": "Bearer"}) from error

    @app.get("/")
    def route(claims: Annotated[dict[str, Any], Depends(user)]) -> str:
        return str(claims.get("sub"))

    async def verify(token: str) -> object:
        return decode(token)

    return Contender(app, verify, lambda: _age(client), _nothing)


SUBJECT = "todo-auth"
CONTENDERS: dict[str, Callable[[str], Contender]] = {
    SUBJECT: _todo_auth,
    "fastapi-better-auth-bridge": _bridge,
    "fastapi-betterauth": _betterauth,
    "PyJWT's PyJWKClient": _pyjwt,
}
VERSIONS = {name: version("pyjwt" if name.startswith("PyJWT") else name) for name in CONTENDERS}
