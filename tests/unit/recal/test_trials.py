"""Trying treatments: shares, shared batches, and the count of texts."""

import pytest

from recal.trials import Case, TrialRun, thinned, with_neighbours
from services.domain import Action
from services.generation.treatment import UNTOUCHED, Treatment
from tests.unit.recal.synthetic import activations
from tests.unit.recal.treated import LiteralJudge, Says

PROMPTS = activations(("en", "de"), n=4).prompts
OTHER = Treatment(Action.NONE)


def by_treatment(refusing: Treatment) -> Says:
    return Says(
        lambda p, t: "noise" if p.language == "de" else "refuse" if t is refusing else "comply"
    )


def test_every_case_has_the_shares_of_its_own_prompts() -> None:
    run = TrialRun(by_treatment(OTHER), LiteralJudge())
    cases = [Case(UNTOUCHED, PROMPTS), Case(OTHER, PROMPTS[:10]), Case(OTHER, PROMPTS[:8])]
    assert run.outcomes(cases) == [(0.0, 0.5), (0.8, 0.2), (1.0, 0.0)]


@pytest.mark.parametrize("n_cases", [1, 31, 32, 33, 100])
def test_many_cases_come_back_in_order(n_cases: int) -> None:
    model = by_treatment(OTHER)
    run = TrialRun(model, LiteralJudge())
    cases = [Case(OTHER if i % 3 else UNTOUCHED, PROMPTS[:8]) for i in range(n_cases)]
    assert [o.refused for o in run.outcomes(cases)] == [float(i % 3 > 0) for i in range(n_cases)]
    assert model.n_texts == 8 * n_cases


def test_texts_are_counted_over_all_steps_and_the_total_never_lies_behind() -> None:
    told: list[tuple[int, int]] = []
    run = TrialRun(
        by_treatment(OTHER), LiteralJudge(), n_texts=20, report=lambda *n: told.append(n)
    )
    run.outcomes([Case(OTHER, PROMPTS)])
    run.judged(PROMPTS[:8], [UNTOUCHED] * 8)
    run.finish()
    assert told == [(8, 20), (16, 20), (20, 20), (24, 24), (24, 24)]


def test_a_value_between_good_neighbours_counts_more_than_one_at_the_edge() -> None:
    assert with_neighbours([0.0, 1.0, 1.0, 1.0, 0.0]) == pytest.approx([0.5, 2 / 3, 1, 2 / 3, 0.5])
    assert with_neighbours([3.0]) == [3.0]


def test_layers_are_thinned_evenly_and_both_ends_stay() -> None:
    assert thinned(range(5), 8) == (0, 1, 2, 3, 4)
    assert thinned(range(4, 27), 5) == (4, 10, 15, 20, 26)
    assert thinned((3, 4, 5), 1) == (3,)
