from __future__ import annotations

import numpy as np
import pytest

from recal.maths.source import SourceStatistics, pooled_within_sd, source_statistics
from recal.maths.two_class import TwoClass
from tests.unit.recal.maths.samples import scores


def test_offsets_between_languages_and_classes_are_no_spread() -> None:
    base = np.array([-1.0, 0.0, 1.0])
    shifted = {"en": TwoClass(base + 5, base), "sw": TwoClass(base - 90, base + 70)}
    assert pooled_within_sd(shifted) == pytest.approx(1.0)


def test_the_pooled_spread_estimates_the_true_one() -> None:
    many = {f"l{i}": scores(k=500, sd=3.0, seed=i, shift=10.0 * i) for i in range(4)}
    assert pooled_within_sd(many) == pytest.approx(3.0, rel=0.05)


def test_languages_weigh_the_same_in_the_means() -> None:
    many = TwoClass(np.full(99, 4.0), np.full(99, -4.0))
    few = TwoClass(np.array([1.0, 3.0]), np.array([-2.0, 0.0]))
    found = source_statistics({"en": many, "sw": few}, threshold=0.0)
    assert (found.mean_harmful, found.mean_harmless) == (3.0, -2.5)


@pytest.mark.parametrize(
    "one", [TwoClass(np.ones(1), np.zeros(1)), TwoClass(np.ones(3), np.zeros(3))]
)
def test_scores_without_spread_are_refused(one: TwoClass) -> None:
    with pytest.raises(ValueError, match="have no standard deviation"):
        pooled_within_sd({"en": one})


def test_no_languages_have_no_spread() -> None:
    with pytest.raises(ValueError, match="0 degrees of freedom"):
        pooled_within_sd({})


def test_an_inverted_source_is_refused() -> None:
    inverted = TwoClass(*scores(k=9)[::-1])
    with pytest.raises(ValueError, match="the readout is inverted"):
        source_statistics({"en": inverted}, threshold=0.0)


@pytest.mark.parametrize("field", ["mean_harmful", "mean_harmless", "sd_within", "threshold"])
def test_a_statistic_that_is_not_finite_is_named(field: str) -> None:
    good = {"mean_harmful": 1.0, "mean_harmless": -1.0, "sd_within": 1.0, "threshold": 0.0}
    with pytest.raises(ValueError, match=f"`{field}` of the source is nan"):
        SourceStatistics(**(good | {field: np.nan}))


def test_a_spread_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="`sd_within` of the source is 0"):
        SourceStatistics(mean_harmful=1.0, mean_harmless=-1.0, sd_within=0.0, threshold=0.0)
