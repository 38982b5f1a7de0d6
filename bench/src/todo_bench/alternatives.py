"""`./dev bench alternatives`: todo_auth beside what PyPI offers for the same job, each behaviour seen and not
claimed.

Task: T-039 · Spec: plan.md#alternatives
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
from rich import box
from rich.console import Console
from rich.table import Table
from todo_auth import jws
from todo_stack.ports import free_port

from todo_bench import machine
from todo_bench.contenders import CONTENDERS, SUBJECT, VERSIONS, Contender
from todo_bench.publish import put
from todo_bench.trouble import TroubledIssuer, troubled_issuer

README = Path(__file__).parents[3] / "libs" / "auth" / "README.md"
CROWD = 20
FLOOD = 50
PATIENCE_S = 1.0
"""How long a request may wait before it counts as waiting for the issuer."""


@dataclass(frozen=True)
class Seen:
    """What a contender did. `good`: whether that is what a user needs; None where it is a figure only."""

    text: str
    good: bool | None = None

    def __str__(self) -> str:
        return self.text if self.good is None else f"{'✓' if self.good else '✗'} {self.text}"


class Trial:
    """One contender before one issuer."""

    def __init__(self, issuer: TroubledIssuer, contender: Contender) -> None:
        self.trouble = issuer
        self.issuer = issuer.issuer
        self.contender = contender
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(contender.app, raise_app_exceptions=False),
            base_url="http://api.test",
            timeout=None,
        )

    async def status(self, *tokens: str) -> int:
        """The status that a request with these bearer tokens gets, each in a header of its own."""
        headers = [("Authorization", f"Bearer {token}") for token in tokens]
        return (await self._client.get("/", headers=headers)).status_code

    async def fresh_keys(self) -> None:
        """Has the contender fetch the keys."""
        await self.status(self.issuer.token("first"))

    async def aclose(self) -> None:
        await self._client.aclose()
        await self.contender.aclose()


@asynccontextmanager
async def _trial(make: Callable[[str], Contender]) -> AsyncIterator[Trial]:
    with troubled_issuer() as issuer:
        trial = Trial(issuer, make(issuer.issuer.base_url))
        try:
            yield trial
        finally:
            await trial.aclose()


Behaviour = Callable[[Trial], Awaitable[Seen]]


def _expect(*wanted: int, token: Callable[[Trial], str], others: Sequence[object] = ()) -> Behaviour:
    """One of these statuses for that token, where the key set begins with `others`."""

    async def behaviour(trial: Trial) -> Seen:
        made = token(trial)
        trial.trouble.others = list(others)
        status = await trial.status(made)
        return Seen(str(status), status in wanted)

    return behaviour


async def _hanging_issuer(trial: Trial) -> Seen:
    await trial.fresh_keys()
    trial.contender.let_age()
    trial.trouble.answers.clear()
    tokens = [trial.issuer.token(f"user{number}") for number in range(CROWD)]
    begun = time.monotonic()
    asked = [asyncio.ensure_future(trial.status(token)) for token in tokens]
    done, waiting = await asyncio.wait(asked, timeout=PATIENCE_S)
    served = sum(request.result() == 200 for request in done)
    took_ms = (time.monotonic() - begun) * 1e3
    trial.trouble.answers.set()
    await asyncio.gather(*waiting)
    if served == CROWD:
        return Seen(f"{served} of {CROWD} in {took_ms:.0f} ms", True)
    return Seen(f"{served} of {CROWD} within {PATIENCE_S:.0f} s", False)


async def _rotation(trial: Trial) -> Seen:
    await trial.fresh_keys()
    trial.issuer.rotate()
    status = await trial.status(trial.issuer.token("second"))
    return Seen(str(status), status == 200)


async def _flood(trial: Trial) -> Seen:
    await trial.fresh_keys()
    before = trial.trouble.fetches
    unknown = [trial.issuer.token("eve", header={"kid": f"unknown{number}"}) for number in range(FLOOD)]
    statuses = await asyncio.gather(*map(trial.status, unknown))
    fetches = trial.trouble.fetches - before
    good = await trial.status(trial.issuer.token("ann"))
    return Seen(f"{fetches}", fetches <= 2 and good == 200 and set(statuses) == {401})


async def _two_headers(trial: Trial) -> Seen:
    status = await trial.status(trial.issuer.token("ann"), trial.issuer.token("bob"))
    return Seen(str(status), status in (400, 401))


def _odd(trial: Trial, header: dict[str, object] | None = None, **claims: Any) -> str:
    return trial.issuer.token("ann", header=header, **claims)


def _loose_bits(trial: Trial) -> str:
    """A signature whose last character differs in bits that decode to nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = trial.issuer.token("ann")
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


def _for_encryption(trial: Trial) -> str:
    """Signed by the only key, which says that it is for encryption."""
    key = trial.issuer.keys[0]
    key.private_jwk["use"] = "enc"
    return trial.issuer.token("ann")


_POINT = jws.encode(bytes(range(32)))

