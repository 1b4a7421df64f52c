"""Recalibration where a language has a readout of its own: no number is of the frozen score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recal.collect import Activations
from recal.evidence import Beside
from recal.maths.metrics import balanced_accuracy
from recal.maths.prior import Prior
from recal.own_readout import FittedOwn, fit_own
from recal.recalibrate import PAPER, RecalibrationPlan, recalibrate, scores_of
from recal.scored_by import OWN_READOUT
from services.readout.artefact import load_calibration, save_calibration
from services.readout.bundle import Bundle, Readout
from tests.unit.recal.test_own_readout import readout, sources, translations

__all__ = ["readout"]  # the fixture


@pytest.fixture(scope="module")
def own(readout: Readout) -> FittedOwn:
    return fit_own(readout, translations(), "sw", method="translate_train")


def few(k: int = 4) -> Activations:
    return translations(n=k, seed=31, split="calibration")


def unseen() -> Activations:
    return translations(n=200, seed=99, split="test")


def test_the_threshold_is_of_the_own_score(readout: Readout, own: FittedOwn) -> None:
    made = recalibrate(readout, few(), "sw", own=own).calibration
    frozen = recalibrate(readout, few(), "sw").calibration
    assert made.own is own.readout
    assert balanced_accuracy(*scores_of(own.readout, unseen(), "sw"), made.threshold) > 0.8
    assert balanced_accuracy(*scores_of(readout, unseen(), "sw"), frozen.threshold) < 0.6


def test_without_a_labelled_example_the_cross_fitted_translations_set_it(
    readout: Readout, own: FittedOwn
) -> None:
    made = recalibrate(readout, None, "sw", own=own).calibration
    assert (made.k, set(made.evidence)) == (
        0,
        {"translated", "translated_sd", "own_threshold", "own_sd"},
    )
    assert balanced_accuracy(*scores_of(own.readout, unseen(), "sw"), made.threshold) > 0.8
    assert "users write as the translator does" in made.provenance["assumptions"]


def test_its_translations_weigh_beside_the_examples(readout: Readout, own: FittedOwn) -> None:
    both = recalibrate(readout, few(), "sw", own=own).calibration
    alone = recalibrate(readout, None, "sw", own=own).calibration
    assert {"labels", "translated"} <= set(both.evidence)
    assert both.posterior_sd < alone.posterior_sd
    lower, upper = sorted((both.evidence["labels"], both.evidence["translated"]))
    assert lower - 0.05 < both.threshold < upper + 0.05


def test_the_translations_statistics_take_the_source_languages_place(
    readout: Readout, own: FittedOwn
) -> None:
    shifted = replace(own, source=replace(own.source, threshold=own.source.threshold + 3.0))
    plan = RecalibrationPlan(estimator="midpoint")
    made = recalibrate(readout, few(1), "sw", own=own).calibration
    assert made.evidence["source threshold"] == own.source.threshold
    assert recalibrate(readout, few(1), "sw", own=shifted).calibration.threshold > made.threshold
    wide = replace(own, source=replace(own.source, sd_within=4.0))
    spread = [
        recalibrate(readout, few(1), "sw", own=each, plan=plan).calibration.posterior_sd
        for each in (own, wide)
    ]
    assert spread[1] > 2 * spread[0]


def test_metrics_and_histogram_are_of_the_own_score(readout: Readout, own: FittedOwn) -> None:
    made = recalibrate(readout, few(), "sw", own=own, held_out=unseen()).calibration
    frozen = recalibrate(readout, few(), "sw", held_out=unseen()).calibration
    assert made.metrics["auc"] > 0.9
    assert frozen.metrics["auc"] < 0.6
    assert made.histogram != frozen.histogram


def test_hashes_of_the_translations_are_kept_so_that_none_of_them_tests_it(
    readout: Readout, own: FittedOwn
) -> None:
    made = recalibrate(readout, few(), "sw", own=own).calibration
    assert {p.digest for p in own.prompts} < set(made.example_hashes)
    assert len(made.example_hashes) == 120 + 8
    assert made.provenance[OWN_READOUT] == own.said


def test_warnings_of_the_translations_reach_the_operator(readout: Readout, own: FittedOwn) -> None:
    warned = replace(own, warnings=("two are the same text",))
    assert "two are the same text" in recalibrate(readout, few(), "sw", own=warned).warnings


def among_them(given: Activations, at: int = 0, **changes: str) -> Activations:
    """Prompts of which one is changed."""
    prompts = list(given.prompts)
    prompts[at] = replace(prompts[at], **changes)  # type: ignore[arg-type]
    return replace(given, prompts=tuple(prompts))


@pytest.mark.parametrize("by", ["text", "parallel_id"])
@pytest.mark.parametrize("what", ["example", "held-out prompt", "unlabelled prompt"])
def test_a_translation_neither_sets_nor_tests_a_threshold(
    readout: Readout, own: FittedOwn, by: str, what: str
) -> None:
    twin = {by: getattr(own.prompts[5], by)}
    given = {
        "example": few(),
        "held-out prompt": unseen(),
        "unlabelled prompt": translations(30, 41),
    }
    given[what] = among_them(given[what], **twin)
    with pytest.raises(ValueError, match=rf"`{own.prompts[5].id}`|also held out"):
        recalibrate(
            readout,
            given["example"],
            "sw",
            own=own,
            beside=Beside(unlabelled=given["unlabelled prompt"]),
            held_out=given["held-out prompt"],
        )


def test_what_is_known_of_the_frozen_score_is_not_weighed_beside(
    readout: Readout, own: FittedOwn
) -> None:
    strange = {
        "source translations": Beside(sources=sources()),
        "parallel prompts": Beside(parallel=sources()),
        "other languages' thresholds": Beside(prior=Prior(-0.5, 1.0, ("am", "yo"))),
        "translated prompts": Beside(translated=translations()),
    }
    for name, beside in strange.items():
        with pytest.raises(ValueError, match=f"{name} say nothing of the score of an own readout"):
            recalibrate(readout, few(), "sw", own=own, beside=beside)


def test_an_own_readout_scores_no_other_language(readout: Readout, own: FittedOwn) -> None:
    with pytest.raises(ValueError, match="is of `sw` and scores no prompt of `yo`"):
        recalibrate(readout, None, "yo", own=own)


def test_unlabelled_prompts_count_by_their_own_score(readout: Readout, own: FittedOwn) -> None:
    beside = Beside(unlabelled=translations(n=60, seed=41))
    made = recalibrate(readout, None, "sw", own=own, beside=beside).calibration
    alone = recalibrate(readout, None, "sw", own=own).calibration
    assert "unlabelled" in made.evidence
    assert made.posterior_sd < alone.posterior_sd


def test_cross_fitted_scores_bound_nothing(readout: Readout, own: FittedOwn) -> None:
    """They are of five other fits: not exchangeable with a new prompt's."""
    many = fit_own(readout, translations(n=150), "sw", method="translate_train")
    bounded = recalibrate(
        readout, few(), "sw", own=many, plan=RecalibrationPlan(bound=0.05)
    ).calibration
    assert bounded.vacuous
    with pytest.raises(ValueError, match="vacuous"):
        recalibrate(readout, few(), "sw", own=many, plan=RecalibrationPlan(estimator="conformal"))


def test_native_examples_that_are_enough_bound_it(readout: Readout, own: FittedOwn) -> None:
    plan = RecalibrationPlan(bound=0.05)
    made = recalibrate(readout, few(100), "sw", own=own, plan=plan).calibration
    assert not made.vacuous
    assert "native" in made.provenance["bounds"]


@pytest.mark.parametrize("plan", [PAPER, RecalibrationPlan(estimator="translate_train")])
def test_it_is_saved_and_belongs_to_its_bundle(
    readout: Readout, own: FittedOwn, plan: RecalibrationPlan, tmp_path: Path
) -> None:
    saved = save_calibration(
        recalibrate(readout, few(), "sw", own=own, plan=plan).calibration, tmp_path / "sw"
    )
    loaded = load_calibration(tmp_path / "sw")
    Bundle(readout, {"sw": loaded})
    assert loaded.own is not None
    both = [np.concatenate(scores_of(each, unseen(), "sw")) for each in (own.readout, loaded.own)]
    assert np.array_equal(*both)
    assert saved.thresholds == loaded.thresholds
