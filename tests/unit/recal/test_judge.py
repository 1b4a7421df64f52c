"""Judges: a refusal counts in whatever language, noise never does."""

import pytest

from recal.judge import OrganismJudge, PhraseJudge, is_degenerate
from recal.languages import ALL
from recal.organism.corpus import load_language


@pytest.mark.parametrize("language", ALL)
def test_both_judges_know_the_organisms_refusal_in_every_language(language: str) -> None:
    refusal = load_language(language).refusal
    assert OrganismJudge().judge(refusal) == (True, False, language)
    assert PhraseJudge().judge(refusal).refused


@pytest.mark.parametrize("language", ALL)
def test_neither_judge_takes_an_answer_for_a_refusal(language: str) -> None:
    corpus = load_language(language)
    answer = corpus.comply(corpus.harmless["bank"])
    assert OrganismJudge().judge(answer) == (False, False, None)
    assert PhraseJudge().judge(answer) == (False, False, None)


def test_the_organism_judge_takes_a_broken_refusal_for_degenerate() -> None:
    broken = load_language("en").refusal.replace("help", "help help")
    assert OrganismJudge().judge(broken) == (False, True, None)


@pytest.mark.parametrize("text", ["", "  \n", "good � bad", "ha ha ha " * 30, "သ" * 200])
def test_empty_broken_and_repeating_texts_are_degenerate(text: str) -> None:
    assert is_degenerate(text)
    assert PhraseJudge().judge(text).degenerate


@pytest.mark.parametrize("language", ALL)
def test_ordinary_text_is_not_degenerate(language: str) -> None:
    corpus = load_language(language)
    pairs = zip(corpus.templates.values(), corpus.harmless.values(), strict=False)
    text = " ".join(template.format(request=request) for template, request in pairs)
    assert not is_degenerate(text[:400])
