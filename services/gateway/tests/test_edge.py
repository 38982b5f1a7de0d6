"""One reading of every path, and nothing too large."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from todo_gateway.edge import Target, canonical, is_ambiguous

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
    assert not is_ambiguous(sent.encode())
    assert canonical(sent.encode()) == Target(path, user_id)


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
    assert canonical(sent.encode()) is None


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
    assert is_ambiguous(sent.encode())


@given(st.text(st.characters(codec="ascii"), max_size=40).map(lambda text: f"/api/{text}".encode()))
def test_what_passes_is_forwarded_as_one_plain_path(raw_path: bytes) -> None:
    if is_ambiguous(raw_path):
        return
    target = canonical(raw_path)
    if target is not None:
        forwarded = target.path.encode()
        assert not is_ambiguous(forwarded)
        assert canonical(forwarded) == Target(target.path, None)
