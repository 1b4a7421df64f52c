from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from recal.maths.agreement import Agreement, Tally, agreement, cohen_kappa, kappa_interval

PUBLISHED = Agreement(tp=114, fn=13, fp=32, tn=441)
"""600 human labels of arXiv:2606.01196's judge, as its released figure shows them."""


def test_the_published_judges_figures_come_out() -> None:
    assert PUBLISHED.n == 600
    assert PUBLISHED.sensitivity.share == pytest.approx(0.898, abs=5e-4)
    assert PUBLISHED.specificity.share == pytest.approx(0.932, abs=5e-4)
    assert cohen_kappa(PUBLISHED) == pytest.approx(0.787, abs=5e-4)


def test_kappa_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    people = rng.random(200) < 0.3
    judge = people ^ (rng.random(200) < 0.2)
    counts = agreement(judge, people)
    assert cohen_kappa(counts) == pytest.approx(cohen_kappa_score(judge, people))
    assert counts.sensitivity == Tally(int((judge & people).sum()), int(people.sum()))
    assert counts.specificity == Tally(int((~judge & ~people).sum()), int((~people).sum()))


def test_a_judge_that_answers_at_random_has_no_kappa_and_a_perfect_one_has_all() -> None:
    rng = np.random.default_rng(1)
    people = rng.random(20_000) < 0.3
    assert cohen_kappa(agreement(rng.random(20_000) < 0.6, people)) == pytest.approx(0, abs=0.02)
    assert cohen_kappa(agreement(people, people)) == 1.0
    assert cohen_kappa(agreement(~people, people)) < 0


def test_the_interval_of_kappa_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    shares = np.array([0.3, 0.05, 0.1, 0.55])
    truth = cohen_kappa(Agreement(*(shares * 10_000).astype(int).tolist()))
    drawn = [Agreement(*rng.multinomial(200, shares).tolist()) for _ in range(800)]
    ninety, fifty = (
        np.mean([i.low <= truth <= i.high for i in (kappa_interval(d, level=v) for d in drawn)])
        for v in (0.9, 0.5)
    )
    assert ninety == pytest.approx(0.9, abs=0.03)
    assert fifty == pytest.approx(0.5, abs=0.06)


def test_perfect_agreement_has_an_interval_within_its_range() -> None:
    assert kappa_interval(Agreement(10, 0, 0, 10)) == (1.0, 1.0)


def test_counts_add_up() -> None:
    assert Agreement(1, 2, 3, 4) + Agreement(10, 20, 30, 40) == Agreement(11, 22, 33, 44)


@pytest.mark.parametrize("counts", [Agreement(0, 0, 0, 9), Agreement(9, 0, 0, 0)])
def test_where_all_answers_are_one_kappa_says_nothing(counts: Agreement) -> None:
    with pytest.raises(ValueError, match="all 9 answers of both are the same"):
        cohen_kappa(counts)


@pytest.mark.parametrize("counts", [Agreement(0, 0, 0, 0), Agreement(3, -1, 0, 2)])
def test_counts_of_nothing_are_refused(counts: Agreement) -> None:
    with pytest.raises(ValueError, match="no counts of answers"):
        cohen_kappa(counts)


@pytest.mark.parametrize("tally", [Tally(0, 0), Tally(3, 2), Tally(-1, 2)])
def test_a_share_that_is_none_is_refused(tally: Tally) -> None:
    with pytest.raises(ValueError, match=f"{tally.yes} of {tally.of} is no share"):
        _ = tally.share


def test_labels_and_judgements_must_pair_up() -> None:
    with pytest.raises(ValueError, match="2 judgements and 1 labels"):
        agreement([True, False], [True])


def test_an_impossible_level_is_refused() -> None:
    with pytest.raises(ValueError, match="`level` is 95"):
        kappa_interval(PUBLISHED, level=95)


@pytest.mark.parametrize("shares", [(0.10, 0.30, 0.02, 0.58), (0.30, 0.01, 0.30, 0.39)])
def test_the_interval_of_kappa_is_as_wide_as_a_bootstrap_says(shares: tuple[float, ...]) -> None:
    counts = Agreement(*(round(5000 * share) for share in shares))
    rng = np.random.default_rng(3)
    drawn = [cohen_kappa(Agreement(*row)) for row in rng.multinomial(5000, shares, 4000).tolist()]
    low, high = kappa_interval(counts, level=0.6827)
    assert (high - low) / 2 == pytest.approx(np.std(drawn), rel=0.03)
