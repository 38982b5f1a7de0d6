import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo_tasks.folding import fold, key


@pytest.mark.parametrize(
    ("one", "other"),
    [("Home", "HOME"), ("Straße", "STRASSE"), ("É", "e\u0301"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("İ", "i\u0307")],
)
def test_names_are_the_same_without_regard_to_case_in_any_script(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_different_names_stay_different() -> None:
    assert len({fold(name) for name in ("Home", "Hone", "Hom e", "Hómé", "家", "屋")}) == 6


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_the_short_way_for_ascii_is_the_same_way(text: str) -> None:
    assert fold(text) == text.casefold()


@pytest.mark.parametrize(
    ("text", "kept"), [(None, None), ("", None), ("milk", None), ("家", None), ("Milk", "milk"), ("É", "é")]
)
def test_a_key_is_kept_only_where_folding_changes_the_text(text: str | None, kept: str | None) -> None:
    assert key(text) == kept
