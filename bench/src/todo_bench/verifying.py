"""The verifier alone: each algorithm, cold and remembered, beside bare PyJWT with the key at hand.

Task: T-032 · Spec: plan.md#yardstick
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import jwt
from todo_auth import Verifier
from todo_auth.testing import Issuer

from todo_bench.figures import Comparison, Round, Series

ALGORITHMS = ("EdDSA", "ES256", "ES384", "ES512", "RS256", "PS256")
TOKENS = 20
"""Different tokens a round, in turn."""


def verifier(rounds: int, repeats: int) -> list[Comparison]:
    """Two comparisons an algorithm, in microseconds of CPU a token.

    `repeats`: how often each of the 20 tokens is verified in a round; 20 times as often where it is
    remembered, because that takes so little.
    """
    return asyncio.run(_compare_all(rounds, repeats))


async def _compare_all(rounds: int, repeats: int) -> list[Comparison]:
    return [
        comparison for algorithm in ALGORITHMS for comparison in await _compare(algorithm, rounds, repeats)
    ]


async def _compare(algorithm: str, rounds: int, repeats: int) -> list[Comparison]:
    issuer = Issuer(algorithm=algorithm)
    tokens = [issuer.token(f"user{number:028d}") for number in range(TOKENS)]
    async with (
        Verifier(issuer.trusted(), remembered=0) as cold,
        Verifier(issuer.trusted()) as remembering,
    ):
        key = jwt.PyJWK(issuer.keys[0].public_jwk, algorithm=algorithm)

        async def bare(token: str) -> object:
            return jwt.decode(
                token, key, algorithms=[algorithm], audience=issuer.base_url, issuer=issuer.base_url
            )

        measured: dict[str, list[Round]] = {"cold": [], "remembered": [], "PyJWT": []}
        await _cost_us(remembering.verify, tokens, 1)
        for _ in range(rounds):
            measured["PyJWT"].append(Round(await _cost_us(bare, tokens, repeats)))
            measured["cold"].append(Round(await _cost_us(cold.verify, tokens, repeats)))
            measured["remembered"].append(Round(await _cost_us(remembering.verify, tokens, repeats * 20)))
    return [
        Comparison(
            f"verify-{algorithm}-{way}",
            f"verify {algorithm}, {way}",
            "product",
            [Series("PyJWT", "µs", measured["PyJWT"]), Series("product", "µs", measured[way])],
        )
        for way in ("cold", "remembered")
    ]


async def _cost_us(verify: Callable[[str], Awaitable[object]], tokens: Sequence[str], repeats: int) -> float:
    begun = time.process_time()
    for _ in range(repeats):
        for token in tokens:
            await verify(token)
    return (time.process_time() - begun) / (repeats * len(tokens)) * 1e6
