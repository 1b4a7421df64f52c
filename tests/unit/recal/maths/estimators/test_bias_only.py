from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from recal.maths.estimators.bias_only import bias_only
from recal.maths.estimators.midpoint import Midpoint
from recal.maths.evidence import Evidence
from recal.maths.prior import Prior
from recal.maths.source import SourceStatistics
from tests.unit.recal.maths.estimators.evidences import GAP, SOURCE, labelled


@pytest.mark.parametrize("prior", [None, Prior(-3.0, 0.4)])
@pytest.mark.parametrize(("k", "m"), [(1, 1), (4, 4), (5, 2)])
def test_it_minimises_its_loss(prior: Prior | None, k: int, m: int) -> None:
    rng = np.random.default_rng(10 * k + m)
    harmful, harmless = rng.normal(2, 1, k), rng.normal(-2, 1, m)

    def loss(tau: float) -> float:
        shares = np.logaddexp(0, -GAP * (harmful - tau)).mean()
        shares += np.logaddexp(0, GAP * (harmless - tau)).mean()
        away = 0.0 if prior is None else (tau - prior.mean) ** 2 / 2 / prior.sd**2
        return (k + m) / 2 * shares + away

    best = minimize_scalar(loss, bounds=(-8, 8), method="bounded", options={"xatol": 1e-10}).x
    found = bias_only(Evidence(harmful, harmless, prior=prior), source=SOURCE)
    assert loss(found.threshold) <= loss(best) + 1e-9


def test_however_far_an_outlier_lies_it_moves_it_no_further() -> None:
    harmful, harmless = [2.0, 2.2, 1.8, 2.1], [-2.0, -2.2, -1.8]
    near, far = (Evidence(harmful, [*harmless, outlier]) for outlier in (30.0, 300.0))
    here, there = (bias_only(each, source=SOURCE).threshold for each in (near, far))
    assert there == pytest.approx(here, abs=1e-6)
    assert here < 2.2
    assert Midpoint()(far, source=SOURCE).threshold > 30.0


@pytest.mark.parametrize("k", [32, 128])
def test_with_dozens_of_examples_the_spread_is_what_repeating_the_draw_shows(k: int) -> None:
    rng = np.random.default_rng(k)
    found = [bias_only(labelled(k, rng), source=SOURCE) for _ in range(600)]
    seen = np.std([one.threshold for one in found])
    assert found[0].posterior_sd == pytest.approx(seen, rel=0.2)


def test_where_the_classes_overlap_the_spread_is_not_that_of_the_curvature_alone() -> None:
    near = SourceStatistics(mean_harmful=0.75, mean_harmless=-0.75, sd_within=1.0, threshold=0.0)
    rng = np.random.default_rng(0)
    found = [bias_only(labelled(32, rng, gap=1.5), source=near) for _ in range(800)]
    seen = np.std([one.threshold for one in found])
    assert found[0].posterior_sd == pytest.approx(seen, rel=0.08)


def test_scores_a_thousand_apart_are_no_trouble() -> None:
    found = bias_only(Evidence([1000.0], [-1000.0]), source=SOURCE)
    assert -1000.0 < found.threshold < 1000.0
