"""The form in which refusals are compared."""

import pytest

from services.refusals.normal_form import plain, sentences


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("Je M’EXCUSE,  mais", "je m'excuse mais"),
        ("De\u0301solé", "desole"),
        ("Ẹ má bínú", "e ma binu"),
        ("نمی\u200cتوانم", "نميتوانم"),
        ("متأسفم", "متاسفم"),
        ("माफ़ करें", "माफ करें"),
        ("असमर्थ हूँ", "असमर्थ हूं"),
        ("ផ្ដល់", "ផ្តល់"),
        ("すみませんが、無理です", "すみませんが 無理です"),
        ("a\n\n  b", "a\nb"),
    ],
)
def test_what_writers_vary_is_made_the_same(written: str, same: str) -> None:
    assert plain(written) == plain(same)


@pytest.mark.parametrize("text", ["ไม่ได้", "မကူညီနိုင်ပါဘူး", "할 수 없습니다", "で", "नहीं"])
def test_marks_that_are_letters_stay(text: str) -> None:
    assert plain(text) == text


def test_quotations_are_left_out_but_a_text_that_is_one_stays() -> None:
    assert plain("He said “go away” and left") == 'he said " and left'
    assert plain("«Go away»") == "go away"


def test_sentences_begin_after_an_end_or_a_line_break_but_not_at_items_of_a_list() -> None:
    text = plain("**One.** Two, at 3.5! Three.\n- four.\nFive")
    first_words = [text[start:end].split()[0] for start, end in sentences(text)]
    assert first_words == ["one.**", "two", "three.", "five"]
