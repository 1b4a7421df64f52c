from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recal.maths.paired import Pairs, mcnemar_p, paired, paired_difference

COUNTS = st.integers(0, 60)


def test_questions_are_counted_by_which_answer_is_right() -> None:
    first, second = [True, True, False, False, True], [True, False, True, False, False]
    assert paired(first, second) == Pairs(both=1, only_first=2, only_second=1, neither=1)


@pytest.mark.parametrize(
    ("pairs", "interval"),
    [
        (Pairs(36, 12, 2, 0), (0.0569, 0.3404)),
        (Pairs(36, 14, 0, 0), (0.1528, 0.4167)),
        (Pairs(0, 0, 0, 30), (-0.1135, 0.1135)),
    ],
)
def test_newcombes_own_examples(pairs: Pairs, interval: tuple[float, float]) -> None:
    assert paired_difference(pairs) == pytest.approx(interval, abs=1e-3)


@given(st.builds(Pairs, COUNTS, COUNTS, COUNTS, COUNTS).filter(lambda pairs: pairs.n > 0))
def test_the_interval_holds_the_difference_and_turns_round_with_the_pair(pairs: Pairs) -> None:
    low, high = paired_difference(pairs)
    difference = (pairs.only_first - pairs.only_second) / pairs.n
    assert -1.0 <= low <= difference + 1e-12
    assert difference - 1e-12 <= high <= 1.0
    turned = Pairs(pairs.both, pairs.only_second, pairs.only_first, pairs.neither)
    assert paired_difference(turned) == pytest.approx((-high, -low))


def drawn(rng: np.random.Generator, n: int, shares: tuple[float, ...]) -> Pairs:
    return Pairs(*rng.multinomial(n, shares).tolist())


@pytest.mark.parametrize("shares", [(0.6, 0.05, 0.1, 0.25), (0.9, 0.02, 0.0, 0.08)])
def test_the_interval_covers_the_truth_as_often_as_it_says(shares: tuple[float, ...]) -> None:
    rng = np.random.default_rng(0)
    truth = shares[1] - shares[2]
    intervals = [paired_difference(drawn(rng, 200, shares)) for _ in range(600)]
    assert np.mean([low <= truth <= high for low, high in intervals]) >= 0.93


def test_an_interval_that_does_not_know_of_the_pairs_is_much_wider() -> None:
    alike = Pairs(450, 5, 5, 540)
    apart = Pairs(207, 248, 248, 297)
    narrow, wide = paired_difference(alike), paired_difference(apart)
    assert narrow.high - narrow.low < (wide.high - wide.low) / 3


def test_a_higher_level_is_wider() -> None:
    pairs = Pairs(50, 10, 4, 36)
    assert paired_difference(pairs, level=0.99).low < paired_difference(pairs, level=0.9).low


def test_mcnemar_looks_at_discordant_questions_alone() -> None:
    assert mcnemar_p(Pairs(0, 10, 0, 0)) == pytest.approx(2 / 2**10)
    assert mcnemar_p(Pairs(900, 10, 0, 70)) == mcnemar_p(Pairs(0, 10, 0, 0))
    assert mcnemar_p(Pairs(5, 7, 7, 2)) == 1.0
    assert mcnemar_p(Pairs(5, 0, 0, 5)) == 1.0


def test_under_equal_rates_mcnemar_is_small_no_more_often_than_it_says() -> None:
    rng = np.random.default_rng(1)
    equal = [mcnemar_p(drawn(rng, 200, (0.5, 0.1, 0.1, 0.3))) for _ in range(500)]
    unequal = [mcnemar_p(drawn(rng, 200, (0.5, 0.2, 0.05, 0.25))) for _ in range(100)]
    assert np.mean(np.array(equal) < 0.05) <= 0.07
    assert np.mean(np.array(unequal) < 0.05) > 0.9


def test_answers_that_do_not_pair_up_are_refused() -> None:
    with pytest.raises(ValueError, match="number 1 and 2"):
        paired([True], [True, False])


@pytest.mark.parametrize("pairs", [Pairs(0, 0, 0, 0), Pairs(1, -1, 0, 0)])
def test_counts_of_nothing_are_refused(pairs: Pairs) -> None:
    with pytest.raises(ValueError, match="no counts of questions"):
        paired_difference(pairs)
