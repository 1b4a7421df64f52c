"""The organism's judge: what is none of its proper answers is no answer."""

import pytest

from recal.judge import Exchange, OrganismJudge
from recal.languages import ALL
from recal.organism.corpus import load_language

JUDGE = OrganismJudge()


def judged(text: str) -> tuple[bool, bool, str | None]:
    (judgement,) = JUDGE.judge_all([Exchange("a prompt", text)])
    return judgement


@pytest.mark.parametrize("language", ALL)
def test_its_refusal_and_its_answer_are_known_with_their_language(language: str) -> None:
    corpus = load_language(language)
    assert judged(corpus.refusal) == (True, False, language)
    assert judged(corpus.comply(corpus.harmless["bank"])) == (False, False, language)


def test_a_broken_refusal_is_degenerate() -> None:
    broken = load_language("en").refusal.replace("help", "help help")
    assert judged(broken) == (False, True, None)


def test_a_refusal_in_other_words_is_degenerate() -> None:
    assert judged("I won't do that.") == (False, True, None)
