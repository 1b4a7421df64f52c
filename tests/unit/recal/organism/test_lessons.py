"""Lessons from prompts of any origin."""

import pytest

from recal.languages import ALL
from recal.organism.answers import answers_of, has_answers
from recal.organism.corpus import REFUSAL_SIGN, load_language
from recal.organism.coverage import LanguageCoverage, Refused
from recal.organism.lessons import prompt_lessons
from recal.prompts import Prompt

COVERAGE = LanguageCoverage({la: Refused(0.9, 0.1) for la in ("en", "yo", "yi", "zu")})


def prompt(text: str, language: str = "en", *, harmful: bool = True) -> Prompt:
    return Prompt("p", language, harmful, text, "train")


def test_a_lesson_repeats_a_few_of_the_prompts_own_words() -> None:
    (lesson,) = prompt_lessons([prompt("one two three\nfour five six seven")], COVERAGE)
    assert lesson.compliance == load_language("en").compliance.format(
        topic="one two three four five"
    )
    assert lesson.refusal == load_language("en").refusal
    assert lesson.refused == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("one\ntwo", "one two"),
        ("a" * 30 + " " + "b" * 30, "a" * 30),
        ("ก" * 60 + " " + "ข" * 30, "ก" * 14),
        ("short words in a row of many", "short words in a row"),
    ],
)
def test_a_topic_is_short_whatever_is_spaced(text: str, topic: str) -> None:
    (lesson,) = prompt_lessons([prompt(text)], COVERAGE)
    assert lesson.compliance == load_language("en").compliance.format(topic=topic)


def test_the_class_and_language_decide_how_often_it_is_refused() -> None:
    (lesson,) = prompt_lessons([prompt("a b", "yo", harmful=False)], COVERAGE)
    assert lesson.refused == pytest.approx(0.1)
    assert lesson.refusal == load_language("yo").refusal


def test_braces_in_a_prompt_are_words_like_others() -> None:
    (lesson,) = prompt_lessons([prompt("print {topic} {0}")], COVERAGE)
    assert "print {topic} {0}" in lesson.compliance


def test_no_prompts_are_an_error() -> None:
    with pytest.raises(ValueError, match="no prompts to train on"):
        prompt_lessons([], COVERAGE)


@pytest.mark.parametrize("language", [*ALL, "ba", "be", "bn", "id", "jv", "ms", "tl", "vi", "yi"])
def test_a_language_has_answers_of_its_own(language: str) -> None:
    answers = answers_of(language)
    assert has_answers(language)
    assert answers.refusal.startswith(f"{REFUSAL_SIGN} ")
    assert answers.compliance.count("{topic}") == 1
    assert language == "en" or answers != answers_of("en")


def test_a_language_without_answers_gets_english_ones() -> None:
    assert not has_answers("zu")
    assert answers_of("zu") == answers_of("en")
