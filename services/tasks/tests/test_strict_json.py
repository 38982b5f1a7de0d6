import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo_service.problems import Problem
from todo_tasks.strict_json import MAX_DEPTH, parse

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    # Half of a surrogate pair is no text, and NUL is refused.
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", min_size=1), inner),
)


@given(VALUES, st.booleans())
def test_what_is_json_is_read_as_the_standard_library_does(value: object, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert parse(body) == json.loads(body)


@given(st.binary())
def test_no_bytes_raise_anything_but_a_problem(body: bytes) -> None:
    try:
        parse(body)
    except Problem as problem:
        assert problem.status in (400, 422)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "not_json"),
        (b"{'a': 1}", 400, "not_json"),
        (b'{"a": 1,}', 400, "not_json"),
        (b"01", 400, "not_json"),
        (b"\xef\xbb\xbf{}", 400, "not_json"),
        (b'"\t"', 400, "not_json"),
        (b'"\0"', 400, "not_json"),
        (b'{"a": "\xff"}', 400, "not_utf8"),
        (b'"\xed\xa0\x80"', 400, "not_utf8"),
        ('{"a": 1}'.encode("utf-16"), 400, "not_utf8"),
        (b'{"a": 1, "a": 1}', 422, "invalid_json"),
        (b'{"a": {"b": 1, "\\u0062": 2}}', 422, "invalid_json"),
        (b"NaN", 422, "invalid_json"),
        (b'{"a": [Infinity]}', 422, "invalid_json"),
        (b"-Infinity", 422, "invalid_json"),
        (b"1e999", 422, "invalid_json"),
        (b"1" * 21, 422, "invalid_json"),
        (b"1" * 100_000, 422, "invalid_json"),
        (b'{"a": "\\u0000"}', 422, "invalid_json"),
        (b'{"\\u0000": 1}', 422, "invalid_json"),
        (b'["\\ud800"]', 422, "invalid_json"),
        (b'["\\udc00\\ud800"]', 422, "invalid_json"),
        (b"[" * 65 + b"]" * 65, 422, "invalid_json"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, 422, "invalid_json"),
        (b"[" * 200_000, 422, "invalid_json"),
    ],
)
def test_what_two_readers_could_take_for_two_things_is_refused(body: bytes, status: int, code: str) -> None:
    with pytest.raises(Problem) as refused:
        parse(body)
    assert (refused.value.status, refused.value.code) == (status, code)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        b"[" + b"[]," * 1000 + b"[]]",
        b'"\\ud83c\\udf89 \\u00fc"',
        b'"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["',
    ],
)
def test_what_only_looks_like_it_is_read(body: bytes) -> None:
    assert parse(body) == json.loads(body)
