from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recal.maths.agreement import Tally
from recal.maths.interval import rate_interval
from recal.maths.judge_error import (
    Corrected,
    JudgeError,
    corrected_difference,
    corrected_rate,
    rogan_gladen,
)

SE, SP = 0.9, 0.93
PUBLISHED = JudgeError(Tally(114, 127), Tally(441, 473))


def judged(rng: np.random.Generator, rate: float, n: int) -> Tally:
    """What a judge with SE and SP says of n texts of which a share `rate` refuses."""
    return Tally(int(rng.binomial(n, rate * SE + (1 - rate) * (1 - SP))), n)


def labelled(rng: np.random.Generator, n: int) -> JudgeError:
    return JudgeError(Tally(int(rng.binomial(n, SE)), n), Tally(int(rng.binomial(n, SP)), n))


def coverage(truth: float, draw: Callable[[np.random.Generator], Corrected]) -> float:
    rng = np.random.default_rng(0)
    return float(np.mean([c.low <= truth <= c.high for c in (draw(rng) for _ in range(1000))]))


@given(rate=st.floats(0, 1), se=st.floats(0.55, 1), sp=st.floats(0.55, 1))
def test_correction_undoes_what_the_judge_does(rate: float, se: float, sp: float) -> None:
    seen = rate * se + (1 - rate) * (1 - sp)
    assert rogan_gladen(seen, sensitivity=se, specificity=sp) == pytest.approx(rate, abs=1e-9)


def test_a_perfect_judge_needs_no_correction() -> None:
    error = JudgeError(Tally(10_000, 10_000), Tally(10_000, 10_000))
    found = corrected_rate(Tally(30, 100), error)
    assert found.estimate == pytest.approx(0.30)
    assert (found.low, found.high) == pytest.approx(rate_interval(30, 100), abs=2e-3)


def test_the_published_difference_is_larger_than_it_looks() -> None:
    found = corrected_difference(Tally(559, 1000), Tally(0, 1000), PUBLISHED)
    assert found.estimate == pytest.approx(0.674, abs=2e-3)


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
@pytest.mark.parametrize(("n", "n_labels"), [(500, 100), (500, 30), (40, 50)])
def test_the_interval_of_a_rate_covers_the_truth_at_least_as_often_as_it_says(
    rate: float, n: int, n_labels: int
) -> None:
    found = coverage(
        rate, lambda rng: corrected_rate(judged(rng, rate, n), labelled(rng, n_labels))
    )
    assert found >= 0.93


@pytest.mark.parametrize("rates", [(0.9, 0.05), (0.98, 0.0), (0.3, 0.3)])
@pytest.mark.parametrize(("n", "n_labels"), [(500, 100), (500, 30), (40, 50)])
def test_the_interval_of_a_difference_covers_the_truth_at_least_as_often_as_it_says(
    rates: tuple[float, float], n: int, n_labels: int
) -> None:
    def draw(rng: np.random.Generator) -> Corrected:
        one, two = (judged(rng, rate, n) for rate in rates)
        return corrected_difference(one, two, labelled(rng, n_labels))

    assert coverage(rates[0] - rates[1], draw) >= 0.93


def test_with_few_labels_the_interval_is_not_wider_than_it_must_be() -> None:
    def draw(rng: np.random.Generator) -> Corrected:
        return corrected_rate(judged(rng, 0.5, 2000), labelled(rng, 20))

    assert coverage(0.5, draw) == pytest.approx(0.96, abs=0.02)


def test_without_correction_the_truth_is_missed() -> None:
    def uncorrected(rng: np.random.Generator) -> Corrected:
        tally = judged(rng, 0.9, 500)
        return Corrected(tally.share, *rate_interval(tally.yes, tally.of), vacuous=False)

    assert coverage(0.9, uncorrected) < 0.1


def test_an_interval_that_takes_the_labels_for_the_truth_is_too_narrow() -> None:
    def certain(rng: np.random.Generator) -> Corrected:
        error = JudgeError(*(Tally(t.yes * 1000, t.of * 1000) for t in labelled(rng, 60)))
        return corrected_rate(judged(rng, 0.9, 500), error)

    assert coverage(0.9, certain) < 0.8


def test_more_labels_narrow_the_interval() -> None:
    few, many = (
        corrected_rate(Tally(400, 500), JudgeError(Tally(9 * n, 10 * n), Tally(9 * n, 10 * n)))
        for n in (3, 100)
    )
    assert many.high - many.low < few.high - few.low


def test_a_higher_level_is_wider() -> None:
    for correct in (
        lambda level: corrected_rate(Tally(40, 80), PUBLISHED, level=level),
        lambda level: corrected_difference(Tally(40, 80), Tally(9, 80), PUBLISHED, level=level),
    ):
        assert correct(0.99).low < correct(0.9).low < correct(0.9).high < correct(0.99).high


def test_what_lies_outside_of_the_range_is_cut_to_it() -> None:
    assert corrected_rate(Tally(0, 50), PUBLISHED).estimate == 0.0
    assert corrected_rate(Tally(50, 50), PUBLISHED).estimate == 1.0
    assert corrected_difference(Tally(50, 50), Tally(0, 50), PUBLISHED).estimate == 1.0


@given(yes=st.integers(0, 60), found=st.integers(12, 20), left=st.integers(12, 20))
def test_the_interval_holds_the_estimate_and_stays_in_the_range(
    yes: int, found: int, left: int
) -> None:
    error = JudgeError(Tally(found, 20), Tally(left, 20))
    rate = corrected_rate(Tally(yes, 60), error)
    assert 0.0 <= rate.low <= rate.estimate <= rate.high <= 1.0
    difference = corrected_difference(Tally(yes, 60), Tally(10, 60), error)
    assert -1.0 <= difference.low <= difference.estimate <= difference.high <= 1.0


def test_labels_that_cannot_tell_the_judge_from_a_coin_leave_everything_open() -> None:
    error = JudgeError(Tally(3, 5), Tally(3, 5))
    assert corrected_rate(Tally(30, 60), error)[1:] == (0.0, 1.0, True)
    assert corrected_difference(Tally(30, 60), Tally(3, 60), error)[1:] == (-1.0, 1.0, True)
    assert not corrected_rate(Tally(30, 60), PUBLISHED).vacuous


@pytest.mark.parametrize("error", [JudgeError(Tally(5, 10), Tally(5, 10))])
def test_a_coin_is_no_judge(error: JudgeError) -> None:
    with pytest.raises(ValueError, match="those of a coin or worse"):
        corrected_rate(Tally(1, 2), error)
    with pytest.raises(ValueError, match="those of a coin or worse"):
        corrected_difference(Tally(1, 2), Tally(1, 2), error)


def test_a_class_without_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="0 of 0 is no share"):
        corrected_rate(Tally(1, 2), JudgeError(Tally(0, 0), Tally(5, 5)))


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_an_impossible_level_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="`level` is"):
        corrected_rate(Tally(1, 2), PUBLISHED, level=level)


def test_discrimination_is_what_differences_shrink_by() -> None:
    assert PUBLISHED.discrimination == pytest.approx(0.830, abs=1e-3)
