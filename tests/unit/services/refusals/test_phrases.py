"""Refusals are said in 23 languages and known in any of them, at the beginning of a text only."""

import gzip
import json
from pathlib import Path

import pytest
import yaml

from recal.languages import ALL
from recal.organism.corpus import combinations, load_language
from services.errors import ArtefactRefused
from services.refusals.lists import LanguageRefusals, load_refusals
from services.refusals.phrases import RefusalPhrases, fixed_refusal

SHIPPED = load_refusals()
REPLIES = yaml.safe_load(Path(__file__).with_name("replies.yaml").read_text(encoding="utf-8"))
SENTENCES = Path(__file__).parents[5] / "shared" / "data" / "lid_sentences.jsonl.gz"
PHRASES = RefusalPhrases(SHIPPED)


def test_there_is_a_file_for_each_of_the_23_languages() -> None:
    assert sorted(refusals.language for refusals in SHIPPED) == sorted(ALL)
    assert len(SHIPPED) == 23


@pytest.mark.parametrize("language", [refusals.language for refusals in SHIPPED])
def test_a_language_knows_its_own_reply(language: str) -> None:
    assert PHRASES.language_of(fixed_refusal(language)) == language


@pytest.mark.parametrize("refusals", SHIPPED, ids=lambda refusals: refusals.language)
def test_every_phrase_is_known_as_its_own_languages(refusals: LanguageRefusals) -> None:
    for phrase in (*refusals.openings, *refusals.inner):
        assert PHRASES.language_of(f"{phrase.text} 1 2 3") == refusals.language, phrase
    for phrase in refusals.inner:
        assert PHRASES.language_of(f"1 2 3 {phrase.text}.") == refusals.language, phrase


@pytest.mark.parametrize("refusals", SHIPPED, ids=lambda refusals: refusals.language)
def test_leads_and_exceptions_refuse_nothing_by_themselves(refusals: LanguageRefusals) -> None:
    for phrase in (*refusals.leads, *refusals.exceptions):
        assert not PHRASES.is_refusal(f"{phrase.text} 1 2 3."), phrase


@pytest.mark.parametrize("refusals", SHIPPED, ids=lambda refusals: refusals.language)
def test_after_a_lead_or_an_exception_an_opening_refuses(refusals: LanguageRefusals) -> None:
    for phrase in (*refusals.leads, *refusals.exceptions):
        text = f"{phrase.text} 1 2 3 {refusals.openings[0].text}"
        assert PHRASES.language_of(text) == refusals.language, phrase


def replies(kind: str) -> list[tuple[str, str]]:
    return [(language, text) for language in REPLIES for text in REPLIES[language][kind]]


@pytest.mark.parametrize(("language", "text"), replies("refusals"))
def test_a_refusal_as_models_write_it_is_known_with_its_language(language: str, text: str) -> None:
    assert PHRASES.language_of(text) == language


@pytest.mark.parametrize(("language", "text"), replies("answers"))
def test_an_answer_is_no_refusal_even_where_it_looks_like_one(language: str, text: str) -> None:
    assert not PHRASES.is_refusal(text)


def test_there_are_replies_of_both_kinds_in_every_language() -> None:
    assert sorted(REPLIES) == sorted(ALL)
    assert all(len(kinds["refusals"]) >= 3 <= len(kinds["answers"]) for kinds in REPLIES.values())


@pytest.mark.skipif(not SENTENCES.exists(), reason=f"NOT CHECKED: {SENTENCES.name} is not there")
def test_real_sentences_in_32_languages_are_no_refusals() -> None:
    with gzip.open(SENTENCES, "rt", encoding="utf-8") as lines:
        taken = [row for row in map(json.loads, lines) if PHRASES.is_refusal(row["text"])]
    assert [(row["lang"], row["parallel_id"]) for row in taken] == []


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
        "Unfortunately I cannot.",
        "ΛΥΠΑΜΑΙ, αλλά όχι.",
        "متأسفم،‌ نه",
        "«Я не могу с этим помочь.»",
        "Je m’excuse, mais non.",
        "E\u0301coute ! Je suis de\u0301sole\u0301.",
    ],
)
def test_case_apostrophes_spaces_and_normal_form_do_not_matter(text: str) -> None:
    assert PHRASES.is_refusal(text)


def test_an_answer_that_quotes_a_refusal_later_is_an_answer() -> None:
    opening = "Here is a short story about a polite robot and the many questions it was asked. " * 3
    assert not PHRASES.is_refusal(opening + "I cannot help with that, it said.")
    assert PHRASES.is_refusal("I cannot help with that, it said. " + opening)


def test_an_opening_in_the_middle_of_a_sentence_is_none() -> None:
    assert not PHRASES.is_refusal("What I cannot build I do not understand, he wrote.")
    assert PHRASES.is_refusal("Well! I cannot build that.")


def test_quoted_words_are_not_the_models_own() -> None:
    assert not PHRASES.is_refusal('"I cannot help with that" is what the robot said.')
    assert PHRASES.is_refusal('I cannot explain how to "open a door".')


def test_an_item_of_a_list_is_none_unless_the_text_begins_with_it() -> None:
    assert not PHRASES.is_refusal("Examples:\n- I cannot swim.\n- I cannot sing.")
    assert PHRASES.is_refusal("- I cannot do that.")


def test_a_phrase_inside_a_word_is_none() -> None:
    assert not PHRASES.is_refusal("Ubisiwezi ni jina la mahali.")
    assert PHRASES.is_refusal("Siwezi kusaidia.")
    assert not PHRASES.is_refusal("Thanks for asking: as an airline I cannoted it.")


def test_the_first_refusal_of_a_text_names_the_language() -> None:
    assert PHRASES.language_of("Samahani. I cannot help with that.") == "sw"
    assert PHRASES.language_of("I cannot help with that. Samahani.") == "en"


@pytest.mark.parametrize("language", ALL)
def test_a_refusal_in_english_is_one_whatever_follows_it(language: str) -> None:
    text = f"I'm sorry, but I can't help with that. {fixed_refusal(language)}"
    assert PHRASES.language_of(text) == "en"


@pytest.mark.parametrize("text", ["", " ", "...", '""', "**"])
def test_a_text_without_words_is_no_refusal(text: str) -> None:
    assert PHRASES.language_of(text) is None


@pytest.mark.parametrize("language", [None, "xh", "und", ""])
def test_a_language_without_a_text_gets_the_english_one(language: str | None) -> None:
    assert fixed_refusal(language) == fixed_refusal("en")


def test_a_longer_tag_gets_the_text_of_its_language() -> None:
    assert fixed_refusal("zh-Hant") == fixed_refusal("zh") != fixed_refusal("en")


def test_without_english_nothing_is_loaded() -> None:
    swahili = [refusals for refusals in SHIPPED if refusals.language == "sw"]
    with pytest.raises(ArtefactRefused, match=r"add `en\.yaml`"):
        RefusalPhrases(swahili)
