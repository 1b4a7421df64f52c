"""What is true of every estimator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recal.maths.estimators.catalogue import ESTIMATORS, estimator_of
from recal.maths.estimators.conformal import Conformal
from recal.maths.estimators.paper import paper_f1
from recal.maths.evidence import Evidence
from recal.maths.source import SourceStatistics
from recal.maths.threshold import Estimator
from tests.unit.recal.maths.estimators.evidences import SOURCE, everything, moved, shuffled

every_estimator = pytest.mark.parametrize("estimate", ESTIMATORS.values(), ids=ESTIMATORS.keys())
seeds = st.integers(0, 2**32 - 1)

NEEDS_LABELS = ("midpoint", "paper_f1", "empirical_bayes", "bias_only", "paired")
NEEDS = {
    "empirical_bayes": "prior",
    "paired": "sources",
    "unlabelled": "unlabelled",
    "parallel": "parallel",
    "translate_train": "translated",
}


@every_estimator
@given(seed=seeds, k=st.integers(1, 6), by=st.floats(-20, 20))
def test_moving_all_scores_moves_the_threshold_as_far(
    estimate: Estimator, seed: int, k: int, by: float
) -> None:
    evidence = everything(np.random.default_rng(seed), k=k)
    here = estimate(evidence, source=SOURCE)
    there = estimate(moved(evidence, by), source=SOURCE)
    assert there.threshold == pytest.approx(here.threshold + by, abs=1e-6)
    assert there.posterior_sd == pytest.approx(here.posterior_sd, rel=1e-6)


@every_estimator
@given(seed=seeds, k=st.integers(1, 6))
def test_the_order_of_the_evidence_does_not_matter(estimate: Estimator, seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    evidence = everything(rng, k=k)
    one, other = (estimate(e, source=SOURCE) for e in (evidence, shuffled(evidence, rng)))
    assert other.threshold == pytest.approx(one.threshold, abs=1e-9)


def test_the_threshold_of_moved_scores_that_is_not_moved_would_be_noticed() -> None:
    evidence = everything(np.random.default_rng(0))
    stays = SOURCE.threshold
    assert stays != pytest.approx(paper_f1(moved(evidence, 3.0), source=SOURCE).threshold, abs=0.5)


@every_estimator
def test_it_separates_what_is_far_apart(estimate: Estimator) -> None:
    far = SourceStatistics(mean_harmful=9, mean_harmless=-9, sd_within=1, threshold=0)
    rng = np.random.default_rng(1)
    evidence = everything(rng)
    apart = replace(
        evidence,
        harmful=evidence.harmful + 7,
        harmless=evidence.harmless - 7,
        sources=replace(
            evidence.sources,
            harmful=evidence.sources.harmful + 7,
            harmless=evidence.sources.harmless - 7,
        ),
        translated=type(evidence.translated)(
            evidence.translated.harmful + 7, evidence.translated.harmless - 7
        ),
    )
    threshold = estimate(apart, source=far).threshold
    # what bounds false positives stands just above the harmless ones, not in the middle
    low, high = (-9, 3) if isinstance(estimate, Conformal) else (-3, 3)
    assert low < threshold < high


@every_estimator
def test_the_spread_is_in_the_sources_unit(estimate: Estimator) -> None:
    evidence = everything(np.random.default_rng(2))
    wide = SourceStatistics(mean_harmful=6, mean_harmless=-6, sd_within=3, threshold=0)
    tripled = Evidence(
        3 * evidence.harmful,
        3 * evidence.harmless,
        sources=replace(
            evidence.sources,
            harmful=3 * evidence.sources.harmful,
            harmless=3 * evidence.sources.harmless,
        ),
        unlabelled=replace(evidence.unlabelled, scores=3 * evidence.unlabelled.scores),
        parallel=type(evidence.parallel)(
            3 * evidence.parallel.target, 3 * evidence.parallel.source
        ),
        translated=type(evidence.translated)(*(3 * each for each in evidence.translated)),
        prior=replace(evidence.prior, mean=0.0, sd=3 * evidence.prior.sd),
    )
    one, three = estimate(evidence, source=SOURCE), estimate(tripled, source=wide)
    assert three.threshold == pytest.approx(3 * one.threshold, abs=1e-6)
    assert three.posterior_sd == pytest.approx(3 * one.posterior_sd, rel=1e-6)


@every_estimator
def test_what_was_assumed_is_said(estimate: Estimator) -> None:
    assert estimate(everything(np.random.default_rng(3)), source=SOURCE).assumptions


@pytest.mark.parametrize("name", NEEDS_LABELS)
@pytest.mark.parametrize("lacks", ["harmful", "harmless"])
def test_a_missing_class_is_named_with_the_way_out(name: str, lacks: str) -> None:
    evidence = replace(everything(np.random.default_rng(4)), sources=None, **{lacks: ()})
    with pytest.raises(ValueError, match=f"`{name}` needs .* without labels: unlabelled"):
        estimator_of(name)(evidence, source=SOURCE)


@pytest.mark.parametrize(("name", "part"), NEEDS.items())
def test_what_an_estimator_cannot_do_without_is_named(name: str, part: str) -> None:
    evidence = replace(everything(np.random.default_rng(5)), **{part: None})
    with pytest.raises(ValueError, match=f"`{name}` needs .* and there are none; "):
        estimator_of(name)(evidence, source=SOURCE)


def test_an_unknown_estimator_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no estimator `oracle`; choose one of auto, bias_only"):
        estimator_of("oracle")


def test_an_estimator_is_found_by_its_name() -> None:
    assert estimator_of("paper_f1") is paper_f1
