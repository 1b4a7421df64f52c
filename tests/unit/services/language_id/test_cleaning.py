"""Cleaning takes away what hides a language, and keeps what spells one."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.language_id.cleaning import MAX_SEGMENTS, clean, segments
from tests.unit.services.language_id.sentences import ENGLISH

PLAIN = "how can i bake a loaf of bread"


@pytest.mark.parametrize(
    "text",
    [
        "How can I bake a loaf of bread?",
        "How\ncan\tI\r\nbake\x00a  loaf of\u2028bread",
        "H\u200bo\u200dw c\u2060an I ba\ufeffke a lo\u00adaf of bre\u200cad",
        "\u202eHow can I\u202c bake \u2066a loaf\u2069 of\u200f bread",
        "How\U000e0068\U000e0069 can I bake a loaf of bread\U000e007f",
        "How can\ufe0f I bake a loaf\u3164 of\u034f bread 😀",
        "Ｈｏｗ ｃａｎ Ｉ ｂａｋｅ ａ ｌｏａｆ ｏｆ ｂｒｅａｄ",
        "𝐇𝐨𝐰 𝒄𝒂𝒏 𝕀 𝚋𝚊𝚔𝚎 ⓐ 𝓁ℴ𝒶𝒻 𝖔𝖋 𝗯𝗿𝗲𝗮𝗱",
        "Ноw саn I bаkе а lоаf оf brеаd",
        "How can I bake α lοaf οf bread",
        "НΟW СΑN I ВАКЕ A LОАF ОF ВRЕАD",
        "How 12 can I (34) bake a loaf of bread https://example.org/a?b=c",
        "How can I bake a loaf of bread, me@example.org",
        "How can I bake a \ud800loaf of bread",
    ],
)
def test_a_disguise_comes_off(text: str) -> None:
    assert clean(text) == PLAIN


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("ශ්\u200dරී ලංකාව", "ශ්\u200dරී ලංකාව"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("មាន\u200bឈ្មោះ", "មាន\u200bឈ្មោះ"),
        ("မြန်မာ\u200bစာ", "မြန်မာ\u200bစာ"),
        ("क\u094d\u200dष", "क\u094d\u200dष"),
    ],
)
def test_a_joiner_that_spells_stays(text: str, kept: str) -> None:
    assert clean(text) == kept


def test_a_joiner_at_the_edge_of_such_a_script_goes() -> None:
    assert clean("\u200dශ්රී a\u200dශ\u200d") == "ශ්රී aශ"


@pytest.mark.parametrize("text", ["Jọ̀wọ́ sọ̀rọ̀", "ทำน้ำ", "ສຳຄັນ", "한국어", "ぱん が", "ကို", "ខ្មែរ"])
def test_vowel_signs_and_tone_marks_stay(text: str) -> None:
    assert clean(unicodedata.normalize("NFD", text)) == unicodedata.normalize("NFC", text).lower()


def test_stacked_accents_are_cut_down() -> None:
    assert len(clean("b" + "\u0335\u0336\u0337\u0338" * 10 + "read")) < 10


@pytest.mark.parametrize(
    "text", ["как мне испечь хлеб", "πώς μπορώ να ψήσω ψωμί", "он и она", "што ј љ њ"]
)
def test_words_of_one_script_are_left_alone(text: str) -> None:
    assert clean(text) == text


def test_latin_letters_in_a_cyrillic_word_become_cyrillic() -> None:
    assert clean("Kaк мнe иcпeчь xлeб домa") == "как мне испечь хлеб дома"


def test_a_real_foreign_word_stays_foreign() -> None:
    assert clean("what does привет mean") == "what does привет mean"


@pytest.mark.parametrize("text", ["", " \n\x00 ", "123 456", "😀😀", "\u200d\u200b", "...!?"])
def test_nothing_to_read_is_empty(text: str) -> None:
    assert clean(text) == ""


@given(st.text(max_size=200))
def test_cleaning_leaves_nothing_that_fasttext_trips_over(text: str) -> None:
    cleaned = clean(text)
    assert not set("\n\r\x00\t\u2028") & set(cleaned)
    assert cleaned == " ".join(cleaned.split())
    cleaned.encode()


def test_many_different_characters_are_cleaned_like_few() -> None:
    symbols = "".join(map(chr, range(0x2500, 0x2580)))
    assert clean(f"bread {symbols} oven") == "bread oven"


def test_a_short_text_is_one_segment() -> None:
    assert segments("a short text") == ("a short text",)
    assert segments("") == ()


@pytest.mark.parametrize("length", [97, 200, 1000, 5000, 100_000])
def test_segments_reach_from_the_beginning_to_the_end(length: int) -> None:
    text = (clean(ENGLISH) * 100)[:length].strip()
    found = segments(text)
    assert text.startswith(found[0])
    assert text.endswith(found[-1])
    assert 2 <= len(found) <= MAX_SEGMENTS


@pytest.mark.parametrize("length", [97, 200, 1000, 5000, 30_000])
def test_every_word_is_in_some_segment(length: int) -> None:
    text = " ".join(f"w{n}" for n in range(length // 7))
    assert set(text.split()) <= set(" ".join(segments(text)).split())


def test_segments_do_not_cut_words() -> None:
    text = " ".join(f"word{n}" for n in range(400))
    assert all(set(piece.split()) <= set(text.split()) for piece in segments(text))
