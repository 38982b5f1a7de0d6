"""The tests of the routes once more, each as it stands, through a pooler in transaction mode."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

FIXTURE = type(pytest.fixture(lambda: None))
TESTS = Path(__file__).parent.parent
ROUTES = (
    "tasks/test_routes.py",
    "tasks/test_trash.py",
    "tasks/test_search.py",
    "categories/test_routes.py",
    "idempotency/test_requests.py",
    "test_preconditions.py",
)


def once_more(path: str) -> dict[str, object]:
    """The tests of a file, and what it has for them, under names that say where they come from."""
    prefix = path.removesuffix(".py").replace("/", "_").replace("test_", "")
    spec = spec_from_file_location(f"through_a_pooler_{prefix}", TESTS / path)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    tests = {name: value for name, value in vars(module).items() if name.startswith("test_")}
    assert tests
    fixtures = {name: value for name, value in vars(module).items() if isinstance(value, FIXTURE)}
    return fixtures | {f"test_{prefix}_{name.removeprefix('test_')}": test for name, test in tests.items()}


for _path in ROUTES:
    globals().update(once_more(_path))
