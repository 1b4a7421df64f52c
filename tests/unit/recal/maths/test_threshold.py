from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recal.maths.metrics import balanced_accuracy
from recal.maths.source import SourceStatistics
from recal.maths.threshold import (
    ESTIMATORS,
    Estimator,
    Midpoint,
    ThresholdEstimate,
    estimator_of,
    paper_f1,
    source_threshold,
    zone,
)
from tests.unit.recal.maths.samples import scores

SOURCE = SourceStatistics(mean_harmful=2.0, mean_harmless=-2.0, sd_within=1.0, threshold=0.0)
every_estimator = pytest.mark.parametrize("estimate", ESTIMATORS.values(), ids=ESTIMATORS.keys())
few_scores = st.lists(st.integers(-40, 40).map(lambda i: i / 4), min_size=1, max_size=6)


@every_estimator
@given(harmful=few_scores, harmless=few_scores, shift=st.integers(-20, 20))
def test_moving_all_scores_moves_the_threshold_as_far(
    estimate: Estimator, harmful: list[float], harmless: list[float], shift: int
) -> None:
    here = estimate(harmful, harmless, source=SOURCE)
    there = estimate(np.add(harmful, shift), np.add(harmless, shift), source=SOURCE)
    assert there.threshold == pytest.approx(here.threshold + shift, abs=1e-9)
    assert there.posterior_sd == here.posterior_sd


@every_estimator
def test_separable_examples_are_separated(estimate: Estimator) -> None:
    threshold = estimate([2.0, 3.0], [-1.0, 0.0], source=SOURCE).threshold
    assert 0.0 < threshold < 2.0


@every_estimator
@pytest.mark.parametrize("k", [1, 4, 32])
def test_the_posterior_spread_is_what_repeating_the_draw_shows(estimate: Estimator, k: int) -> None:
    draws = [scores(k=k, gap=12.0, seed=seed) for seed in range(400)]
    found = [estimate(*draw, source=SOURCE) for draw in draws]
    seen = np.std([one.threshold for one in found])
    assert found[0].posterior_sd == pytest.approx(seen, rel=0.12)


@every_estimator
def test_the_posterior_spread_is_in_the_sources_unit(estimate: Estimator) -> None:
    wide = SourceStatistics(mean_harmful=2.0, mean_harmless=-2.0, sd_within=3.0, threshold=0.0)
    one, three = (estimate([1.0], [0.0], source=source).posterior_sd for source in (SOURCE, wide))
    assert three == pytest.approx(3 * one)


@every_estimator
def test_what_was_assumed_is_said(estimate: Estimator) -> None:
    assert estimate([1.0], [0.0], source=SOURCE).assumptions


