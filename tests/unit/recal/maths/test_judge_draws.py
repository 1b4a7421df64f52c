"""Corrected intervals know that the judge's errors were measured on a few labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from recal.maths.agreement import Tally
from recal.maths.bootstrap import LanguageAnswers, hierarchical_bootstrap, percentile_interval
from recal.maths.judge_draws import Correction, drawn_corrections, stated_correction
from recal.maths.judge_error import JudgeError

SE, SP, N = 0.9, 0.93, 400
RATES = (0.85, 0.1)
"""True refusal of harmful and of harmless prompts."""

Corrects = Callable[[JudgeError, np.random.Generator], Correction]


def judged(rng: np.random.Generator, n: int = 400) -> LanguageAnswers:
    """What a judge with SE and SP says of answers that refuse as often as RATES."""
    seen = [rng.random((1, 1, n)) < rate * SE + (1 - rate) * (1 - SP) for rate in RATES]
    return LanguageAnswers(seen[0], seen[1], np.arange(n), np.arange(n))


def labelled(rng: np.random.Generator, n: int = 60) -> JudgeError:
    return JudgeError(Tally(int(rng.binomial(n, SE)), n), Tally(int(rng.binomial(n, SP)), n))


def coverage(corrects: Corrects, n_languages: int = 1) -> float:
    rng, covered, n = np.random.default_rng(0), 0, 300
    for _ in range(n):
        error = labelled(rng)
        found = hierarchical_bootstrap(
            [judged(rng) for _ in range(n_languages)],
            rng=rng,
            n_resamples=N,
            corrections=[corrects(error, rng)] * n_languages,
        )
        interval = percentile_interval(found.delta[:, 0])
        covered += interval.low <= RATES[0] - RATES[1] <= interval.high
    return covered / n


def drawn(error: JudgeError, rng: np.random.Generator) -> Correction:
    return drawn_corrections(error, rng=rng, n=N)


def as_if_known(error: JudgeError, rng: np.random.Generator) -> Correction:
    return stated_correction(error.sensitivity.share, error.specificity.share, n=N)


def uncorrected(error: JudgeError, rng: np.random.Generator) -> Correction:
    return stated_correction(1.0, 1.0, n=N)


def test_the_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    assert 0.92 <= coverage(drawn) <= 0.99


def test_taking_the_labels_for_the_truth_covers_too_seldom() -> None:
    assert coverage(as_if_known) < 0.85


def test_without_correction_the_truth_is_missed() -> None:
    assert coverage(uncorrected) < 0.05


def test_an_error_that_languages_share_does_not_average_out() -> None:
    assert 0.92 <= coverage(drawn, 4) <= 0.99


def test_a_correction_undoes_what_the_judge_does_in_every_resample() -> None:
    found = stated_correction(SE, SP, n=5)
    seen = RATES[0] * SE + (1 - RATES[0]) * (1 - SP)
    assert seen * found.scale + found.offset == pytest.approx(np.full(5, RATES[0]))


def test_resamples_are_the_same_with_a_correction_as_without() -> None:
    answers = [judged(np.random.default_rng(1))]
    raw, true = (
        hierarchical_bootstrap(
            answers, rng=np.random.default_rng(2), n_resamples=N, corrections=corrections
        )
        for corrections in ((), [stated_correction(SE, SP, n=N)])
    )
    expected = (raw.harmful + SP - 1) / (SE + SP - 1)
    assert true.harmful == pytest.approx(expected)


def test_draws_spread_as_far_as_the_labels_leave_open_and_never_to_a_coin() -> None:
    rng = np.random.default_rng(0)
    few, many = (
        drawn_corrections(JudgeError(Tally(6 * n, 10 * n), Tally(6 * n, 10 * n)), rng=rng, n=2000)
        for n in (1, 100)
    )
    assert few.scale.min() > 0
    assert few.scale.std() > 5 * many.scale.std()
    assert np.median(many.scale) == pytest.approx(1 / 0.2, rel=0.1)


def test_a_judge_that_the_labels_find_worse_than_a_coin_is_refused() -> None:
    error = JudgeError(Tally(4, 10), Tally(5, 10))
    with pytest.raises(ValueError, match=r"sensitivity 0\.400 and specificity 0\.500"):
        drawn(error, np.random.default_rng(0))
    with pytest.raises(ValueError, match="use another judge"):
        stated_correction(0.5, 0.5, n=3)


@pytest.mark.parametrize(
    ("corrections", "words"),
    [
        ([stated_correction(1, 1, n=N)] * 2, "2 corrections for 1 languages"),
        ([stated_correction(1, 1, n=3)], "has shape .* for 400 resamples"),
    ],
)
def test_corrections_that_do_not_fit_are_refused(corrections: list[Correction], words: str) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=words):
        hierarchical_bootstrap([judged(rng)], rng=rng, n_resamples=N, corrections=corrections)
