from __future__ import annotations

import numpy as np
import pytest

from recal.maths.correlation import Correlation, correlation_within, pooled_rho
from recal.maths.two_class import TwoClass


def paired(rng: np.random.Generator, rho: float, n: int) -> tuple[TwoClass, TwoClass]:
    theirs = rng.normal(size=(2, n))
    own = rho * theirs + np.sqrt(1 - rho**2) * rng.normal(size=(2, n))
    return TwoClass(own[0] + 3, own[1] - 3), TwoClass(theirs[0] + 5, theirs[1] - 5)


@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.7])
def test_the_distance_of_the_classes_is_no_correlation(rho: float) -> None:
    own, theirs = paired(np.random.default_rng(0), rho, 3000)
    assert correlation_within(own, theirs).rho == pytest.approx(rho, abs=0.04)
    assert np.corrcoef(np.concatenate(own), np.concatenate(theirs))[0, 1] > 0.85


def test_one_pair_a_class_says_nothing() -> None:
    one = TwoClass(np.array([1.0]), np.array([0.0]))
    assert correlation_within(one, one) == Correlation(0.0, 0.0)


def test_languages_pool_toward_their_common_correlation() -> None:
    rng = np.random.default_rng(1)
    few = [correlation_within(*paired(rng, 0.8, 4)) for _ in range(40)]
    assert pooled_rho(few, before_any=0.5) == pytest.approx(0.8, abs=0.06)


def test_a_single_languages_handful_hardly_moves_what_was_assumed() -> None:
    assert pooled_rho([Correlation(1.0, 2.0)], before_any=0.5) < 0.75
    assert pooled_rho([], before_any=0.5) == pytest.approx(0.5)