BEHAVIOURS: dict[str, Behaviour] = {
    "EdDSA, Better Auth's default": _expect(200, token=_odd),
    "the same named `Ed25519` (RFC 9864)": _expect(
        200, token=lambda trial: trial.issuer.token("ann", key=trial.issuer.rotate("Ed25519"))
    ),
    "ES256 in the same set": _expect(
        200, token=lambda trial: trial.issuer.token("ann", key=trial.issuer.rotate("ES256"))
    ),
    f"issuer hangs, keys are old: {CROWD} requests are served": _hanging_issuer,
    "a new key, just after a fetch, is picked up": _rotation,
    f"{FLOOD} tokens with unknown `kid`s at once: fetches": _flood,
    "a key without `alg` in the set spoils nothing": _expect(
        200, token=_odd, others=[{"kty": "OKP", "crv": "Ed25519", "kid": "odd", "x": _POINT}]
    ),
    "a key of an unknown `kty` spoils nothing": _expect(
        200, token=_odd, others=[{"kty": "AKP", "alg": "ML-DSA-44", "kid": "odd", "pub": "AAAA"}]
    ),
    "a member that is no object spoils nothing": _expect(200, token=_odd, others=[None]),
    "a key with `use: enc` verifies nothing": _expect(401, token=_for_encryption),
    "`typ` of Better Auth's session cache is refused": _expect(
        401, token=lambda trial: _odd(trial, {"typ": "better-auth.session-cache+jwt"})
    ),
    "a token without `exp` is refused": _expect(401, token=lambda trial: _odd(trial, exp=None)),
    "a token without `sub` is refused": _expect(401, token=lambda trial: _odd(trial, sub=None)),
    "a token that lives ten years is refused": _expect(
        401, token=lambda trial: _odd(trial, exp=int(time.time()) + 315_360_000)
    ),
    "base64url padding is refused": _expect(401, token=lambda trial: _odd(trial) + "=="),
    "loose bits in base64url are refused": _expect(401, token=_loose_bits),
    "two `Authorization` headers are refused": _two_headers,
}
"""What is asked of each contender, in the table's order."""


async def _cold_and_unreachable(make: Callable[[str], Contender]) -> Seen:
    trial = Trial(gone := TroubledIssuer(free_port()), make(gone.issuer.base_url))
    try:
        status = await trial.status(trial.issuer.token("ann"))
    finally:
        await trial.aclose()
    return Seen(str(status), status == 503)


async def _cost(trial: Trial, tokens: Sequence[str]) -> Seen:
    """CPU of one verification, in microseconds, without the framework around it."""
    await trial.contender.verify(trial.issuer.token("first"))
    begun = time.process_time()
    for token in tokens:
        await trial.contender.verify(token)
    return Seen(f"{(time.process_time() - begun) / len(tokens) * 1e6:.3g} µs")


async def _cost_of_new(trial: Trial, effort: int) -> Seen:
    return await _cost(trial, [trial.issuer.token(f"user{number}") for number in range(effort)])


async def _cost_of_seen(trial: Trial, effort: int) -> Seen:
    token = trial.issuer.token("ann")
    await trial.contender.verify(token)
    return await _cost(trial, [token] * effort)


Rows = dict[str, list[Seen]]


async def measure(effort: int) -> Rows:
    """Every row of the table. `effort`: how many verifications are timed."""
    costs: dict[str, Behaviour] = {
        "CPU of a verification": lambda trial: _cost_of_new(trial, effort),
        "the same, of a token seen before": lambda trial: _cost_of_seen(trial, effort),
    }
    rows: Rows = {
        "issuer never reached: 503, not 401": [
            await _cold_and_unreachable(make) for make in CONTENDERS.values()
        ]
    }
    for title, behaviour in (BEHAVIOURS | costs).items():
        rows[title] = []
        for make in CONTENDERS.values():
            async with _trial(make) as trial:
                rows[title].append(await behaviour(trial))
    return rows


def markdown(rows: Rows) -> str:
    """The table as it stands in the README of todo_auth."""
    names = [f"{name} {VERSIONS[name]}" for name in CONTENDERS]
    lines = [f"| | {' | '.join(names)} |", "| --- " * (len(names) + 1) + "|"]
    lines += [f"| {title} | {' | '.join(map(str, seen))} |" for title, seen in rows.items()]
    said = ", ".join(f"{name} {value}" for name, value in machine.computer().items())
    return "\n".join(
        [*lines, "", f"Seen on {date.today().isoformat()} by `./dev bench alternatives` ({said}).", ""]
    )


def run(console: Console, *, smoke: bool, publish: bool) -> bool:
    """Measure and print; `publish`: write the table into the README of todo_auth, too. Says whether
    todo_auth did all that was asked.
    """
    # What the contenders log about the troubles they are given is not for the reader of the table.
    logging.disable(logging.ERROR)
    rows = asyncio.run(measure(20 if smoke else 2000))
    table = Table("", *(f"{name} {VERSIONS[name]}" for name in CONTENDERS), box=box.SIMPLE_HEAD)
    for title, seen in rows.items():
        table.add_row(title, *(f"[red]{each}[/red]" if each.good is False else str(each) for each in seen))
    console.print(table)
    if publish:
        put(README, "alternatives", markdown(rows))
    subject = list(CONTENDERS).index(SUBJECT)
    return all(seen[subject].good is not False for seen in rows.values())
