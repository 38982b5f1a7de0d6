"""What users get while the issuer behind the gateway's key set stumbles, and that nothing is left of it."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from todo_auth import TrustedIssuer, Verifier
from todo_auth.development import serving as serving_issuer
from todo_auth.jwks import KeySet
from todo_auth.testing import Issuer

HEAD, IN_THE_HEAD, IN_THE_BODY = 0, 20, 250
FAULTS = {
    "refuse": (HEAD,),
    "hang": (HEAD, IN_THE_HEAD, IN_THE_BODY),
    "trickle": (HEAD, IN_THE_HEAD, IN_THE_BODY),
    "reset": (HEAD, IN_THE_HEAD, IN_THE_BODY),
    "close": (HEAD, IN_THE_HEAD, IN_THE_BODY),
    "garbage": (HEAD, IN_THE_HEAD),
}
"""Where each begins: after so many bytes of the key set's answer."""

each_fault = pytest.mark.parametrize(("fault", "places"), FAULTS.items(), ids=FAULTS)


@pytest.fixture
def issuer_url(issuer: Issuer, nothing_leaks: None) -> Iterator[str]:
    with serving_issuer(issuer) as url:
        yield url


@pytest.fixture
def verifier(issuer: Issuer, issuer_url: str) -> Callable[..., Verifier]:
    """A verifier whose key set is behind a proxy: `verifier(proxy, **key_set)`."""

    def make(proxy: Any, **key_set: Any) -> Verifier:
        keys = KeySet(f"{proxy.origin}/api/auth/jwks", **{"retry_s": 0.05, **key_set})
        return Verifier(TrustedIssuer.better_auth(issuer.base_url, keys=keys))

    return make


async def break_with(proxy: Any, fault: str, passes: int) -> None:
    if fault == "refuse":
        await proxy.stop()
    else:
        proxy.breaks(fault, passes)


async def heal(proxy: Any, fault: str) -> None:
    if fault == "refuse":
        await proxy.start()
    else:
        proxy.breaks(None)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def statuses(http: httpx.AsyncClient, tokens: list[str]) -> set[int]:
    """Of as many requests at once, each with a token that nobody has seen before."""
    answers = await asyncio.gather(*[http.get("/api/tasks", headers=bearer(token)) for token in tokens])
    return {answer.status_code for answer in answers}


@each_fault
async def test_with_known_keys_everybody_is_served_at_once(
    fault: str,
    places: tuple[int, ...],
    issuer: Issuer,
    issuer_url: str,
    verifier: Callable[..., Verifier],
    upstream: Any,
    proxy: Any,
    gateway: Any,
) -> None:
    async def after(passes: int) -> None:
        broken = await proxy(issuer_url)
        # Refreshed again and again, and a fetch that hangs is not given up: who waited for one would be seen.
        verifying = verifier(broken, refresh_s=0.05, timeout_s=60)
        through = await gateway(upstream.url, verifier=verifying)
        (keys,) = verifying.key_sets
        await break_with(broken, fault, passes)
        while not (broken.struck or keys.state.failures):  # the runner's own limit ends this
            await asyncio.sleep(0.005)
        async with asyncio.timeout(20):
            assert await statuses(through.http, [issuer.token(f"user-{n}") for n in range(20)]) == {200}
            assert (await through.http.get("/readyz")).status_code == 200
        await heal(broken, fault)

    await asyncio.gather(*map(after, places))


@each_fault
async def test_at_a_cold_start_it_is_503_within_the_limit_until_the_keys_are_had(
    fault: str,
    places: tuple[int, ...],
    issuer: Issuer,
    issuer_url: str,
    verifier: Callable[..., Verifier],
    upstream: Any,
    proxy: Any,
    gateway: Any,
) -> None:
    async def after(passes: int) -> None:
        broken = await proxy(issuer_url)
        await break_with(broken, fault, passes)
        through = await gateway(upstream.url, verifier=verifier(broken, timeout_s=0.5))
        tokens = [issuer.token(f"user-{n}") for n in range(10)]
        async with asyncio.timeout(20):
            answers = await asyncio.gather(
                *[through.http.get("/api/tasks", headers=bearer(token)) for token in tokens]
            )
        for answer in answers:
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "keys_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            assert "127.0.0.1" not in answer.text
        assert (await through.http.get("/readyz")).json()["missing"] == ["identity provider"]
        await heal(broken, fault)
        async with asyncio.timeout(30):
            while (await through.http.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.02)  # nobody asks for it: the gateway tries again by itself
        assert await statuses(through.http, tokens) == {200}

    await asyncio.gather(*map(after, places))
    assert all(seen.target == "/api/tasks" for seen in upstream.seen)


async def test_a_token_of_an_unknown_key_waits_for_the_issuer_and_nobody_else_does(
    issuer: Issuer,
    issuer_url: str,
    verifier: Callable[..., Verifier],
    upstream: Any,
    proxy: Any,
    gateway: Any,
) -> None:
    broken = await proxy(issuer_url)
    through = await gateway(upstream.url, verifier=verifier(broken, timeout_s=60))
    assert (await through.http.get("/api/tasks")).status_code == 200
    known = issuer.keys[0]
    new = issuer.rotate()
    broken.breaks("hang")
    waiting = asyncio.create_task(statuses(through.http, [issuer.token("ann", key=new)]))
    while not broken.struck:
        await asyncio.sleep(0.005)
    async with asyncio.timeout(20):
        tokens = [issuer.token(f"user-{n}", key=known) for n in range(20)]
        assert await statuses(through.http, tokens) == {200}
    assert not waiting.done()
    broken.breaks(None)
    assert await waiting == {503}, "its fetch was cut"
    async with asyncio.timeout(30):
        while await statuses(through.http, [issuer.token("ann", key=new)]) != {200}:
            await asyncio.sleep(0.02)


async def test_an_issuer_that_restarts_under_load_with_a_new_key_refuses_nobody(
    issuer: Issuer,
    issuer_url: str,
    verifier: Callable[..., Verifier],
    upstream: Any,
    proxy: Any,
    gateway: Any,
) -> None:
    broken = await proxy(issuer_url)
    verifying = verifier(broken, refresh_s=0.05)
    through = await gateway(upstream.url, verifier=verifying)
    (keys,) = verifying.key_sets
    key = issuer.keys[0]
    outcomes: list[int] = []
    is_over = False

    async def user(number: int) -> None:
        while not is_over:
            token = issuer.token(f"user-{number}-{len(outcomes)}", key=key)
            answer = await through.http.get("/api/tasks", headers=bearer(token))
            outcomes.append(answer.status_code)

    users = [asyncio.create_task(user(number)) for number in range(4)]
    for _ in range(3):
        await broken.stop()
        failures, served = keys.state.failures, len(outcomes)
        new = issuer.rotate()
        while keys.state.failures == failures or len(outcomes) < served + 20:
            await asyncio.sleep(0.005)
        await broken.start()
        while keys.state.last_error is not None:
            await asyncio.sleep(0.005)
        key = new
    served = len(outcomes)
    while len(outcomes) < served + 20:
        await asyncio.sleep(0.005)
    is_over = True
    await asyncio.gather(*users)
    assert set(outcomes) == {200}
