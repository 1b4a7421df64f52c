"""Recalibration: the threshold follows the language, the readout does not move."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from recal.collect import Activations
from recal.evidence import Beside
from recal.maths.estimators.catalogue import ESTIMATORS
from recal.maths.metrics import balanced_accuracy, rates_at
from recal.maths.prior import Prior
from recal.maths.threshold import source_threshold
from recal.recalibrate import (
    PAPER,
    ZONE_WIDTH,
    RecalibrationPlan,
    calibrate_source,
    recalibrate,
    recalibrate_together,
    scores_of,
    zone_width_of,
)
from services.domain import Action
from services.readout.artefact import save_calibration
from services.readout.bundle import Readout
from tests.unit.recal.synthetic import activations
from tests.unit.recal.test_fit import fitted


@pytest.fixture(scope="module")
def readout() -> Readout:
    return replace(fitted(), digest="d" * 64, version="readout@1")


def few(k: int = 4, shift: float = -4.0) -> Activations:
    return activations(("sw",), n=k, shift=shift, seed=3, split="calibration")


def joined(*parts: Activations) -> Activations:
    return Activations(
        tuple(p for part in parts for p in part.prompts),
        parts[0].layers,
        np.concatenate([part.residuals for part in parts]),
    )


def rows(given: Activations, chosen: Sequence[int]) -> Activations:
    prompts = tuple(given.prompts[i] for i in chosen)
    return Activations(prompts, given.layers, given.residuals[list(chosen)])


def as_source(given: Activations, language: str = "en", up: float = 4.0) -> Activations:
    """The same prompts in a source language, which lies as far up as the target lies down."""
    moved = given.residuals.copy()
    moved[:, :, 0] += up
    prompts = [replace(p, language=language, text=f"{language} {p.id}") for p in given.prompts]
    return Activations(tuple(prompts), given.layers, moved)


def beside_everything(many: Activations, examples: Activations) -> Beside:
    return Beside(
        sources=as_source(joined(examples, many)),
        unlabelled=many,
        parallel=joined(many, as_source(many)),
        translated=activations(("sw",), n=60, shift=-4.0, seed=21, split="train"),
        prior=Prior(-0.5, 1.0, ("am", "yo")),
    )


def test_a_shifted_language_gets_its_own_threshold(readout: Readout) -> None:
    unseen = scores_of(readout, activations(("sw",), n=200, shift=-4.0, seed=9), "sw")
    made = recalibrate(readout, few(), "sw").calibration
    at_source = balanced_accuracy(*unseen, readout.source_threshold)
    assert at_source < 0.8
    assert balanced_accuracy(*unseen, made.threshold) > 0.95


@pytest.mark.parametrize("name", ["unlabelled", "parallel", "translate_train"])
def test_a_language_without_a_labelled_example_gets_its_threshold_too(
    readout: Readout, name: str
) -> None:
    unseen = scores_of(readout, activations(("sw",), n=200, shift=-4.0, seed=9), "sw")
    many = activations(("sw",), n=60, shift=-4.0, seed=5, split="calibration")
    plan = RecalibrationPlan(estimator=name)
    beside = replace(beside_everything(many, few()), sources=None)
    made = recalibrate(readout, None, "sw", plan=plan, beside=beside).calibration
    assert (made.k, made.estimator) == (0, name)
    assert balanced_accuracy(*unseen, made.threshold) > 0.95


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_makes_a_calibration_that_can_be_saved(
    readout: Readout, name: str, tmp_path
) -> None:
    many = activations(("sw",), n=60, shift=-4.0, seed=5, split="train")
    plan = RecalibrationPlan(estimator=name)
    made = recalibrate(readout, few(), "sw", plan=plan, beside=beside_everything(many, few()))
    saved = save_calibration(made.calibration, tmp_path / "sw")
    assert saved.estimator == name
    assert saved.provenance["assumptions"]


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


def test_everything_that_had_a_say_is_among_the_hashes(readout: Readout) -> None:
    many = activations(("sw",), n=60, shift=-4.0, seed=5, split="train")
    beside = beside_everything(many, few())
    made = recalibrate(readout, few(), "sw", beside=beside).calibration
    assert {p.digest for p in many.prompts} < set(made.example_hashes)
    english = {p.digest for p in as_source(many).prompts}
    assert not english & set(made.example_hashes)


def test_held_out_prompts_give_metrics_and_a_reference_histogram(readout: Readout) -> None:
    held_out = activations(("sw",), n=50, shift=-4.0, seed=11, split="test")
    made = recalibrate(readout, few(), "sw", held_out=held_out).calibration
    assert made.metrics["auc"] > 0.95
    reached = rates_at(*scores_of(readout, held_out, "sw"), made.thresholds.steer)
    assert (made.metrics["tpr"], made.metrics["fpr"]) == reached
    assert made.reference_refusal == {"harmful": reached[0], "harmless": reached[1]}
    assert made.histogram is not None
    assert sum(made.histogram.harmful) == 50


def test_an_example_that_is_also_held_out_is_refused(readout: Readout) -> None:
    with pytest.raises(ValueError, match="also held out"):
        recalibrate(readout, few(), "sw", held_out=few())


def test_an_unlabelled_prompt_that_is_also_held_out_is_refused(readout: Readout) -> None:
    many = activations(("sw",), n=60, shift=-4.0, seed=5)
    with pytest.raises(ValueError, match="also held out"):
        recalibrate(readout, few(), "sw", beside=Beside(unlabelled=many), held_out=many)


def test_swapped_labels_are_noticed(readout: Readout) -> None:
    examples = few()
    swapped = replace(
        examples, prompts=tuple(replace(p, harmful=not p.harmful) for p in examples.prompts)
    )
    assert recalibrate(readout, swapped, "sw").warnings
    assert not recalibrate(readout, examples, "sw").warnings


def test_a_wrong_label_is_named_by_its_id(readout: Readout) -> None:
    examples = activations(("sw",), n=8, shift=-4.0, seed=3, split="calibration")
    prompts = list(examples.prompts)
    wrong = next(i for i, p in enumerate(prompts) if not p.harmful)
    prompts[wrong] = replace(prompts[wrong], harmful=True)
    warnings = recalibrate(readout, replace(examples, prompts=tuple(prompts)), "sw").warnings
    assert any(
        f"harmful example `{prompts[wrong].id}` alone moves" in warning for warning in warnings
    )


def test_a_missing_class_names_the_language_and_the_way_out(readout: Readout) -> None:
    examples = few()
    harmful = rows(examples, [i for i, p in enumerate(examples.prompts) if p.harmful])
    plan = RecalibrationPlan(estimator="midpoint")
    with pytest.raises(ValueError, match="language `sw`: `midpoint` needs .* 4 harmful and 0"):
        recalibrate(readout, harmful, "sw", plan=plan)


def test_examples_of_one_class_beside_other_evidence_are_a_warning(readout: Readout) -> None:
    examples = few()
    harmful = rows(examples, [i for i, p in enumerate(examples.prompts) if p.harmful])
    made = recalibrate(readout, harmful, "sw", beside=Beside(prior=Prior(0.0, 1.0)))
    assert made.calibration.threshold == 0.0
    assert made.warnings == ("4 harmful example(s) say nothing without a harmless one; add one",)


def test_no_evidence_at_all_is_refused(readout: Readout) -> None:
    with pytest.raises(ValueError, match="language `sw`: nothing is known of the language"):
        recalibrate(readout, None, "sw")


def test_a_tag_that_is_none_is_refused(readout: Readout) -> None:
    with pytest.raises(ValueError, match="`swahili` is no BCP 47 language tag; write e.g. `sw`"):
        recalibrate(readout, few(), "swahili")


def test_a_residual_that_is_not_a_number_is_refused(readout: Readout) -> None:
    examples = few()
    broken = examples.residuals.copy()
    broken[0] = np.nan
    with pytest.raises(ValueError, match="non-finite"):
        recalibrate(readout, replace(examples, residuals=broken), "sw")


def test_a_residual_of_another_width_is_refused(readout: Readout) -> None:
    examples = few()
    narrow = replace(examples, residuals=examples.residuals[:, :, :7])
    with pytest.raises(ValueError, match="the residual has width 7, the readout 12"):
        recalibrate(readout, narrow, "sw")


def test_a_vacuous_bound_makes_no_calibration(readout: Readout) -> None:
    plan = RecalibrationPlan(estimator="conformal")
    with pytest.raises(ValueError, match="language `sw`: the estimate is vacuous .* there are 4"):
        recalibrate(readout, few(), "sw", plan=plan)


def test_a_bound_that_few_examples_cannot_give_is_recorded_as_vacuous(readout: Readout) -> None:
    plain = recalibrate(readout, few(), "sw").calibration
    made = recalibrate(readout, few(), "sw", plan=RecalibrationPlan(bound=0.05))
    assert made.calibration.vacuous
    assert made.calibration.thresholds == plain.thresholds
    assert sum("vacuous" in warning for warning in made.warnings) == 2


def test_a_bound_that_translations_give_moves_the_thresholds_outward(readout: Readout) -> None:
    translated = activations(("sw",), n=150, shift=-4.0, seed=21, good_layer=0, split="train")
    beside = Beside(translated=translated)
    plain = recalibrate(readout, None, "sw", beside=beside).calibration
    plan = RecalibrationPlan(bound=0.05)
    bound = recalibrate(readout, None, "sw", beside=beside, plan=plan).calibration
    assert not bound.vacuous
    assert bound.thresholds.steer > plain.thresholds.steer
    assert bound.thresholds.release < plain.thresholds.release
    reached = rates_at(*scores_of(readout, translated, "sw"), bound.thresholds.steer)
    assert reached.fpr <= 0.05
    assert "bounded at 0.05 ± 0.01" in bound.provenance["bounds"]


@pytest.mark.parametrize(
    "bad", [{"bound": 0.0}, {"bound": 1.0}, {"bound": 0.05, "routing": "two_way"}]
)
def test_an_impossible_bound_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="bound"):
        RecalibrationPlan(**bad)


def test_what_each_part_said_is_recorded(readout: Readout) -> None:
    many = activations(("sw",), n=60, shift=-4.0, seed=5, split="train")
    made = recalibrate(readout, few(), "sw", beside=beside_everything(many, few())).calibration
    parts = ("labels", "prior", "unlabelled", "parallel", "translated")
    assert {*parts, *(f"{part}_sd" for part in parts)} <= set(made.evidence)
    weights = {part: made.evidence[f"{part}_sd"] ** -2 for part in parts}
    mean = sum(weights[p] * made.evidence[p] for p in parts) / sum(weights.values())
    assert made.threshold == pytest.approx(mean)
    assert made.evidence["rho_freedom"] == 6.0


def test_a_languages_own_threshold_is_recorded_without_the_others(readout: Readout) -> None:
    alone = recalibrate(readout, few(), "sw").calibration
    pulled = recalibrate(readout, few(), "sw", beside=Beside(prior=Prior(5.0, 0.1))).calibration
    assert pulled.threshold != alone.threshold
    assert pulled.evidence["own_threshold"] == alone.evidence["own_threshold"]


def test_its_own_threshold_does_not_hang_on_whether_others_are_known(readout: Readout) -> None:
    examples = few()
    inverted = replace(
        examples, prompts=tuple(replace(p, harmful=not p.harmful) for p in examples.prompts)
    )
    alone = recalibrate(readout, inverted, "sw").calibration
    beside = recalibrate(readout, inverted, "sw", beside=Beside(prior=Prior(5.0, 0.1))).calibration
    assert beside.threshold != alone.threshold
    assert beside.evidence["own_threshold"] == alone.evidence["own_threshold"] < 0.0


def test_languages_recalibrated_together_are_each_others_prior(readout: Readout) -> None:
    languages = ("sw", "am", "yo", "my")
    shifts = dict(zip(languages, (-4.0, -3.8, -4.2, -4.1), strict=True))
    examples = joined(
        *(
            activations((la,), n=1, shift=shift, seed=i, split="calibration")
            for i, (la, shift) in enumerate(shifts.items())
        )
    )
    together = recalibrate_together(readout, examples, languages)
    for language, made in together.items():
        alone = recalibrate(readout, examples, language).calibration
        others = [la for la in languages if la != language]
        assert f"(of {', '.join(others)})" in made.calibration.provenance["assumptions"]
        assert made.calibration.posterior_sd < alone.posterior_sd


def test_a_source_language_steers_from_the_middle_and_releases_below_the_safest_place(
    readout: Readout,
) -> None:
    rows = activations(("de",))
    enough = activations(("de",), n=149, seed=1, split="validation")
    made = calibrate_source(readout, rows, "de", c=0.0, unfitted=enough)
    harmful, harmless = scores_of(readout, rows, "de")
    # 40 rows a class: the midpoint, far from both classes
    assert made.thresholds.steer == pytest.approx((harmful.mean() + harmless.mean()) / 2)
    assert made.thresholds.release == source_threshold(harmful, harmless) < made.thresholds.steer
    assert made.thresholds.release > harmless.mean()
    assert (made.k, made.estimator) == (0, "source")
    assert "nothing changed" in made.provenance["release"]


def test_a_source_language_with_few_prompts_never_releases(readout: Readout) -> None:
    made = calibrate_source(readout, activations(("de",), n=148), "de")
    assert made.thresholds.release is None
    assert "148 harmful prompts" in made.provenance["release"]


def test_a_source_language_releases_below_what_its_model_refuses_of_unfitted_prompts(
    readout: Readout,
) -> None:
    rows = activations(("de",), n=149)
    # harmful prompts that score like harmless ones, which the readout has not seen
    low = activations(("de", "fr"), n=160, shift=-6.0, seed=5, split="validation")
    wide = calibrate_source(readout, rows, "de").thresholds.release

    def release(*refused: Action) -> float | None:
        made = calibrate_source(
            readout, rows, "de", unfitted=low, refuses=lambda p, a: [a in refused] * len(p)
        )
        return made.thresholds.release

    assert release(Action.NONE, Action.RELEASE) == wide
    lost = release(Action.NONE)
    assert lost is not None
    assert lost < scores_of(readout, low, "de").harmful.min() < wide


def test_a_source_language_is_surer_with_more_rows(readout: Readout) -> None:
    few_rows, many = (
        calibrate_source(readout, activations(("de",), n=n), "de").posterior_sd for n in (8, 300)
    )
    assert many < few_rows


def test_a_language_that_was_not_a_source_has_no_source_calibration(readout: Readout) -> None:
    with pytest.raises(ValueError, match="`sw` is not a source language"):
        calibrate_source(readout, activations(("sw",)), "sw")


def test_the_zones_width_is_the_readouts_own_or_one(readout: Readout) -> None:
    assert zone_width_of(readout) == 1.0
    chosen = replace(readout, provenance={**readout.provenance, ZONE_WIDTH: "2.5"})
    assert zone_width_of(chosen) == 2.5


def _wide(readout: Readout) -> Readout:
    return replace(readout, provenance={**readout.provenance, ZONE_WIDTH: "6.0"})


def test_a_language_takes_the_width_that_was_chosen_for_the_readout(readout: Readout) -> None:
    found = recalibrate(_wide(readout), few(), "sw").calibration
    width = found.thresholds.steer - found.thresholds.release
    assert width == pytest.approx(6 * found.posterior_sd)
    told = recalibrate(_wide(readout), few(), "sw", plan=RecalibrationPlan(c=0.5)).calibration
    assert told.thresholds.steer - told.thresholds.release == pytest.approx(0.5 * told.posterior_sd)


def test_a_source_languages_zone_is_not_widened_for_others_few_examples(readout: Readout) -> None:
    made = [
        calibrate_source(each, activations(("de",)), "de") for each in (readout, _wide(readout))
    ]
    assert made[0].thresholds == made[1].thresholds


def test_prompts_of_other_languages_are_not_looked_at(readout: Readout) -> None:
    both = joined(few(), activations(("yo",), n=4, shift=6.0, seed=8, split="calibration"))
    assert recalibrate(readout, both, "sw").calibration.threshold == pytest.approx(
        recalibrate(readout, few(), "sw").calibration.threshold
    )


def test_a_prompt_is_no_text_in_a_message(readout: Readout) -> None:
    examples = few()
    secret = [replace(p, text="the same secret") for p in examples.prompts]
    warnings = labelled_warnings(readout, replace(examples, prompts=tuple(secret)))
    assert warnings
    assert "secret" not in " ".join(warnings)


def labelled_warnings(readout: Readout, examples: Activations) -> Sequence[str]:
    beside = Beside(prior=Prior(0.0, 1.0))
    return recalibrate(readout, examples, "sw", beside=beside).warnings
