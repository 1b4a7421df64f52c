"""Procrustes on projections: the rotation is found, distances stay, folding changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ortho_group

from recal.maths.alignment import fold_aligned, procrustes
from recal.maths.logistic import Logistic, fold, logits, score
from recal.maths.metrics import auroc

RANK, D = 4, 9


def rotated(rng: np.random.Generator, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Source projections, the same turned and moved, and the rotation back."""
    source = rng.normal(size=(n, RANK)) * np.array([3.0, 2.0, 1.0, 0.5]) + 5.0
    rotation = ortho_group.rvs(RANK, random_state=rng)
    return source, (source - 5.0) @ rotation.T - 2.0, rotation


def test_a_rotation_and_a_shift_are_undone_exactly() -> None:
    source, target, rotation = rotated(np.random.default_rng(0))
    found = procrustes(target, source)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-9)
    np.testing.assert_allclose(found(target), source, atol=1e-9)


def test_projections_of_other_prompts_are_not_brought_together() -> None:
    rng = np.random.default_rng(1)
    source, target, _ = rotated(rng)
    found = procrustes(rng.permutation(target), source)
    assert np.abs(found(target) - source).max() > 1.0


def test_aligning_a_language_with_itself_does_nothing() -> None:
    source, _, _ = rotated(np.random.default_rng(2))
    np.testing.assert_allclose(procrustes(source, source)(source), source, atol=1e-9)


def test_no_distance_changes() -> None:
    rng = np.random.default_rng(3)
    source, target, _ = rotated(rng)
    noisy = target + rng.normal(size=target.shape)
    moved = procrustes(noisy, source)(noisy)
    before = np.linalg.norm(noisy[:, None] - noisy[None], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(moved[:, None] - moved[None], axis=-1), before)


def a_logistic(rng: np.random.Generator) -> Logistic:
    return Logistic(rng.normal(size=RANK), rng.uniform(0.5, 2, RANK), rng.normal(size=RANK), 0.7)


def test_the_folded_readout_scores_as_aligning_and_scoring_do() -> None:
    rng = np.random.default_rng(4)
    basis = np.linalg.qr(rng.normal(size=(D, RANK)))[0]
    source, target, _ = rotated(rng)
    alignment, logistic = procrustes(target, source), a_logistic(rng)
    residuals = rng.normal(size=(20, D))
    folded = fold_aligned(alignment, basis, logistic, unit=2.5)
    by_steps = logits(logistic, alignment(residuals @ basis)) / 2.5
    np.testing.assert_allclose(score(folded, residuals), by_steps, atol=1e-9)
    unaligned = score(fold(basis, logistic, unit=2.5), residuals)
    assert np.abs(unaligned - by_steps).max() > 0.1


def test_a_language_whose_harmfulness_is_turned_away_is_read_again() -> None:
    rng = np.random.default_rng(5)
    harmful = np.repeat([True, False], 100)
    source = rng.normal(size=(200, RANK))
    source[:, 0] += np.where(harmful, 1.5, -1.5)
    target = source @ ortho_group.rvs(RANK, random_state=rng) + 0.3 * rng.normal(size=(200, RANK))
    readout = Logistic(np.zeros(RANK), np.ones(RANK), np.array([1.0, 0, 0, 0]), 0.0)
    found = procrustes(target[::2], source[::2])
    unseen, labels = target[1::2], harmful[1::2]

    def auc(projections: np.ndarray) -> float:
        scored = logits(readout, projections)
        return auroc(scored[labels], scored[~labels])

    assert auc(found(unseen)) > max(0.95, auc(unseen) + 0.02)


@pytest.mark.parametrize(
    ("target", "source", "named"),
    [
        (np.zeros((5, 4)), np.zeros((6, 4)), "the same prompts in both languages"),
        (np.zeros((4, 4)), np.zeros((4, 4)), "4 pairs do not fix a rotation of rank 4"),
        (np.full((9, 2), np.nan), np.zeros((9, 2)), "`target` holds nan"),
    ],
)
def test_pairs_that_cannot_be_aligned_are_named(
    target: np.ndarray, source: np.ndarray, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        procrustes(target, source)


def test_ranks_that_differ_are_named() -> None:
    rng = np.random.default_rng(6)
    source, target, _ = rotated(rng)
    found = procrustes(target, source)
    with pytest.raises(ValueError, match="projections have rank 3, the alignment 4"):
        found(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"have the ranks \[3, 4\]"):
        fold_aligned(found, np.eye(D)[:, :3], a_logistic(rng), unit=1.0)
    with pytest.raises(ValueError, match="`unit` is 0"):
        fold_aligned(found, np.eye(D)[:, :4], a_logistic(rng), unit=0.0)
