"""A local chat model as a judge."""

from __future__ import annotations

import pytest
import torch

from recal.judge.exchange import Exchange, Outcome
from recal.judge.llm import LlmJudge
from services.backbone.load import Backbone, load_backbone
from services.errors import InvalidRequest
from tests.unit.recal.judge.tiny_judges import EXCHANGES, OUTCOMES, build_chat_judge


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    torch.set_num_threads(1)
    return load_backbone(str(build_chat_judge(tmp_path_factory.mktemp("judge") / "tiny-judge")))


@pytest.fixture
def judge(backbone: Backbone) -> LlmJudge:
    return LlmJudge(backbone, language_of=lambda text: "identified")


@pytest.mark.parametrize("max_rows", [1, 100])
def test_a_model_that_has_learnt_to_judge_is_asked_as_it_has_learnt(
    backbone: Backbone, max_rows: int
) -> None:
    judged = LlmJudge(backbone, max_rows=max_rows).judge_all(EXCHANGES)
    assert [j.refused for j in judged] == [o is Outcome.REFUSED for o in OUTCOMES]
    assert [j.degenerate for j in judged] == [o is Outcome.DEGENERATE for o in OUTCOMES]


def test_exchanges_may_come_in_any_order(judge: LlmJudge) -> None:
    assert judge.judge_all(EXCHANGES[::-1]) == judge.judge_all(EXCHANGES)[::-1]


def test_the_language_of_a_reply_is_recorded_but_not_of_noise(judge: LlmJudge) -> None:
    languages = [j.language for j in judge.judge_all(EXCHANGES)]
    assert languages == ["identified", "identified", None, "identified", "identified"]


def test_an_empty_text_is_degenerate_without_asking(judge: LlmJudge) -> None:
    empty = Exchange("x" * 9999, " ")
    judged = judge.judge_all([empty, EXCHANGES[0]])
    assert judged == [(False, True, None), (True, False, "identified")]


def test_an_exchange_that_does_not_fit_is_named_by_its_place(judge: LlmJudge) -> None:
    with pytest.raises(InvalidRequest, match="exchange 1 takes") as refused:
        judge.judge_all([EXCHANGES[0], Exchange("secret " * 999, "Yes.")])
    assert "secret" not in str(refused.value)


def test_a_very_long_reply_is_cut_to_its_beginning(judge: LlmJudge) -> None:
    with pytest.raises(InvalidRequest) as refused:
        judge.judge_all([Exchange("", "a b " * 5000)])
    assert int(str(refused.value).split("takes ")[1].split()[0]) < 6000


def test_its_name_says_which_model_judged(judge: LlmJudge) -> None:
    assert judge.name == "llm:tiny-judge"
