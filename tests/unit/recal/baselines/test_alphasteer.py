"""AlphaSteer: a strength of its own for every prompt, which vanishes on benign states."""

from __future__ import annotations

import numpy as np
import pytest

from recal.baselines.alphasteer import AlphaSteer, fit_alphasteer
from recal.collect import Activations
from recal.prompts import Prompt
from recal.trials import TrialRun
from services.generation.treatment import Treatment
from services.readout.bundle import Scope
from tests.unit.recal.questions import treated
from tests.unit.recal.synthetic import activations
from tests.unit.recal.treated import LiteralJudge, Says


def squeezed(known: Activations) -> Activations:
    """Benign states that hardly vary along some axes, the one of harm among them."""
    rows = known.residuals.copy()
    benign = np.array([not p.harmful for p in known.prompts])
    rows[:, :, 6:] *= 4.0
    rows[benign, :, 0] *= 0.05
    return Activations(known.prompts, known.layers, rows)


KNOWN = squeezed(activations(("en", "de")))
NEW = squeezed(activations(("fr",), seed=7, split="test"))
VALIDATION = activations(("en",), n=4, seed=4, split="validation").prompts


def answer(prompt: Prompt, treatment: Treatment) -> str:
    shift = treatment.moves[0].push.shift
    return "noise" if shift > 4 else "refuse" if shift > 2 else "comply"


@pytest.fixture(scope="module")
def method() -> AlphaSteer:
    run = TrialRun(Says(answer), LiteralJudge())
    return fit_alphasteer(KNOWN, VALIDATION, languages=("en", "de"), run=run)


def test_harmful_prompts_are_moved_and_benign_ones_nearly_not(method: AlphaSteer) -> None:
    shifts = np.array([t.moves[0].push.shift for t in treated(method, NEW)])
    harmful = np.array([p.harmful for p in NEW.prompts])
    assert np.median(shifts[harmful]) > 1.5
    assert np.abs(shifts[~harmful]).max() < 0.3 * np.median(shifts[harmful])


def test_it_acts_on_every_prompt_token_of_the_middle_blocks(method: AlphaSteer) -> None:
    (treatment,) = treated(method, NEW.subset([0]))
    assert [(m.layer, m.scope) for m in treatment.moves] == [(1, Scope.PROMPT)]
    assert treated(method, NEW.subset([])) == []


def test_the_strength_acts_and_keeps_the_text_whole(method: AlphaSteer) -> None:
    assert 2 < method.strength.chosen * method.blocks[1].norm <= 4
