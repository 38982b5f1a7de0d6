"""What stands behind a gateway that is measured alone.

Task: T-031 · Spec: plan.md#yardstick
"""

import json

import pytest
from todo_bench.upstream import answer_to


@pytest.mark.parametrize(
    ("target", "length"), [(b"/api/tasks?limit=8192", 8192), (b"/?a=1&limit=2", 2), (b"/readyz", 11)]
)
def test_an_answer_is_json_of_the_length_that_is_asked_for(target: bytes, length: int) -> None:
    head, _, body = answer_to(target).partition(b"\r\n\r\n")
    assert f"Content-Length: {length}".encode() in head
    assert len(body) == length
    assert isinstance(json.loads(body), str)
