"""Fitting: layer choice, direction and the readout that comes out."""

import numpy as np
import pytest
import torch

from recal.fit import FitPlan, by_language, choose_layer, direction_at, fit, histogram
from recal.maths.metrics import balanced_accuracy
from recal.recalibrate import scores_of
from services.readout.bundle import Readout, Steering
from tests.unit.recal.synthetic import D_MODEL, IDENTITY, activations

PLAN = FitPlan(source_languages=("en", "de", "fr"), development_languages=("ar",), rank=3)


def fitted(layer: int = 1) -> Readout:
    known = activations(("en", "de", "fr", "ar"))
    direction = torch.zeros(D_MODEL)
    direction[0] = 1.0
    steering = Steering(direction=direction, layer=1, coefficient=2.0, typical_norm=3.0)
    return fit(known, IDENTITY, layer=layer, steering=steering, plan=PLAN, provenance={})


@pytest.mark.parametrize("good", [0, 1, 2])
def test_the_layer_that_carries_to_unseen_languages_is_chosen(good: int) -> None:
    known = activations(("en", "de", "fr", "ar"), good_layer=good)
    choice = choose_layer(known, PLAN)
    assert choice.layer == good
    assert set(choice.transfer) == {0, 1, 2}


def test_a_given_layer_is_not_searched_for() -> None:
    plan = FitPlan(source_languages=("en", "de"), layer=2, rank=2)
    assert choose_layer(activations(("en", "de")), plan).layer == 2


def test_the_direction_is_a_unit_vector_along_the_classes() -> None:
    found = direction_at(activations(("en", "de", "fr")), 1, PLAN)
    assert np.linalg.norm(found.direction) == pytest.approx(1.0)
    assert found.direction[0] > 0.9
    assert found.statistics.gap > 4


def test_the_readout_separates_unseen_prompts_and_its_unit_is_one_within_class_sd() -> None:
    readout = fitted()
    scores = scores_of(readout, activations(("de",), seed=5), "de")
    assert balanced_accuracy(*scores, readout.source_threshold) > 0.97
    assert np.std(scores.harmless) == pytest.approx(1.0, abs=0.35)


def test_a_layer_without_signal_does_not_separate() -> None:
    readout = fitted(layer=0)
    scores = scores_of(readout, activations(("de",), seed=5), "de")
    assert balanced_accuracy(*scores, readout.source_threshold) < 0.8


def test_a_language_that_was_not_collected_is_named() -> None:
    with pytest.raises(ValueError, match="`it`"):
        by_language(activations(("en",)), 1, ("en", "it"))


def test_scores_beyond_the_edges_are_counted_in_the_outer_bins() -> None:
    counted = histogram(np.array([-100.0, 0.1, 100.0]), np.array([0.0]))
    assert sum(counted.harmful) == 3
    assert counted.harmful[0] == counted.harmful[-1] == 1


@pytest.mark.parametrize(
    "changes", [{"source_languages": ("en",)}, {"rank": 0}], ids=["one language", "rank 0"]
)
def test_a_plan_that_cannot_be_fitted_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="at least"):
        FitPlan(**changes)  # type: ignore[arg-type]
