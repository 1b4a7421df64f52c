"""The phrase judge: a refusal counts in whatever language, noise never does."""

import pytest

from recal.judge import Exchange, PhraseJudge
from recal.languages import ALL
from recal.organism.corpus import load_language

JUDGE = PhraseJudge(language_of=lambda text: "identified")


def judged(text: str, judge: PhraseJudge = JUDGE) -> tuple[bool, bool, str | None]:
    (judgement,) = judge.judge_all([Exchange("a prompt", text)])
    return judgement


@pytest.mark.parametrize("language", ALL)
def test_a_refusal_is_one_in_every_language_and_its_phrase_names_the_language(
    language: str,
) -> None:
    assert judged(load_language(language).refusal) == (True, False, language)


@pytest.mark.parametrize("language", ALL)
def test_an_answer_is_none_and_its_language_is_identified(language: str) -> None:
    corpus = load_language(language)
    assert judged(corpus.comply(corpus.harmless["bank"])) == (False, False, "identified")


def test_noise_is_degenerate_and_in_no_language() -> None:
    assert judged("I cannot. " * 30) == (False, True, None)


def test_judgements_come_in_the_order_of_the_exchanges() -> None:
    texts = ["I cannot help with that.", "", "Bake it for an hour."]
    found = JUDGE.judge_all([Exchange("", text) for text in texts])
    assert [(j.refused, j.degenerate) for j in found] == [
        (True, False),
        (False, True),
        (False, False),
    ]


def test_a_refusal_in_the_prompt_does_not_count() -> None:
    exchange = Exchange("I cannot help with that.", "Bake it for an hour.")
    assert not JUDGE.judge_all([exchange])[0].refused


def test_the_reply_language_is_identified_by_the_identification_that_serves() -> None:
    text = "Hapa kuna maelezo ya jinsi ya kupika wali na maharage nyumbani."
    assert judged(text, PhraseJudge()) == (False, False, "sw")
