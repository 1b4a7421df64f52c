"""Prompts with translations: the source's verdict takes the label's place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recal.maths.estimators.parallel import parallel
from recal.maths.evidence import Evidence, Parallel
from recal.maths.source import SourceStatistics

GAP = 2.66
"""AUC .97 in the source."""
SOURCE = SourceStatistics(GAP / 2, -GAP / 2, 1.0, 0.0)


def pairs(
    rng: np.random.Generator, *, n: int = 100, share: float = 0.5, gap: float = 1.5
) -> Parallel:
    """A language that lies 2 lower and separates worse than the source."""
    harmful = np.arange(n) < round(n * share)
    noise = rng.normal(size=(2, n))
    source = np.where(harmful, GAP / 2, -GAP / 2) + noise[0]
    target = -2.0 + np.where(harmful, gap / 2, -gap / 2) + 0.6 * noise[0] + 0.8 * noise[1]
    return Parallel(target, source)


def thresholds(n_draws: int = 400, **how: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    given = [pairs(rng, **how) for _ in range(n_draws)]
    return np.array([parallel(Evidence(parallel=each), source=SOURCE).threshold for each in given])


def test_it_finds_the_threshold_without_a_label() -> None:
    assert thresholds(n=40).mean() == pytest.approx(-2.0, abs=0.05)


def test_the_label_is_the_side_of_the_sources_midpoint_not_of_its_safest_threshold() -> None:
    found = pairs(np.random.default_rng(4), n=400)
    safest = replace(SOURCE, threshold=-1.5)
    wanted, seen = (parallel(Evidence(parallel=found), source=s) for s in (SOURCE, safest))
    assert seen == wanted


def test_an_uneven_mix_moves_it_by_a_tenth_at_most() -> None:
    assert thresholds(n=80, share=0.3).mean() == pytest.approx(-2.0, abs=0.1)


def test_sources_that_belong_to_other_prompts_say_nothing() -> None:
    rng = np.random.default_rng(1)
    given = [pairs(rng, n=40, share=0.2, gap=3.0) for _ in range(200)]
    mixed = [Parallel(each.target, rng.permutation(each.source)) for each in given]
    found = [parallel(Evidence(parallel=each), source=SOURCE).threshold for each in mixed]
    assert abs(np.mean(found) + 2.0) > 0.5


def test_its_spread_is_not_less_than_what_repeating_the_draw_shows() -> None:
    found = parallel(
        Evidence(parallel=pairs(np.random.default_rng(2), n=40)), source=SOURCE
    ).posterior_sd
    seen = thresholds(n=40).std()
    assert seen < found < 2 * seen


def test_prompts_that_the_source_finds_all_the_same_are_refused() -> None:
    given = Parallel(np.zeros(20), np.full(20, 3.0))
    with pytest.raises(ValueError, match="20 harmful and 0 harmless; give at least 2 of each"):
        parallel(Evidence(parallel=given), source=SOURCE)


def test_from_fifty_of_each_verdict_it_no_longer_assumes_equal_spreads() -> None:
    for n, assumed in ((60, True), (200, False)):
        given = pairs(np.random.default_rng(3), n=n)
        assumptions = parallel(Evidence(parallel=given), source=SOURCE).assumptions
        assert any("equally spread" in sentence for sentence in assumptions) is assumed
