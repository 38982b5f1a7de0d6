"""The types that the page is written against are those of the gateway's OpenAPI document.

Task: T-058 · Spec: plan.md#web-page
"""

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)  # The first test waits for the stack, which may have to build the page.

COMMITTED = Path(__file__).parent.parent / "lib" / "openapi.d.ts"


def test_the_committed_types_are_those_of_the_openapi_document(
    gateway_url: str, packages: Path, tmp_path: Path
) -> None:
    """Where this fails: `./dev up` in one terminal, `npm run api-types` in web/tests in another."""
    made = tmp_path / "openapi.d.ts"
    environment = {**os.environ, "GATEWAY_URL": gateway_url, "OUTPUT": str(made)}
    subprocess.run(["npm", "run", "api-types"], cwd=packages.parent, env=environment, check=True)
    assert made.read_text() == COMMITTED.read_text()
