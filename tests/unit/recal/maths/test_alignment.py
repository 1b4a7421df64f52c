from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import special_ortho_group

from recal.maths.alignment import align, aligned
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
