"""Fixtures for the tests of an application that stands behind Better Auth; pytest finds them by itself.

    async def test_ann_sees_her_tasks(better_auth_issuer: Issuer) -> None:
        app = create_app(Verifier(better_auth_issuer.trusted()))
        headers = {"Authorization": f"Bearer {better_auth_issuer.token('ann')}"}

`better_auth_issuer`: a `todo_auth.testing.Issuer` in-process, with a key of its own.
`better_auth_server`: the same one on a free port, for an application that runs as a process; its `base_url`
is what `BETTER_AUTH_URL` is to be.

Task: T-011 · Spec: plan.md#testing-issuer
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

# Every run of pytest in this environment loads this module, so it stands outside the package, which only the
# tests that use it import.
if TYPE_CHECKING:
    from todo_auth.testing import Issuer


@pytest.fixture
def better_auth_issuer() -> "Issuer":
    """An issuer in-process; what it issues, a `Verifier(better_auth_issuer.trusted())` believes."""
    from todo_auth.testing import Issuer

    return Issuer()


@pytest.fixture
def better_auth_server(better_auth_issuer: "Issuer") -> "Iterator[Issuer]":
    """The issuer on a free port, with Better Auth's endpoints below its `base_url`."""
    from todo_auth.development import serving

    with serving(better_auth_issuer):
        yield better_auth_issuer
