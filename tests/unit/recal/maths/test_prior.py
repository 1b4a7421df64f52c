"""The prior of a language from the others, and why its spread is not the plain moment estimate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recal.maths.prior import OwnThreshold, Prior, prior_of, prior_without


def of(values: list[float], sd: float = 0.35) -> dict[str, OwnThreshold]:
    return {f"l{i}": OwnThreshold(value, sd) for i, value in enumerate(values)}


def test_languages_of_equal_certainty_by_hand() -> None:
    values, sd = [0.0, 1.0, 2.0, 3.0], 0.5
    # three degrees of freedom of their own and one of a language at 2: Σ squares 5, and 4 + 0.25
    total = (5.0 + 4.25) / 4
    found = prior_of(of(values, sd))
    assert found.mean == pytest.approx(1.5)
    assert found.sd**2 == pytest.approx(total - 0.25 + total / 4)


def test_a_surer_language_weighs_more() -> None:
    found = prior_of({"a": OwnThreshold(0.0, 0.1), "b": OwnThreshold(1.0, 2.0)})
    assert found.mean < 0.4


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.floats(0.01, 2), st.floats(-9, 9))
def test_moving_every_language_moves_the_prior(values: list[float], sd: float, by: float) -> None:
    here, there = prior_of(of(values, sd)), prior_of(of([v + by for v in values], sd))
    assert there.mean == pytest.approx(here.mean + by, abs=1e-6)
    assert there.sd == pytest.approx(here.sd, abs=1e-6)


def test_one_language_is_a_wide_prior() -> None:
    found = prior_of(of([-2.0]))
    assert found.mean == -2.0
    assert found.sd > 1.0


def errors(n_languages: int, spread: float, *, n: int = 4000) -> dict[str, float]:
    """Root mean squared error of labels alone, and of both priors fused with them, at k = 4."""
    rng = np.random.default_rng(n_languages)
    own_sd = 1 / np.sqrt(8)
    found = []
    for _ in range(n):
        others = rng.normal(0, spread, n_languages) + rng.normal(0, own_sd, n_languages)
        shift = rng.normal(0, spread)
        labels = shift + rng.normal(0, own_sd)
        prior = prior_of(of(list(others), own_sd))
        plain = max(others.var(ddof=1) - own_sd**2, 1e-9)
        fused = [
            m + v / (v + own_sd**2) * (labels - m)
            for m, v in ((prior.mean, prior.sd**2), (others.mean(), plain))
        ]
        found.append((labels - shift, fused[0] - shift, fused[1] - shift))
    return dict(
        zip(("labels", "ours", "plain"), np.sqrt((np.array(found) ** 2).mean(0)), strict=True)
    )


@pytest.mark.parametrize("n_languages", [3, 5, 12])
@pytest.mark.parametrize("spread", [0.2, 0.5, 1.0])
def test_it_is_never_worse_than_the_labels_alone(n_languages: int, spread: float) -> None:
    error = errors(n_languages, spread)
    assert error["ours"] < 1.01 * error["labels"]


def test_the_plain_moment_estimate_of_three_languages_is_worse_than_the_labels_alone() -> None:
    error = errors(3, 0.5)
    assert error["plain"] > 1.1 * error["labels"]


def test_a_language_is_not_its_own_prior() -> None:
    everyone = of([0.0, 0.2, 9.0])
    assert prior_without("l2", everyone).languages == ("l0", "l1")
    assert prior_without("l2", everyone).mean == pytest.approx(0.1)


def test_no_other_language_is_no_prior() -> None:
    with pytest.raises(ValueError, match="a prior needs at least one"):
        prior_without("l0", of([1.0]))


@pytest.mark.parametrize("bad", [(np.nan, 0.3), (0.0, 0.0), (0.0, np.inf)])
def test_a_threshold_that_is_none_is_named_by_its_language(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="the threshold of `yo` is"):
        prior_of({"sw": OwnThreshold(0.0, 0.3), "yo": OwnThreshold(*bad)})


@pytest.mark.parametrize("bad", [(np.nan, 1.0), (0.0, 0.0), (0.0, np.nan)])
def test_a_prior_that_is_none_is_refused(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="the prior's"):
        Prior(*bad)
