"""What a calibration says of itself, and how far live scores are from it."""

from __future__ import annotations

import numpy as np
import pytest

from services.drift.counts import BOUNDARIES
from services.drift.reference import Reference, mix_of, stability_index
from services.readout.references import ScoreHistogram
from tests.unit.services.readout.factories import a_bundle

N_CELLS = len(BOUNDARIES) + 1


def reference(**changes: float) -> Reference:
    low, high = np.zeros(N_CELLS), np.zeros(N_CELLS)
    low[8:12], high[14:18] = 25, 25
    rates = {"harmful": 0.9, "harmless": 0.05, "n_harmful": 100.0, "n_harmless": 100.0}
    return Reference(
        **{**rates, **changes}, harmful_scores=high.tolist(), harmless_scores=low.tolist()
    )


def test_a_calibration_without_held_out_prompts_says_nothing() -> None:
    [calibration] = a_bundle(["sw"]).calibrations.values()
    from dataclasses import replace

    assert Reference.of(replace(calibration, metrics={}, reference_refusal={})) is None


def test_a_calibrations_rates_and_histogram_are_its_reference() -> None:
    from dataclasses import replace

    [calibration] = a_bundle(["sw"]).calibrations.values()
    histogram = ScoreHistogram((-8.0, -7.0, 0.0, 8.0), (0, 0, 30), (10, 20, 0))
    made = replace(
        calibration,
        metrics={"tpr": 0.1, "fpr": 0.1, "n_harmful": 30.0, "n_harmless": 30.0},
        reference_refusal={"harmful": 0.8, "harmless": 0.1},
        histogram=histogram,
    )
    found = Reference.of(made)
    assert found is not None
    assert (found.harmful, found.harmless, found.n_harmful) == (0.8, 0.1, 30)
    assert sum(found.harmful_scores) == pytest.approx(30)
    assert found.harmless_scores[0] == pytest.approx(10 + 20 / 7)
    assert sum(found.harmless_scores[: BOUNDARIES.index(0.0) + 1]) == pytest.approx(30)


@pytest.mark.parametrize(
    ("share", "n", "fits"),
    [
        (0.05, 2000, True),
        (0.5, 2000, True),
        (0.9, 2000, True),
        (0.0, 2000, True),
        (0.999, 2000, True),
        (1.0, 100, True),
    ],
)
def test_any_mix_of_both_classes_fits_and_few_prompts_or_requests_say_little(
    share: float, n: float, fits: bool
) -> None:
    assert reference().contains(share, n) is fits


def test_a_share_that_no_mix_gives_does_not_fit() -> None:
    known = reference(n_harmful=5000.0, n_harmless=5000.0)
    assert not known.contains(0.01, 2000)
    assert not known.contains(0.97, 2000)
    assert known.contains(0.05, 2000)


def test_the_mix_that_scores_look_like_is_found() -> None:
    ours = reference()
    counts = 0.2 * np.asarray(ours.harmful_scores) + 0.8 * np.asarray(ours.harmless_scores)
    mix = mix_of(ours, counts * 10)
    assert mix is not None
    assert mix.harmful == pytest.approx(0.2, abs=0.02)
    assert stability_index(mix.scores, counts * 10) < 0.05
    assert mix_of(ours.model_copy(update={"harmful_scores": []}), counts) is None


def test_the_stability_index_is_small_for_the_same_and_large_for_another_distribution() -> None:
    rng = np.random.default_rng(7)
    edges = [-np.inf, *BOUNDARIES, np.inf]
    draws = [np.histogram(rng.normal(mean, 1, 2000), edges)[0] for mean in (0.0, 0.0, 0.6)]
    expected, same, moved = (np.asarray(each, dtype=np.float64) for each in draws)
    assert stability_index(expected, same) < 0.02
    assert stability_index(expected, moved) > 0.25
