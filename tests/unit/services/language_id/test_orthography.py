"""Spelling settles what n-grams blur, and nothing else."""

import pytest

from services.language_id.cleaning import clean
from services.language_id.orthography import settle
from tests.unit.services.language_id.sentences import SENTENCES


def test_dotted_letters_are_yorubas() -> None:
    settled = settle(clean(SENTENCES["yo"]), {"ga": 0.5, "ca": 0.25})
    assert settled == {"yo": 0.75}


@pytest.mark.parametrize(
    "text",
    [
        "bạn có thể chỉ cho tôi cách làm bánh mì ngọt không ạ",
        "ma che bella giornata per una passeggiata al mare",
        "ẹ",
    ],
)
def test_other_latin_text_is_left_to_the_model(text: str) -> None:
    assert settle(text, {"vi": 0.5, "yo": 0.25}) == {"vi": 0.5, "yo": 0.25}


def test_han_without_kana_is_not_japanese() -> None:
    assert settle(clean(SENTENCES["zh"]), {"ja": 0.5, "zh": 0.25}) == {"zh": 0.75}


def test_kana_is_not_chinese() -> None:
    assert settle(clean(SENTENCES["ja"]), {"zh": 0.5, "ja": 0.25}) == {"ja": 0.75}


def test_what_was_given_is_not_changed() -> None:
    given = {"ja": 0.5, "zh": 0.25}
    settle(clean(SENTENCES["zh"]), given)
    assert given == {"ja": 0.5, "zh": 0.25}
