"""Recalibration: the threshold follows the language, the readout does not move."""

from dataclasses import replace

import numpy as np
import pytest

from recal.collect import Activations
from recal.maths.metrics import balanced_accuracy
from recal.recalibrate import PAPER, RecalibrationPlan, calibrate_source, recalibrate, scores_of
from services.readout.bundle import Readout
from tests.unit.recal.synthetic import activations
from tests.unit.recal.test_fit import fitted


@pytest.fixture(scope="module")
def readout() -> Readout:
    return replace(fitted(), digest="d" * 64, version="readout@1")


def few(k: int = 4, shift: float = -4.0) -> Activations:
    return activations(("sw",), n=k, shift=shift, seed=3, split="calibration")


def test_a_shifted_language_gets_its_own_threshold(readout: Readout) -> None:
    unseen = scores_of(readout, activations(("sw",), n=200, shift=-4.0, seed=9), "sw")
    made = recalibrate(readout, few(), "sw").calibration
    at_source = balanced_accuracy(*unseen, readout.source_threshold)
    assert at_source < 0.8
    assert balanced_accuracy(*unseen, made.threshold) > 0.95


def test_three_zones_steer_at_the_estimate_and_release_below_it(readout: Readout) -> None:
    made = recalibrate(readout, few(), "sw", plan=RecalibrationPlan(c=2.0)).calibration
    assert made.thresholds.steer == made.threshold
    assert made.thresholds.release == pytest.approx(made.threshold - 2.0 * made.posterior_sd)


def test_paper_mode_routes_two_ways_at_its_own_threshold(readout: Readout) -> None:
    made = recalibrate(readout, few(), "sw", plan=PAPER).calibration
    assert made.thresholds.steer == made.thresholds.release == made.threshold
    assert (made.estimator, made.routing) == ("paper_f1", "two_way")


def test_a_calibration_keeps_hashes_and_never_texts(readout: Readout) -> None:
    examples = few()
    made = recalibrate(readout, examples, "sw").calibration
    assert set(made.example_hashes) == {p.digest for p in examples.prompts}
    assert not any(p.text in repr(made) for p in examples.prompts)


def test_held_out_prompts_give_metrics_and_a_reference_histogram(readout: Readout) -> None:
    held_out = activations(("sw",), n=50, shift=-4.0, seed=11, split="test")
    made = recalibrate(readout, few(), "sw", held_out=held_out).calibration
    assert made.metrics["auc"] > 0.95
    assert made.histogram is not None
    assert sum(made.histogram.harmful) == 50


def test_an_example_that_is_also_held_out_is_refused(readout: Readout) -> None:
    with pytest.raises(ValueError, match="also held out"):
        recalibrate(readout, few(), "sw", held_out=few())


def test_swapped_labels_are_noticed(readout: Readout) -> None:
    examples = few()
    swapped = replace(
        examples, prompts=tuple(replace(p, harmful=not p.harmful) for p in examples.prompts)
    )
    assert recalibrate(readout, swapped, "sw").warnings
    assert not recalibrate(readout, examples, "sw").warnings


def test_a_missing_class_names_the_language(readout: Readout) -> None:
    examples = few()
    harmful = [i for i, p in enumerate(examples.prompts) if p.harmful]
    alone = Activations(
        tuple(examples.prompts[i] for i in harmful), examples.layers, examples.residuals[harmful]
    )
    with pytest.raises(ValueError, match="no harmless prompts of `sw`"):
        recalibrate(readout, alone, "sw")


def test_a_residual_that_is_not_a_number_is_refused(readout: Readout) -> None:
    examples = few()
    broken = examples.residuals.copy()
    broken[0] = np.nan
    with pytest.raises(ValueError, match="non-finite"):
        recalibrate(readout, replace(examples, residuals=broken), "sw")


def test_a_source_language_keeps_the_readouts_own_threshold(readout: Readout) -> None:
    made = calibrate_source(readout, activations(("de",)), "de")
    assert made.threshold == readout.source_threshold
    assert (made.k, made.estimator) == (0, "source")
    assert made.thresholds.release < made.thresholds.steer


def test_a_language_that_was_not_a_source_has_no_source_calibration(readout: Readout) -> None:
    with pytest.raises(ValueError, match="`sw` is not a source language"):
        calibrate_source(readout, activations(("sw",)), "sw")
