"""The paper's own choice of the acting layer."""

import pytest

from recal.fit import FoundDirection, direction_at
from recal.paper_sweep import MAX_KL, PaperChoice, SweptLayer, paper_choice, sweep_layers
from recal.prompts import Prompt, select
from recal.trials import TrialRun
from services.generation.treatment import Treatment
from services.readout.bundle import ReleaseForm, Scope, SteerForm
from tests.unit.recal.synthetic import activations
from tests.unit.recal.test_fit import PLAN
from tests.unit.recal.treated import LiteralJudge, Says

KNOWN = activations(("en", "de", "fr"))
PLACES = {layer: direction_at(KNOWN, layer, PLAN) for layer in (0, 1, 2)}


def swept(*rows: tuple[int, float, float]) -> PaperChoice:
    return paper_choice([SweptLayer(*row) for row in rows], PLACES)


def test_the_block_whose_ablation_takes_most_refusals_away_is_chosen() -> None:
    found = swept((0, 0.5, 0.01), (1, 0.1, 0.05), (2, 0.2, 0.0))
    assert found.steering.layer == 1
    assert found.within_kl


def test_a_block_that_moves_harmless_prompts_too_much_is_not() -> None:
    assert swept((0, 0.5, 0.01), (1, 0.1, MAX_KL + 0.01)).steering.layer == 0
    assert swept((0, 0.5, 0.01), (1, 0.1, MAX_KL)).steering.layer == 1


def test_of_equals_the_one_that_moves_harmless_prompts_least_is_chosen() -> None:
    assert swept((0, 0.1, 0.02), (1, 0.1, 0.01), (2, 0.1, 0.03)).steering.layer == 1


def test_where_every_block_moves_them_too_much_the_least_is_taken_and_said() -> None:
    found = swept((0, 0.0, 0.9), (1, 1.0, 0.3))
    assert (found.steering.layer, found.within_kl) == (1, False)


def test_the_papers_steering_is_one_gap_along_the_direction_and_ablation_everywhere() -> None:
    steering = swept((1, 0.0, 0.0)).steering
    assert steering.coefficient == PLACES[1].statistics.gap
    assert (steering.form, steering.scope) == (SteerForm.ADD, Scope.LAST_THEN_DECODE)
    assert (steering.release.form, steering.release.scope) == (ReleaseForm.ABLATE, Scope.ALL)


def ablates_at(layer: int, treatment: Treatment) -> bool:
    return any(m.layer == layer and m.push.scale == -1.0 for m in treatment.moves)


def test_each_block_is_ablated_alone_and_measured_on_both_classes() -> None:
    def answer(prompt: Prompt, treatment: Treatment) -> str:
        return "comply" if ablates_at(1, treatment) or not prompt.harmful else "refuse"

    model = Says(answer, moved=lambda treatment: 3.0 if ablates_at(2, treatment) else 0.0)
    harmful, harmless = (select(KNOWN.prompts, harmful=label) for label in (True, False))
    found = sweep_layers(harmful, harmless, PLACES, run=TrialRun(model, LiteralJudge()))
    assert [(each.layer, each.harmful_refused) for each in found] == [(1, 0.0), (2, 1.0)]
    assert found[0].kl == pytest.approx(0.0, abs=1e-12)
    assert found[1].kl > 0.3


def test_the_sweep_leaves_out_a_fifth_at_both_ends() -> None:
    places: dict[int, FoundDirection] = dict.fromkeys(range(10), PLACES[1])
    run = TrialRun(Says(lambda prompt, treatment: "comply"), LiteralJudge())
    found = sweep_layers(KNOWN.prompts[:1], KNOWN.prompts[-1:], places, run=run)
    assert [each.layer for each in found] == [2, 3, 4, 5, 6, 7, 8]
