"""z-equalisation: exact when the class mix is as expected, off by the mix error times the gap."""

from __future__ import annotations

import numpy as np
import pytest

from recal.maths.estimators.unlabelled import unlabelled
from recal.maths.evidence import Evidence, Unlabelled
from recal.maths.source import SourceStatistics

GAP = 3.0
SOURCE = SourceStatistics(
    # τ₀ is the safest of a flat stretch, far below the midpoint, which is at 0
    mean_harmful=GAP / 2,
    mean_harmless=-GAP / 2,
    sd_within=1.0,
    threshold=-0.7,
)
AT_MIDPOINT = SourceStatistics(GAP / 2, -GAP / 2, 1.0, 0.0)


def exact(share: float, *, n: int = 1000) -> np.ndarray:
    """Scores with exactly the source's class means and spread, and this share of harmful ones."""
    n_harmful = round(n * share)

    def standard(m: int) -> np.ndarray:
        values = np.linspace(-1, 1, m)
        return (values - values.mean()) / values.std()

    return np.concatenate([GAP / 2 + standard(n_harmful), -GAP / 2 + standard(n - n_harmful)])


@pytest.mark.parametrize("share", [0.2, 0.5, 0.7])
@pytest.mark.parametrize(("stretch", "move"), [(1.0, 0.0), (0.6, -2.0), (1.7, 3.0)])
def test_it_is_exact_when_the_mix_is_the_one_that_is_expected(
    share: float, stretch: float, move: float
) -> None:
    scores = stretch * exact(share) + move
    found = unlabelled(Evidence(unlabelled=Unlabelled(scores, share)), source=SOURCE)
    assert found.threshold == pytest.approx(move, abs=1e-9)


@pytest.mark.parametrize("delta", [-0.3, 0.1, 0.2])
def test_it_is_off_by_the_error_of_the_mix_times_the_gap(delta: float) -> None:
    scores = exact(0.5 + delta) - 2.0
    found = unlabelled(Evidence(unlabelled=Unlabelled(scores, 0.5)), source=AT_MIDPOINT)
    assert found.threshold == pytest.approx(-2.0 + delta * GAP, abs=1e-9)


def test_the_spread_holds_the_uncertainty_of_the_mix_and_of_the_sample() -> None:
    rng = np.random.default_rng(0)
    errors, said = [], []
    for share in np.clip(rng.normal(0.5, 0.1, size=1500), 0.05, 0.95):
        n_harmful = rng.binomial(60, share)
        scores = np.concatenate(
            [rng.normal(GAP / 2, 1, n_harmful), rng.normal(-GAP / 2, 1, 60 - n_harmful)]
        )
        given = Unlabelled(scores, 0.5, share_sd=0.1)
        found = unlabelled(Evidence(unlabelled=given), source=AT_MIDPOINT)
        errors.append(found.threshold)
        said.append(found.posterior_sd)
    assert np.mean(said) == pytest.approx(np.std(errors), rel=0.1)


def test_a_mix_that_is_known_leaves_the_sample_alone() -> None:
    given = Unlabelled(exact(0.5, n=400), share_sd=0.0)
    found = unlabelled(Evidence(unlabelled=given), source=AT_MIDPOINT)
    assert found.posterior_sd == pytest.approx(np.sqrt(1 + GAP**2 / 4) / 20)


def test_scores_that_do_not_vary_are_refused() -> None:
    with pytest.raises(ValueError, match="all 20 unlabelled scores are 1"):
        unlabelled(Evidence(unlabelled=Unlabelled(np.ones(20))), source=SOURCE)
