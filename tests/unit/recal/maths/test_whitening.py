from __future__ import annotations

import numpy as np
import pytest

from recal.maths.logistic import score_pair
from recal.maths.metrics import auroc
from recal.maths.source import pooled_within_sd
from recal.maths.two_class import TwoClass
from recal.maths.whitening import fit_whitened
from tests.unit.recal.maths.samples import unit

RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(6, 6))
NOISE = NOISE @ NOISE.T + 0.1 * np.eye(6)
GAP = RNG.normal(size=6)


def languages(n: int = 4000, seed: int = 1) -> dict[str, TwoClass]:
    """Two languages far apart, whose noise is the same and far from round."""
    rng = np.random.default_rng(seed)
    found = {}
    for name in ("a", "b"):
        offset = 20 * rng.normal(size=6)
        rows = rng.multivariate_normal(np.zeros(6), NOISE, size=(2, n))
        found[name] = TwoClass(rows[0] + offset + GAP / 2, rows[1] + offset - GAP / 2)
    return found


def test_the_direction_is_the_one_that_separates_normal_classes_best() -> None:
    best = unit(np.linalg.solve(NOISE, GAP))
    found = unit(fit_whitened(languages()).weight)
    assert found @ best > 0.99
    assert unit(GAP) @ best < 0.9


def test_full_shrinkage_is_the_plain_difference_in_means() -> None:
    found = unit(fit_whitened(languages(), shrinkage=1.0).weight)
    assert found @ unit(GAP) > 0.99


def test_whitening_separates_better_than_the_plain_difference() -> None:
    unseen = languages(seed=5)["a"]
    whitened, plain = (
        auroc(*score_pair(fit_whitened(languages(), shrinkage=s), unseen)) for s in (None, 1.0)
    )
    assert whitened > plain + 0.02


def test_where_the_noise_is_round_whitening_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    rows = {"a": TwoClass(rng.normal(size=(5000, 6)) + GAP, rng.normal(size=(5000, 6)))}
    directions = [unit(fit_whitened(rows, shrinkage=s).weight) for s in (0.01, 1.0)]
    assert directions[0] @ directions[1] > 0.999


def test_differences_between_languages_are_no_spread() -> None:
    rows = languages()
    apart = {
        name: TwoClass(*(part + 1e3 * i for part in rows[name])) for i, name in enumerate(rows)
    }
    found, expected = fit_whitened(apart).weight, fit_whitened(rows).weight
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_one_unit_is_one_standard_deviation_and_zero_lies_halfway() -> None:
    rows = languages()
    found = fit_whitened(rows)
    scores = {name: score_pair(found, pair) for name, pair in rows.items()}
    assert pooled_within_sd(scores) == pytest.approx(1.0)
    means = [np.mean([pair[i].mean() for pair in scores.values()]) for i in (0, 1)]
    assert means[0] == pytest.approx(-means[1])


def test_fewer_rows_than_coordinates_can_still_be_whitened() -> None:
    rng = np.random.default_rng(2)
    rows = {"a": TwoClass(rng.normal(size=(8, 50)) + 1.0, rng.normal(size=(8, 50)))}
    assert np.isfinite(fit_whitened(rows).weight).all()


@pytest.mark.parametrize("shrinkage", [0.0, -0.1, 1.1, np.nan])
def test_a_shrinkage_that_leaves_nothing_to_invert_is_refused(shrinkage: float) -> None:
    with pytest.raises(ValueError, match="`shrinkage` is"):
        fit_whitened(languages(n=10), shrinkage=shrinkage)


def test_residuals_without_spread_are_refused() -> None:
    with pytest.raises(ValueError, match="do not vary"):
        fit_whitened({"a": TwoClass(np.ones((3, 2)), np.zeros((3, 2)))})
    with pytest.raises(ValueError, match="no languages"):
        fit_whitened({})
