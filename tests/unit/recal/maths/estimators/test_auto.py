"""`auto` is the precision-weighted mean of what there is, and does without what there is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recal.maths.estimators.auto import Auto
from recal.maths.estimators.fusion import WEAK_PRIOR, fuse
from recal.maths.estimators.paired import paired
from recal.maths.estimators.parallel import parallel
from recal.maths.estimators.translate_train import TRANSLATION_SD, translate_train
from recal.maths.estimators.unlabelled import unlabelled
from recal.maths.evidence import Evidence, Unlabelled
from recal.maths.prior import Prior
from recal.maths.smoothed import smoothed_threshold
from recal.maths.spread import sd_within
from recal.maths.two_class import TwoClass
from tests.unit.recal.maths.estimators.evidences import GAP, SOURCE, everything, labelled

AUTO = Auto()
PARTS = ("sources", "unlabelled", "parallel", "translated", "prior")


def squared_error(rules: dict[str, Evidence], shift: float) -> np.ndarray:
    return np.array([(AUTO(e, source=SOURCE).threshold - shift) ** 2 for e in rules.values()])


def as_unsure_as_it_says(rng: np.random.Generator, k: int, shift: float) -> Evidence:
    """Everything, with a class mix and a translator that are off by as much as is assumed."""
    evidence = everything(rng, k=k, shift=shift)
    n_harmful = round(100 * np.clip(rng.normal(0.5, 0.15), 0.05, 0.95))
    traffic = np.repeat([GAP / 2, -GAP / 2], [n_harmful, 100 - n_harmful]) + rng.normal(size=100)
    off = rng.normal(0, TRANSLATION_SD)
    return replace(
        evidence,
        unlabelled=Unlabelled(shift + traffic),
        translated=TwoClass(*(off + each for each in evidence.translated)),
    )


@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 8))
def test_it_is_the_precision_weighted_mean_of_its_parts(seed: int, k: int) -> None:
    found = AUTO(everything(np.random.default_rng(seed), k=k), source=SOURCE)
    assert (found.threshold, found.posterior_sd) == pytest.approx(fuse(found.parts))


def test_its_parts_are_what_each_estimator_says() -> None:
    evidence = everything(np.random.default_rng(0))
    said = {part.name: part for part in AUTO(evidence, source=SOURCE).parts}
    for name, rule in (
        ("labels", paired),
        ("unlabelled", unlabelled),
        ("parallel", parallel),
        ("translated", translate_train),
    ):
        alone = rule(evidence, source=SOURCE)
        assert said[name][1:] == pytest.approx((alone.threshold, alone.posterior_sd))
    assert said["prior"][1:] == (evidence.prior.mean, evidence.prior.sd)


def test_labels_alone_give_their_midpoint_but_for_a_weak_pull_to_the_source() -> None:
    evidence = Evidence([3.0, 3.0, 3.0, 3.0], [1.0, 1.0, 1.0, 1.0])
    found = AUTO(evidence, source=SOURCE)
    assert [part.name for part in found.parts] == ["labels", WEAK_PRIOR]
    assert 1.9 < found.threshold < 2.0


@pytest.mark.parametrize("alone", ["unlabelled", "parallel", "translated", "prior"])
def test_one_part_alone_is_that_part(alone: str) -> None:
    evidence = everything(np.random.default_rng(1), shift=1.0)
    found = AUTO(Evidence(**{alone: getattr(evidence, alone)}), source=SOURCE)
    ((name, threshold, sd),) = found.parts
    assert name == alone
    assert (threshold, sd) == pytest.approx((found.threshold, found.posterior_sd))


def test_nothing_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing is known of the language"):
        AUTO(Evidence(), source=SOURCE)


@pytest.mark.parametrize("missing", PARTS)
def test_it_works_without_any_one_part_and_is_less_sure(missing: str) -> None:
    rng = np.random.default_rng(2)
    found = []
    for _ in range(20):
        evidence = everything(rng)
        less = replace(evidence, **{missing: None})
        found.append([AUTO(each, source=SOURCE).posterior_sd for each in (evidence, less)])
    whole, without = np.mean(found, axis=0)
    assert without > whole


@pytest.mark.parametrize("k", [1, 4])
def test_it_is_no_worse_than_any_of_its_parts_in_expectation(k: int) -> None:
    rng = np.random.default_rng(k)
    errors = []
    for shift in rng.normal(0, 0.5, size=400):
        whole = replace(as_unsure_as_it_says(rng, k, shift), prior=Prior(0.0, 0.5))
        rules = {"whole": whole}
        rules["labels"] = Evidence(whole.harmful, whole.harmless, sources=whole.sources)
        rules |= {p: Evidence(**{p: getattr(whole, p)}) for p in PARTS if p != "sources"}
        errors.append(squared_error(rules, shift))
    mean = np.mean(errors, axis=0)
    assert (mean[0] < mean[1:]).all()


def test_with_a_part_that_lies_about_its_certainty_it_is_worse_than_its_labels() -> None:
    rng = np.random.default_rng(3)
    errors = []
    for _ in range(300):
        few = labelled(4, rng)
        lied = replace(few, prior=Prior(0.8, 0.01))
        errors.append(squared_error({"lied": lied, "labels": few}, 0.0))
    mean = np.mean(errors, axis=0)
    assert mean[0] > mean[1]


def test_a_prior_that_labels_contradict_draws_less() -> None:
    few = Evidence([2.0, 2.0, 2.0, 2.0], [-2.0, -2.0, -2.0, -2.0], prior=Prior(3.0, 0.2))
    limited, trusting = (Auto(limit=at)(few, source=SOURCE).threshold for at in (2.0, 1e9))
    assert 0.0 < limited < 0.5 < trusting


def test_inverted_labels_say_the_same_as_the_right_way_round() -> None:
    # two examples a class whose labels were swapped have the same class midpoint
    right, swapped = (
        AUTO(Evidence(*pair, prior=Prior(1.0, 0.5)), source=SOURCE)
        for pair in (([-4.0, -4.2], [-5.0, -5.2]), ([-5.0, -5.2], [-4.0, -4.2]))
    )
    assert swapped.threshold == pytest.approx(right.threshold)
    assert swapped.posterior_sd == pytest.approx(right.posterior_sd)


def test_many_inverted_labels_keep_to_the_midpoint() -> None:
    # the highest J of inverted classes is 0, at either end
    rng = np.random.default_rng(5)
    harmful, harmless = rng.normal(-2, 0.5, size=60), rng.normal(2, 0.5, size=60)
    labels = AUTO(Evidence(harmful, harmless), source=SOURCE).parts[0]
    assert labels.threshold == pytest.approx((harmful.mean() + harmless.mean()) / 2)


def test_the_labels_spread_is_of_the_source_and_these_examples() -> None:
    evidence = Evidence([0.0, 4.0, 8.0], [-8.0, -4.0, 0.0], prior=Prior(0.0, 1.0))
    labels = AUTO(evidence, source=SOURCE).parts[0]
    own = sd_within(TwoClass(evidence.harmful, evidence.harmless), 1.0)
    assert own > 1.5
    assert labels.sd == pytest.approx(own / np.sqrt(6))


def test_from_fifty_examples_a_class_their_smoothed_densities_decide() -> None:
    rng = np.random.default_rng(5)
    many = TwoClass(rng.exponential(2.0, size=50), rng.normal(-2, 0.5, size=50))
    labels = AUTO(Evidence(*many), source=SOURCE).parts[0]
    assert labels.threshold == smoothed_threshold(many).threshold
    fewer = AUTO(Evidence(many.harmful[:49], many.harmless), source=SOURCE).parts[0]
    assert fewer.threshold == pytest.approx((many.harmful[:49].mean() + many.harmless.mean()) / 2)


@pytest.mark.parametrize("bad", [{"limit": 0.0}, {"weak_sd": np.inf}, {"limit": np.nan}])
def test_impossible_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(bad))}` is"):
        Auto(**bad)
