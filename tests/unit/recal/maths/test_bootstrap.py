"""The hierarchical bootstrap: it covers, it pairs, and it would be noticed if it did not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from recal.maths.bootstrap import (
    LanguageAnswers,
    Resampled,
    hierarchical_bootstrap,
    percentile_interval,
)
from recal.maths.interval import Interval, bootstrap_difference

N_LANGUAGES, N_DRAWS, N_PROMPTS = 6, 5, 40
SD_LANGUAGE, SD_DRAW, SD_SOURCE = 0.5, 0.3, 0.5
EASE = (0.8, -1.2)
"""How far harmful and harmless prompts lie from the decision, before anything varies."""


def simulated(rng: np.random.Generator, n_arms: int = 1) -> list[LanguageAnswers]:
    """Languages, draws and source prompts that all vary; a prompt is as hard in every language."""
    sources = [rng.normal(0, SD_SOURCE, N_PROMPTS) for _ in range(2)]
    numbers = np.arange(N_PROMPTS)
    languages = []
    for _ in range(N_LANGUAGES):
        shift = rng.normal(0, SD_DRAW, (N_DRAWS, 1))
        harmful, harmless = (
            ease + rng.normal(0, SD_LANGUAGE) + shift + source + rng.normal(0, 1, N_PROMPTS) > 0
            for ease, source in zip(EASE, sources, strict=True)
        )
        repeated = [np.broadcast_to(x, (n_arms, *x.shape)) for x in (harmful, harmless)]
        languages.append(LanguageAnswers(*repeated, numbers, numbers))
    return languages


def truth() -> float:
    sd = np.sqrt(1 + SD_LANGUAGE**2 + SD_DRAW**2 + SD_SOURCE**2)
    return float(norm.cdf(EASE[0] / sd) - norm.cdf(EASE[1] / sd))


def resample(languages: list[LanguageAnswers], seed: int = 0, n: int = 400) -> Resampled:
    return hierarchical_bootstrap(languages, rng=np.random.default_rng(seed), n_resamples=n)


def hierarchical(languages: list[LanguageAnswers]) -> Interval:
    return percentile_interval(resample(languages).delta[:, 0])


def as_if_independent(languages: list[LanguageAnswers]) -> Interval:
    """All answers thrown together, as if no two shared a language, a draw or a source."""
    harmful, harmless = (np.concatenate([la[i].ravel() for la in languages]) for i in (0, 1))
    return bootstrap_difference(harmful, harmless, rng=np.random.default_rng(0))


def coverage(of: Callable[[list[LanguageAnswers]], Interval], n: int = 200) -> float:
    rng = np.random.default_rng(7)
    intervals = [of(simulated(rng)) for _ in range(n)]
    return float(np.mean([low <= truth() <= high for low, high in intervals]))


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    assert 0.90 <= coverage(hierarchical) <= 0.98


def test_answers_taken_as_independent_would_cover_far_too_seldom() -> None:
    assert coverage(as_if_independent) < 0.60


def test_sources_that_are_resampled_in_each_language_anew_give_too_narrow_intervals() -> None:
    crossed = [simulated(np.random.default_rng(1))[0]] * N_LANGUAGES
    nested = [
        la._replace(
            harmful_sources=la.harmful_sources + i * N_PROMPTS,
            harmless_sources=la.harmless_sources + i * N_PROMPTS,
        )
        for i, la in enumerate(crossed)
    ]
    assert resample(nested, n=1000).delta.std() < 0.7 * resample(crossed, n=1000).delta.std()


def test_the_mean_of_the_resamples_is_the_estimate() -> None:
    languages = simulated(np.random.default_rng(2))
    estimate = np.mean([la.harmful.mean() - la.harmless.mean() for la in languages])
    assert resample(languages, n=4000).delta.mean() == pytest.approx(estimate, abs=0.01)


def test_the_same_answers_never_differ_in_any_resample() -> None:
    found = resample(simulated(np.random.default_rng(3), n_arms=2)).delta
    assert np.array_equal(found[:, 0], found[:, 1])
    assert found[:, 0].std() > 0.02


def test_pairing_makes_a_difference_surer_than_its_parts() -> None:
    languages = simulated(np.random.default_rng(4), n_arms=2)
    better = []
    for la in languages:
        harmful = la.harmful.copy()
        harmful[1, :, :4] = True
        better.append(la._replace(harmful=harmful))
    found = resample(better, n=1000).delta
    assert (found[:, 1] - found[:, 0]).std() < found[:, 0].std() / 2


def test_draws_that_differ_widen_the_interval_of_a_single_language() -> None:
    numbers = np.arange(30)
    steady = np.arange(30) < 15
    answers = np.broadcast_to(steady, (1, 4, 30))
    wild = answers.copy()
    wild[0, :2] = True
    widths = [
        resample([LanguageAnswers(x, answers, numbers, numbers)]).harmful.std()
        for x in (answers, wild)
    ]
    assert widths[1] > 1.4 * widths[0]


def test_languages_with_other_sources_are_means_of_their_own_prompts() -> None:
    yes, no = np.ones((1, 1, 2), dtype=bool), np.zeros((1, 1, 2), dtype=bool)
    apart = [
        LanguageAnswers(yes, no, np.array([0, 1]), np.array([0, 1])),
        LanguageAnswers(yes, no, np.array([2, 3]), np.array([2, 3])),
    ]
    assert (resample(apart).delta == 1.0).all()


def test_the_same_seed_gives_the_same_resamples() -> None:
    languages = simulated(np.random.default_rng(5))
    assert np.array_equal(resample(languages, 3).harmful, resample(languages, 3).harmful)
    assert not np.array_equal(resample(languages, 3).harmful, resample(languages, 4).harmful)


ONE = simulated(np.random.default_rng(6))[0]


@pytest.mark.parametrize(
    ("languages", "words"),
    [
        ([], "no languages"),
        ([ONE._replace(harmful=ONE.harmful[:, :, :0])], "none of them 0"),
        ([ONE._replace(harmless=ONE.harmless.astype(float))], "float64"),
        ([ONE, ONE._replace(harmful=ONE.harmful[:, :2])], "2 draws"),
        ([ONE._replace(harmful_sources=np.arange(3))], r"shape \(3,\)"),
        ([ONE._replace(harmful_sources=np.arange(N_PROMPTS) - 1)], "from 0"),
    ],
)
def test_answers_that_do_not_fit_are_refused(languages: list[LanguageAnswers], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        resample(languages)


def test_too_few_resamples_are_refused() -> None:
    with pytest.raises(ValueError, match="`n_resamples` is 99"):
        resample([ONE], n=99)


def test_a_percentile_interval_holds_the_middle() -> None:
    assert percentile_interval(np.arange(1001.0), level=0.9) == pytest.approx((50, 950))


@pytest.mark.parametrize(("values", "level"), [([], 0.9), ([np.nan], 0.9), ([1.0], 1.0)])
def test_values_without_a_middle_are_refused(values: list[float], level: float) -> None:
    with pytest.raises(ValueError, match="`level` is|finite vector"):
        percentile_interval(values, level=level)