@every_estimator
@pytest.mark.parametrize(
    ("harmful", "harmless", "named"),
    [
        ([], [0.0], "`harmful_scores` is empty"),
        ([0.0], [], "`harmless_scores` is empty"),
        ([np.nan], [0.0], "`harmful_scores` holds nan"),
        ([1.0], [0.0, -np.inf], r"`harmless_scores` holds -inf at \(1,\)"),
    ],
)
def test_bad_scores_are_named(
    estimate: Estimator, harmful: list[float], harmless: list[float], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        estimate(harmful, harmless, source=SOURCE)


def test_an_unknown_estimator_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no estimator `oracle`; choose one of midpoint, paper_f1"):
        estimator_of("oracle")


def test_an_estimator_is_found_by_its_name() -> None:
    assert estimator_of("paper_f1") is paper_f1


def test_the_midpoint_lies_between_the_class_means() -> None:
    assert Midpoint()([2.0, 4.0], [0.0], source=SOURCE).threshold == 1.5


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_midpoints_spread_is_sigma_over_root_two_k(k: int) -> None:
    found = Midpoint()(np.ones(k), np.zeros(k), source=SOURCE)
    assert found.posterior_sd == pytest.approx(1 / math.sqrt(2 * k))


def test_a_known_target_spread_takes_the_place_of_the_sources() -> None:
    assert Midpoint(sd_within=2.0)([1.0], [0.0], source=SOURCE).posterior_sd == math.sqrt(2)


@pytest.mark.parametrize("sd", [0.0, -1.0, np.nan, np.inf])
def test_an_impossible_target_spread_is_refused(sd: float) -> None:
    with pytest.raises(ValueError, match="`sd_within` is"):
        Midpoint(sd_within=sd)


@pytest.mark.parametrize(
    ("harmful", "harmless", "threshold"),
    [
        ([1.0], [0.0], 0.5),
        ([0.0], [1.0], -1e-6),
        ([1.0], [1.0], 1 - 1e-6),
        ([1.0, 5.0], [0.0, 2.0], 0.5),
        ([4.0, 5.0, 6.0, 0.0], [1.0, 2.0, 3.0, -1.0], 3.5),
    ],
    ids=["separable", "inverted", "equal", "tie goes to the lowest", "one outlier"],
)
def test_the_papers_rule_by_hand(
    harmful: list[float], harmless: list[float], threshold: float
) -> None:
    assert paper_f1(harmful, harmless, source=SOURCE).threshold == threshold


@given(harmful=few_scores, harmless=few_scores)
def test_the_papers_rule_is_the_first_maximum_over_its_candidates(
    harmful: list[float], harmless: list[float]
) -> None:
    distinct = sorted({*harmful, *harmless})
    between = [(a + b) / 2 for a, b in pairwise(distinct)]
    candidates = [distinct[0] - 1e-6, *between, distinct[-1] + 1e-6]
    f1 = []
    for candidate in candidates:
        tpr, fpr = (np.mean(np.asarray(s) >= candidate) for s in (harmful, harmless))
        f1.append(2 * 0.5 * tpr / (2 * 0.5 * tpr + 0.5 * fpr + 0.5 * (1 - tpr)))
    first = next(c for c, f in zip(candidates, f1, strict=True) if f >= max(f1) - 1e-12)
    assert paper_f1(harmful, harmless, source=SOURCE).threshold == first


def test_without_slack_the_source_threshold_maximises_balanced_accuracy() -> None:
    many = scores(k=200, gap=2.0)
    best = balanced_accuracy(*many, source_threshold(*many, standard_errors=0.0))
    grid = np.linspace(-4, 4, 801)
    assert best >= max(balanced_accuracy(*many, tau) for tau in grid)


def test_with_slack_it_is_lower_and_hardly_less_accurate() -> None:
    many = scores(k=200, gap=2.0)
    plain, safe = source_threshold(*many, standard_errors=0.0), source_threshold(*many)
    assert safe < plain
    assert balanced_accuracy(*many, safe) >= balanced_accuracy(*many, plain) - 0.01


def test_the_source_threshold_of_separable_scores_is_in_the_middle_of_the_gap() -> None:
    assert source_threshold([3.0, 4.0], [-1.0, 0.0]) == 1.5


def test_the_source_threshold_weighs_classes_the_same() -> None:
    few = scores(k=300, gap=2.0)
    twice = np.repeat(few.harmless, 20)
    assert source_threshold(few.harmful, twice, standard_errors=0.0) == source_threshold(
        *few, standard_errors=0.0
    )


@pytest.mark.parametrize("slack", [-1.0, np.nan])
def test_a_slack_that_is_none_is_refused(slack: float) -> None:
    with pytest.raises(ValueError, match="`standard_errors` is"):
        source_threshold([1.0], [0.0], standard_errors=slack)


ESTIMATE = ThresholdEstimate(threshold=0.5, posterior_sd=0.2, assumptions=())


def test_two_way_routing_leaves_nothing_untouched() -> None:
    assert zone(ESTIMATE, "two_way", c=3.0) == (0.5, 0.5)


def test_three_zones_widen_toward_release_only() -> None:
    assert zone(ESTIMATE, "three_zone") == (0.5, 0.3)
    assert zone(ESTIMATE, "three_zone", c=2.0).release == pytest.approx(0.1)


def test_three_zones_of_no_width_are_two_ways() -> None:
    assert zone(ESTIMATE, "three_zone", c=0.0) == zone(ESTIMATE, "two_way")


def test_an_unknown_routing_is_refused() -> None:
    with pytest.raises(ValueError, match="no routing `one_way`"):
        zone(ESTIMATE, "one_way")


@pytest.mark.parametrize("c", [-1.0, np.nan, np.inf])
def test_an_impossible_zone_width_is_refused(c: float) -> None:
    with pytest.raises(ValueError, match="`c` is"):
        zone(ESTIMATE, "three_zone", c=c)


@pytest.mark.parametrize("bad", [(np.nan, 0.1), (0.0, np.inf), (0.0, -0.1)])
def test_an_estimate_that_is_none_has_no_zone(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="the estimate is"):
        zone(ThresholdEstimate(*bad, assumptions=()), "two_way")
