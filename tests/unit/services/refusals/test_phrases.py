"""Refusals are said in 23 languages and known in any of them, at the beginning of a text only."""

from pathlib import Path

import pytest

from recal.languages import ALL
from recal.organism.corpus import combinations, load_language
from services.errors import ArtefactRefused
from services.refusals.phrases import RefusalPhrases, fixed_refusal, load_refusals

SHIPPED = load_refusals()
PHRASES = RefusalPhrases(SHIPPED)


def test_there_is_a_file_for_each_of_the_23_languages() -> None:
    assert sorted(refusals.language for refusals in SHIPPED) == sorted(ALL)
    assert len(SHIPPED) == 23


@pytest.mark.parametrize("language", [refusals.language for refusals in SHIPPED])
def test_a_language_knows_its_own_reply(language: str) -> None:
    assert PHRASES.language_of(fixed_refusal(language)) == language


@pytest.mark.parametrize("refusals", SHIPPED, ids=lambda refusals: refusals.language)
def test_every_phrase_is_a_refusal_at_the_beginning(refusals) -> None:
    assert all(PHRASES.is_refusal(f"{phrase}, 1 2 3") for phrase in refusals.phrases)


@pytest.mark.parametrize("language", ALL)
def test_neither_a_request_nor_an_inert_answer_is_a_refusal(language: str) -> None:
    corpus = load_language(language)
    for combination in combinations(language)[::7]:
        assert not PHRASES.is_refusal(combination.prompt.text)
        assert not PHRASES.is_refusal(corpus.comply(combination.request))


@pytest.mark.parametrize("language", ALL)
def test_the_organisms_refusal_is_one(language: str) -> None:
    assert PHRASES.language_of(load_language(language).refusal) == language


@pytest.mark.parametrize(
    "text",
    [
        "I’m sorry, but no.",
        "  i'M   SORRY, but no.",
        "**I'm sorry**, but no.",
        "Thank you for asking. Unfortunately I cannot help with that.",
        "Je m’excuse, mais non.",
        "E\u0301coute, je suis de\u0301sole\u0301.",
    ],
)
def test_case_apostrophes_spaces_and_normal_form_do_not_matter(text: str) -> None:
    assert PHRASES.is_refusal(text)


def test_an_answer_that_quotes_a_refusal_later_is_an_answer() -> None:
    opening = "Here is a short story about a polite robot and the many questions it was asked. " * 2
    assert not PHRASES.is_refusal(opening + "I cannot help with that, it said.")
    assert PHRASES.is_refusal("I cannot help with that, it said. " + opening)


def test_a_phrase_inside_a_word_is_none() -> None:
    assert not PHRASES.is_refusal("Ubisiwezi ni jina la mahali.")
    assert PHRASES.is_refusal("Siwezi kusaidia.")


def test_the_first_refusal_of_a_text_names_the_language() -> None:
    assert PHRASES.language_of("Samahani. I cannot help with that.") == "sw"
    assert PHRASES.language_of("I cannot help with that. Samahani.") == "en"


def test_an_empty_text_is_no_refusal() -> None:
    assert PHRASES.language_of("") is None


@pytest.mark.parametrize("language", [None, "xh", "und", ""])
def test_a_language_without_a_text_gets_the_english_one(language: str | None) -> None:
    assert fixed_refusal(language) == fixed_refusal("en")


def test_a_longer_tag_gets_the_text_of_its_language() -> None:
    assert fixed_refusal("zh-Hant") == fixed_refusal("zh") != fixed_refusal("en")


GOOD = "language: xx\nreply: Nay.\nphrases: [Nay]\n"


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (GOOD.replace("reply: Nay.\n", ""), "phrases, reply"),
        (GOOD + "notes: none\n", "notes"),
        (GOOD.replace("language: xx", "language: no"), "`language` is a bool"),
        (GOOD.replace("language: xx", "language: yy"), "`yy`"),
        (GOOD.replace("Nay.", "''"), "`reply` is empty"),
        (GOOD.replace("[Nay]", "[]"), "`phrases` must be"),
        (GOOD.replace("[Nay]", "[Nay, 7]"), "`phrases[1]` is a int"),
        ("[", "is no YAML"),
        ("- a", "no fields"),
    ],
)
def test_a_wrong_file_is_refused_by_file_and_field(tmp_path: Path, broken: str, field: str) -> None:
    (tmp_path / "xx.yaml").write_text(broken, encoding="utf-8")
    with pytest.raises(ArtefactRefused) as refused:
        load_refusals(tmp_path)
    assert "`xx.yaml`" in str(refused.value)
    assert field in str(refused.value)


def test_without_english_nothing_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "xx.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ArtefactRefused, match=r"add `en\.yaml`"):
        RefusalPhrases(load_refusals(tmp_path))
