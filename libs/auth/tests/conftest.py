"""An issuer, a clock that stands still until it is moved, and real Better Auth tokens."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from todo_auth import Verifier
from todo_auth.testing import Clock, Issuer

REAL: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text())
    for path in sorted(Path(__file__).with_name("data").glob("*.json"))
}

# For mutants: the same few examples each time, and no time spent on making a failing one smaller.
settings.register_profile(
    "mutants", settings.get_profile("ci"), max_examples=25, phases=[Phase.explicit, Phase.generate]
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Issuer:
    return Issuer(now=clock)


@pytest.fixture
async def verifier(issuer: Issuer, clock: Clock) -> AsyncIterator[Verifier]:
    async with Verifier(issuer.trusted(now=clock, sleep=clock.sleep), now=clock) as verifier:
        yield verifier


@pytest.fixture(params=REAL)
def real(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A token and key set that Better Auth made, one algorithm after another."""
    return REAL[str(request.param)]
