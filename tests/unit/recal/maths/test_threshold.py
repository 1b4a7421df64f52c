from __future__ import annotations

import math

import numpy as np
import pytest

from recal.maths.metrics import balanced_accuracy
from recal.maths.threshold import (
    ThresholdEstimate,
    source_threshold,
    vacuous_estimate,
    zone,
)
from tests.unit.recal.maths.samples import scores


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


def test_a_vacuous_estimate_has_no_threshold_that_a_score_could_reach_or_miss() -> None:
    nothing = vacuous_estimate("too few rows")
    assert nothing.vacuous
    assert math.isnan(nothing.threshold)
    scored = np.array([-1e9, 0.0, 1e9])
    assert not (scored >= nothing.threshold).any()
    assert not (scored <= nothing.threshold).any()


@pytest.mark.parametrize("routing", ["two_way", "three_zone"])
def test_a_vacuous_estimate_has_no_zone_even_if_someone_gave_it_a_number(routing: str) -> None:
    for nothing in (
        vacuous_estimate("too few rows"),
        ThresholdEstimate(0.5, 0.1, ("too few rows",), vacuous=True),
    ):
        with pytest.raises(ValueError, match=r"the estimate is vacuous \(too few rows\)"):
            zone(nothing, routing)
