"""Characters are counted alike, however long the text is."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.language_id.counting import counted


@given(st.text(), st.integers(1, 400))
def test_every_character_is_counted_as_often_as_it_is_there(text: str, times: int) -> None:
    assert counted(text * times) == Counter(text * times)


def test_half_a_pair_of_surrogates_is_a_character_like_another() -> None:
    assert counted("\ud800a" * 300) == {"\ud800": 300, "a": 300}


def test_a_text_without_characters_has_none() -> None:
    assert counted("") == {}
