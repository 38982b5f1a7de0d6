"""A Better Auth token in, an Identity out.

Task: T-006 · Spec: plan.md#verifying-tokens
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Generic, Self

from todo_auth.bearer import bearer_token
from todo_auth.identity import LEEWAY_S, Extra, Identity, RawHeaders
from todo_auth.issuers import TrustedIssuer
from todo_auth.jwks import KeySet
from todo_auth.validation import Validator

DEFAULT_MAX_LIFETIME_S = 24 * 3600


class Verifier(Generic[Extra]):
    """Verifies access tokens of one issuer or several.

    `max_lifetime_s`: the longest `exp − iat` accepted. `leeway_s`: how far `iat` and `nbf` may lie in the
    future; `exp` has none. `types`: accepted values of `typ` beside its absence. `claims`: makes the
    application's own model of the payload (`Model.model_validate`, say), which becomes `Identity.extra`;
    where it raises ValueError, TypeError or LookupError the token is refused. `remembered`: how many good
    tokens are kept, each until it expires, its key is withdrawn or 15 minutes have passed; past it the
    oldest goes.

    Use as an asynchronous context manager, or call `aclose`. For threads there is `SyncVerifier`.
    """

    def __init__(
        self,
        *issuers: TrustedIssuer,
        max_lifetime_s: float = DEFAULT_MAX_LIFETIME_S,
        leeway_s: float = LEEWAY_S,
        types: Iterable[str] = ("JWT",),
        claims: Callable[[dict[str, object]], Extra] | None = None,
        remembered: int = 10_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._validator = Validator(
            issuers,
            max_lifetime_s=max_lifetime_s,
            leeway_s=leeway_s,
            types=types,
            claims=claims,
            remembered=remembered,
            now=now,
        )

    @property
    def is_ready(self) -> bool:
        """Whether tokens of some issuer can be judged now: its keys have been had, and not too long ago."""
        return self._validator.is_ready

    @property
    def key_sets(self) -> list[KeySet]:
        """The issuers' key sets, each once: for their `state`, `export` and `seed`."""
        return self._validator.key_sets

    async def start(self) -> None:
        """Has every key set at hand, so that the first request need not wait. An issuer that does not
        answer is no error here.
        """
        await asyncio.gather(*(keys.start() for keys in self.key_sets))

    async def aclose(self) -> None:
        """Ends the key sets' background work."""
        await asyncio.gather(*(keys.aclose() for keys in self.key_sets))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def authenticate(self, headers: RawHeaders) -> Identity[Extra]:
        """The identity in raw ASGI headers. Raises CredentialsMissing, InvalidRequest, or what `verify`
        raises.
        """
        return await self.verify(bearer_token(headers))

    async def verify(self, token: str) -> Identity[Extra]:
        """The identity in a compact JWS. Raises an InvalidToken by its reason, or KeysUnavailable."""
        identity = self._validator.recall(token)
        if identity is not None:
            return identity
        examined = self._validator.examine(token)
        key, keys = None, examined.keys
        if keys is not None:
            name = examined.unverified.key_id, examined.algorithm
            key = keys.known(*name) or await keys.find(*name)
        return self._validator.accept(examined, key)
