import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo_service.problems import Problem
from todo_tasks.cursors import Cursor, cursor_keys

ID = UUID("01a20e5d-d6bc-7550-8af4-da3e8cca6a93")
KEYS = cursor_keys(["a secret of the tests, long enough", "an older secret of the tests"])
LIST = b'["ada", "tasks"]'

values = st.one_of(
    st.none(),
    st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    st.floats(allow_nan=False, allow_infinity=False),
)


def refused(text: str, list_: bytes = LIST, keys: tuple[bytes, ...] = KEYS) -> bool:
    try:
        Cursor.decode(text, keys, list_)
    except Problem as problem:
        assert (problem.status, problem.errors[0].parameter) == (422, "cursor")
        return True
    return False


@given(values)
def test_a_cursor_comes_back_as_it_was(value: str | float | None) -> None:
    cursor = Cursor(value, ID)
    assert Cursor.decode(cursor.encode(KEYS, LIST), KEYS, LIST) == cursor


@given(st.text(max_size=200))
def test_any_other_text_is_refused(text: str) -> None:
    assert refused(text)


@given(st.data())
def test_a_cursor_with_one_bit_changed_is_refused(data: st.DataObject) -> None:
    raw = bytearray(base64.urlsafe_b64decode(Cursor("milk", ID).encode(KEYS, LIST) + "=="))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    assert refused(base64.urlsafe_b64encode(raw).decode().rstrip("="))


@pytest.mark.parametrize("list_", [b"", b'["eve", "tasks"]', LIST + b"x", LIST[:-1]])
def test_a_cursor_of_another_list_is_refused(list_: bytes) -> None:
    cursor = Cursor("milk", ID).encode(KEYS, LIST)
    assert not refused(cursor)
    assert refused(cursor, list_)


def test_a_cursor_of_an_older_secret_still_holds_and_one_of_a_strange_secret_does_not() -> None:
    older = Cursor("milk", ID).encode(KEYS[1:], LIST)
    assert not refused(older)
    assert refused(older, keys=KEYS[:1])
    assert refused(Cursor("milk", ID).encode(cursor_keys(["another secret"]), LIST))


def test_a_cursors_key_is_not_the_secret() -> None:
    assert not {b"secret"} & set(cursor_keys(["secret"]))
    assert len(set(cursor_keys(["one", "two"]))) == 2
