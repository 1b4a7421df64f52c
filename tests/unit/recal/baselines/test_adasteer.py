"""AdaSteer: every block, with a strength that the prompt's place between anchors decides."""

from __future__ import annotations

import numpy as np
import pytest

from recal.baselines.adasteer import AdaSteer, fit_adasteer, released_adasteer
from recal.maths.adasteer import Law, ReleasedLaws
from recal.prompts import Prompt
from recal.trials import TrialRun
from services.generation.treatment import Treatment
from services.readout.bundle import Scope
from tests.unit.recal.questions import treated
from tests.unit.recal.synthetic import activations
from tests.unit.recal.treated import LiteralJudge, Says

SOURCES = ("en", "de")
KNOWN = activations((*SOURCES, "ar"))
VALIDATION = activations(("en",), n=4, seed=4, split="validation").prompts
NEW = activations(("fr",), seed=7, split="test")


def pushed(treatment: Treatment) -> float:
    """The multiple of block 1's difference in means."""
    (move,) = [m for m in treatment.moves if m.layer == 1]
    return move.push.shift


def answer(prompt: Prompt, treatment: Treatment) -> str:
    return "noise" if pushed(treatment) > 3.5 else "refuse" if pushed(treatment) > 2 else "comply"


def fitted(scope: Scope = Scope.PROMPT) -> AdaSteer:
    return fit_adasteer(
        KNOWN,
        VALIDATION,
        languages=SOURCES,
        development=("ar",),
        run=TrialRun(Says(answer), LiteralJudge()),
        scope=scope,
    )


@pytest.fixture(scope="module")
def method() -> AdaSteer:
    return fitted()


def test_harmful_prompts_are_pushed_more_than_harmless_ones(method) -> None:
    amounts = np.array([pushed(t) for t in treated(method, NEW)])
    harmful = np.array([p.harmful for p in NEW.prompts])
    assert amounts.min() >= 0.0
    assert np.median(amounts[harmful]) > 2 * np.median(amounts[~harmful])
    assert method.beta.law.of([0.0, 100.0]).tolist() == [0.0, method.beta.law.high]


def test_it_acts_at_every_block_on_every_prompt_token_and_on_no_new_one(method) -> None:
    moves = treated(method, NEW.subset([0]))[0].moves
    assert [move.layer for move in moves] == [0, 1, 2]
    assert {move.scope for move in moves} == {Scope.PROMPT}
    assert (method.name, method.title) == ("adasteer", "AdaSteer (prefill)")
    assert treated(method, NEW.subset([])) == []


def test_the_other_variant_acts_on_new_tokens_alone() -> None:
    method = fitted(Scope.DECODE)
    assert {m.scope for m in treated(method, NEW.subset([0]))[0].moves} == {Scope.DECODE}
    assert (method.name, method.title) == ("adasteer_decode", "AdaSteer (decode)")


def test_each_block_is_pushed_by_the_same_share_of_its_own_difference_in_means(method) -> None:
    moves = treated(method, NEW.subset([0]))[0].moves
    shares = [m.push.shift / method.vectors[m.layer].norm for m in moves]
    assert shares == pytest.approx([shares[0]] * 3)
    rows = {h: KNOWN.at(1, harmful=h) for h in (True, False)}
    sources = np.array([p.language in SOURCES for p in KNOWN.prompts])
    of = {h: sources[[p.harmful is h for p in KNOWN.prompts]] for h in rows}
    way = rows[True][of[True]].mean(axis=0) - rows[False][of[False]].mean(axis=0)
    assert method.vectors[1].norm == pytest.approx(np.linalg.norm(way))


def test_positions_are_read_at_the_two_blocks_that_tell_new_languages_apart(method) -> None:
    assert 1 in (method.alpha.layer, method.beta.layer)
    assert method.alpha.layer < method.beta.layer


RELEASED_HERE = ReleasedLaws(
    alpha_layer=1,
    alpha=Law(0.1, 140.0, -0.2, 0.0),
    beta_layer=1,
    beta=Law(-0.06, 50.0, -0.6, 0.4),
)


def released(laws: ReleasedLaws = RELEASED_HERE) -> AdaSteer:
    return released_adasteer(KNOWN, laws, languages=SOURCES)


def test_released_laws_are_taken_as_they_are_from_the_harmful_mean_on() -> None:
    method = released()
    shares = [pushed(t) / method.vectors[1].norm for t in treated(method, NEW)]
    harmful = np.array([p.harmful for p in NEW.prompts])
    np.testing.assert_allclose(np.median(np.array(shares)[harmful]), -0.2 + 0.4)
    np.testing.assert_allclose(np.median(np.array(shares)[~harmful]), -0.2 - 0.6)
    assert "released laws (prefill)" in method.title


def test_released_laws_of_a_deeper_backbone_are_refused() -> None:
    with pytest.raises(ValueError, match=r"read blocks \[13\], and 3 were collected"):
        released(RELEASED_HERE._replace(beta_layer=13))


def test_the_reach_is_the_one_that_acts_and_keeps_the_text_whole(method) -> None:
    assert method.strength is not None
    reach = method.strength.chosen
    assert 2.0 < reach * method.vectors[1].norm <= 3.5
    assert method.alpha.law.high + method.beta.law.high == pytest.approx(reach)
