from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import special_ortho_group
from sklearn.linear_model import Ridge

from recal.maths.alignment import align, aligned, distil
from recal.maths.logistic import Folded, score
from recal.maths.two_class import FloatArray

D, RANK, N = 12, 4, 300
RNG = np.random.default_rng(0)
BASIS: FloatArray = np.linalg.qr(RNG.normal(size=(D, RANK)))[0]
FOLDED = Folded(BASIS @ RNG.normal(size=RANK), 0.7)
TURN = special_ortho_group.rvs(RANK, random_state=1)
SHIFT = 3.0 * BASIS @ RNG.normal(size=RANK)


def source() -> FloatArray:
    return np.random.default_rng(2).normal(size=(N, D)) * np.linspace(3, 0.5, D)


def turned(rows: FloatArray) -> FloatArray:
    """Another language: the source's subspace turned and moved, the rest as it is."""
    inside = rows @ BASIS
    return rows - inside @ BASIS.T + inside @ TURN.T @ BASIS.T + SHIFT


def test_a_language_that_is_turned_and_moved_scores_as_its_source() -> None:
    rows = source()
    found = aligned(FOLDED, BASIS, align(turned(rows), rows, BASIS))
    np.testing.assert_allclose(score(found, turned(rows)), score(FOLDED, rows), atol=1e-9)
    assert np.abs(score(FOLDED, turned(rows)) - score(FOLDED, rows)).max() > 1.0


def test_unseen_prompts_are_carried_along() -> None:
    rows = source()
    found = aligned(FOLDED, BASIS, align(turned(rows[:200]), rows[:200], BASIS))
    np.testing.assert_allclose(
        score(found, turned(rows[200:])), score(FOLDED, rows[200:]), atol=1e-9
    )


def test_prompts_that_are_not_translations_of_one_another_align_nothing() -> None:
    rows = source()
    mixed = np.random.default_rng(3).permutation(rows)
    found = aligned(FOLDED, BASIS, align(turned(rows), mixed, BASIS))
    assert np.corrcoef(score(found, turned(rows)), score(FOLDED, rows))[0, 1] < 0.9


def test_a_rotation_is_orthogonal() -> None:
    rows = source()
    noisy = turned(rows) + np.random.default_rng(4).normal(size=rows.shape)
    rotation = align(noisy, rows, BASIS).rotation
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(RANK), atol=1e-12)


def test_a_shift_alone_moves_every_score_by_the_same() -> None:
    rows = source()
    found = aligned(FOLDED, BASIS, align(turned(rows), rows, BASIS, rotate=False))
    moved = score(found, turned(rows)) - score(FOLDED, turned(rows))
    assert np.ptp(moved) < 1e-9
    assert score(found, turned(rows)).mean() == pytest.approx(score(FOLDED, rows).mean())


def test_a_language_that_is_the_source_stays_as_it_is() -> None:
    found = aligned(FOLDED, BASIS, align(source(), source(), BASIS))
    np.testing.assert_allclose(found.weight, FOLDED.weight, atol=1e-9)
    assert found.bias == pytest.approx(FOLDED.bias)


def test_rows_that_are_not_paired_are_refused() -> None:
    with pytest.raises(ValueError, match="300 rows cannot be paired with 299"):
        align(source(), source()[1:], BASIS)


def test_a_readout_of_another_subspace_is_refused() -> None:
    outside = Folded(np.random.default_rng(5).normal(size=D), 0.0)
    with pytest.raises(ValueError, match="does not lie in the span"):
        aligned(outside, BASIS, align(source(), source(), BASIS))


def taught(n: int, *, noise: float = 0.0, seed: int = 6) -> float:
    """How well a readout taught by n translations agrees with the source on unseen ones."""
    rows = source()
    rng = np.random.default_rng(seed)
    scores = score(FOLDED, rows) + noise * rng.normal(size=N)
    found = distil(turned(rows)[:n], scores[:n], strength=1.0)
    unseen = score(found, turned(rows)[200:])
    return float(np.corrcoef(unseen, score(FOLDED, rows)[200:])[0, 1])


def test_a_language_learns_the_scores_of_its_source_without_a_label() -> None:
    assert taught(200) > 0.999
    assert np.corrcoef(score(FOLDED, turned(source())), score(FOLDED, source()))[0, 1] < 0.9


def test_more_translations_and_a_surer_teacher_teach_better() -> None:
    assert taught(200, noise=3.0) > taught(20, noise=3.0) + 0.02
    assert taught(200) > taught(200, noise=3.0)


def test_a_teacher_of_other_prompts_teaches_nothing() -> None:
    rows = source()
    mixed = np.random.default_rng(7).permutation(score(FOLDED, rows))
    found = distil(turned(rows), mixed)
    assert abs(np.corrcoef(score(found, turned(rows)), score(FOLDED, rows))[0, 1]) < 0.5


def test_taught_scores_are_in_the_teachers_unit() -> None:
    rows = source()
    found = score(distil(turned(rows), score(FOLDED, rows), strength=0.01), turned(rows))
    np.testing.assert_allclose(found, score(FOLDED, rows), atol=1e-2)


def test_the_penalty_draws_scores_to_their_mean() -> None:
    rows = source()
    weak, strong = (
        score(distil(turned(rows), score(FOLDED, rows), strength=s), turned(rows))
        for s in (1.0, 1e6)
    )
    assert strong.std() < 0.01 * weak.std()
    assert strong.mean() == pytest.approx(weak.mean())


@pytest.mark.parametrize("n", [10, 200], ids=["fewer rows than coordinates", "more"])
def test_it_is_the_ridge_regression_of_the_textbook_however_many_rows_there_are(n: int) -> None:
    rng = np.random.default_rng(9)
    rows, scores = rng.normal(2.0, 3.0, size=(n, 12)), rng.normal(1.0, 2.0, size=n)
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    reference = Ridge(alpha=7.0).fit(standard, scores).predict(standard)
    np.testing.assert_allclose(score(distil(rows, scores, strength=7.0), rows), reference)


@pytest.mark.parametrize("strength", [0.0, -1.0, np.inf, np.nan])
def test_a_penalty_that_is_none_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="`strength` is"):
        distil(source(), np.arange(N), strength=strength)


def test_nothing_can_be_taught_without_pairs_or_spread() -> None:
    with pytest.raises(ValueError, match="300 rows cannot be paired with 3 scores"):
        distil(source(), [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="do not vary"):
        distil(source(), np.ones(N))
