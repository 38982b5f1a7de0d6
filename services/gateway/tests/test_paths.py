"""One reading of every path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from todo_gateway import paths

SPELLINGS = [
    ("/api/tasks", "/api/tasks", None),
    ("/api/tasks/", "/api/tasks", None),
    ("/api/todos", "/api/tasks", None),
    ("/api/v1/tasks", "/api/tasks", None),
    ("/api/v1/todos/", "/api/tasks", None),
    ("/api/tasks/0190f1", "/api/tasks/0190f1", None),
    ("/api/tasks/0190f1/complete/", "/api/tasks/0190f1/complete", None),
    ("/api/ann/tasks", "/api/tasks", "ann"),
    ("/api/ann/todos/7/toggle", "/api/tasks/7/toggle", "ann"),
    ("/api/v1/ann/tasks/7", "/api/tasks/7", "ann"),
    ("/api/ann/categories", "/api/categories", "ann"),
    ("/api/ann/stats", "/api/stats", "ann"),
    ("/api/stats", "/api/stats", None),
    ("/api/categories/7", "/api/categories/7", None),
    ("/api/tasks/tasks", "/api/tasks/tasks", None),
    ("/api/tasks/v1", "/api/tasks/v1", None),
    ("/api/a%40b.c/tasks", "/api/tasks", "a@b.c"),
    ("/api/tasks/a%20b", "/api/tasks/a%20b", None),
    ("/api/%74asks", "/api/tasks", None),
]


@pytest.mark.parametrize(("sent", "path", "user_id"), SPELLINGS)
def test_every_spelling_is_read_as_the_canonical_one(sent: str, path: str, user_id: str | None) -> None:
    read = paths.read(sent.encode())
    assert read is not None and (read.canonical, read.user_id) == (path, user_id)


@pytest.mark.parametrize(
    "sent",
    [
        "/",
        "/api",
        "/api/",
        "/api/v1",
        "/api/ann",
        "/api/v1/v1/tasks",
        "/api/ann/bob/tasks",
        "/apis/tasks",
        "/api/ann/v1",
    ],
)
def test_other_paths_lead_nowhere(sent: str) -> None:
    read = paths.read(sent.encode())
    assert read is not None and (read.canonical, read.user_id) == (None, None)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "api/tasks",
        "*",
        "//api/tasks",
        "/api//tasks",
        "/api/tasks//",
        "/api/./tasks",
        "/api/../healthz",
        "/api/tasks/..",
        "/api/tasks/.",
        "/api/%2e%2e/healthz",
        "/api/%2E/tasks",
        "/api/tasks/.%2e",
        "/api/tasks%2f7",
        "/api/ann%2Ftasks",
        "/api/tasks/a%5cb",
        "/api/tasks/a\\b",
        "/api/tasks/%00",
        "/api/tasks/%0d%0aX-User-Id:%20bob",
        "/api/tasks/%7f",
        "/api/tasks/%ff",
        "/api/tasks/%c0%af",
        "/api/tasks/%",
        "/api/tasks/%2",
        "/api/tasks/%zz",
        "/api/tasks/%252e%252e",
        "/api/tasks;x=1",
    ],
)
def test_a_path_with_two_readings_is_refused(sent: str) -> None:
    assert paths.read(sent.encode()) is None


@given(st.text(st.characters(codec="ascii"), max_size=40).map(lambda text: f"/api/{text}".encode()))
def test_what_passes_is_forwarded_as_one_plain_path(raw_path: bytes) -> None:
    path = paths.read(raw_path)
    if path is None:
        return
    again = paths.read(path.normal.encode())
    assert again is not None and again.normal == path.normal
    if path.canonical is not None:
        forwarded = paths.read(path.canonical.encode())
        assert forwarded is not None and (forwarded.canonical, forwarded.user_id) == (path.canonical, None)


def test_long_paths_are_read_and_not_remembered() -> None:
    long = b"/api/tasks/" + b"a" * 4000
    for _ in range(2):
        read = paths.read(long)
        assert read is not None and read.normal == long.decode()
    before = paths._remembered.cache_info()
    paths.read(long)
    assert paths._remembered.cache_info() == before
