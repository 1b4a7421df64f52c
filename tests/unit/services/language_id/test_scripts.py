"""A text in two scripts is noticed; a name in Latin letters is part of any text."""

import pytest

from services.language_id.cleaning import clean
from services.language_id.scripts import writing_of
from tests.unit.services.language_id.sentences import ENGLISH, EVERY_LANGUAGE, SENTENCES


@pytest.mark.parametrize(("language", "sentence"), EVERY_LANGUAGE)
def test_a_sentence_in_one_language_has_no_foreign_part(language: str, sentence: str) -> None:
    assert writing_of(clean(sentence)).foreign == ()


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("家族が喜ぶパンを焼く", "KANA"),
        ("怎样才能烤出面包", "CJK"),
        ("我喜欢の这个牌子的面包和他们的牛奶", "CJK"),
        ("bread", "LATIN"),
        ("хлеб", "CYRILLIC"),
        ("", None),
    ],
)
def test_the_script_of_most_of_the_text(text: str, script: str | None) -> None:
    assert writing_of(text).script == script


def test_names_in_latin_letters_are_overlooked_and_left_out() -> None:
    writing = writing_of("как мне установить python и numpy на новый домашний компьютер")
    assert writing.foreign == ()
    assert writing.text == "как мне установить и на новый домашний компьютер"


def test_a_passage_in_latin_letters_is_foreign_however_long_the_rest() -> None:
    passage = "please tell me also how to bake one loaf of bread for my family today"
    text = f"{clean(SENTENCES['th'])} " * 20 + passage
    assert writing_of(text).foreign == (passage,)


def test_a_short_sentence_in_another_script_is_foreign_however_long_the_english() -> None:
    assert writing_of(f"{clean(ENGLISH)} 怎样烤出好面包呢").foreign == ("怎样烤出好面包呢",)


def test_a_lone_symbol_of_another_script_is_not_foreign() -> None:
    assert writing_of("what are α and β and γ and δ " * 9).foreign == ()


def test_a_han_character_counts_as_several_letters() -> None:
    assert writing_of("面包").n_letters > writing_of("ab").n_letters


@pytest.mark.parametrize("text", ["how's it go-ing", "a", "' - '", "plain words only"])
def test_ascii_text_weighs_what_its_letters_do(text: str) -> None:
    letters = sum(map(str.isalpha, text))
    assert writing_of(text).n_letters == letters
    accented = writing_of(text + "é")  # not ASCII, so that it is counted letter by letter
    assert accented.n_letters == letters + 1
    assert writing_of(text).script == ("LATIN" if letters else None)
