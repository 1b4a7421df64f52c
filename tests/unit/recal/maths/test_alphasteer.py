"""AlphaSteer's null space and the amount that vanishes on it."""

import numpy as np
import pytest

from recal.maths.alphasteer import amount_of, null_space_projector

RNG = np.random.default_rng(0)
D = 12
SPREAD = np.diag([9.0] * 6 + [0.01] * 6)
BENIGN = RNG.normal(0, 1, (200, D)) @ SPREAD
HARMFUL = RNG.normal(0, 1, (200, D)) @ SPREAD + 5 * np.eye(D)[8]


def test_the_projector_is_idempotent_and_keeps_the_share_that_is_asked_for() -> None:
    p = null_space_projector(BENIGN, share=0.5)
    np.testing.assert_allclose(p @ p, p, atol=1e-9)
    np.testing.assert_allclose(p, p.T, atol=1e-12)
    assert np.trace(p) == pytest.approx(6)


def test_benign_states_nearly_vanish_under_it_and_do_not_without() -> None:
    half, all_of_it = (null_space_projector(BENIGN, share=share) for share in (0.5, 1.0))
    assert np.linalg.norm(BENIGN @ half) < 0.01 * np.linalg.norm(BENIGN)
    np.testing.assert_allclose(BENIGN @ all_of_it, BENIGN, atol=1e-9)


def test_harmful_states_get_the_whole_and_benign_ones_nothing() -> None:
    amount = amount_of(HARMFUL, null_space_projector(BENIGN, share=0.5))
    np.testing.assert_allclose(HARMFUL @ amount, 1.0, atol=0.05)
    assert np.abs(BENIGN @ amount).max() < 0.05


def test_without_a_null_space_benign_states_are_moved_too() -> None:
    where_benign_states_vary = RNG.normal(0, 1, (200, D)) @ SPREAD + 30 * np.eye(D)[0]
    half, all_of_it = (null_space_projector(BENIGN, share=share) for share in (0.5, 1.0))
    assert np.abs(BENIGN @ amount_of(where_benign_states_vary, all_of_it)).max() > 0.5
    assert np.abs(BENIGN @ amount_of(where_benign_states_vary, half)).max() < 0.05


def test_it_is_the_ridge_solution_of_the_paper_with_all_targets_the_same() -> None:
    p, r = null_space_projector(BENIGN, share=0.5), RNG.normal(0, 1, D)
    projected = HARMFUL @ p
    delta = np.linalg.solve(
        projected.T @ projected + 10.0 * np.eye(D), projected.T @ np.tile(r, (200, 1))
    ).T
    state = RNG.normal(0, 1, D)
    np.testing.assert_allclose(delta @ p @ state, (amount_of(HARMFUL, p) @ state) * r, atol=1e-9)


def test_a_stronger_ridge_moves_less() -> None:
    p = null_space_projector(BENIGN, share=0.5)
    weak, strong = (HARMFUL.mean(0) @ amount_of(HARMFUL, p, ridge=ridge) for ridge in (1.0, 1e4))
    assert strong < 0.5 < weak


def test_what_makes_no_sense_is_refused() -> None:
    p = null_space_projector(BENIGN, share=0.5)
    for share, words in ((0.0, "lies in"), (1.1, "lies in"), (0.01, "is none")):
        with pytest.raises(ValueError, match=words):
            null_space_projector(BENIGN, share=share)
    with pytest.raises(ValueError, match="`ridge` is 0.0"):
        amount_of(HARMFUL, p, ridge=0.0)
    with pytest.raises(ValueError, match="a projector of shape"):
        amount_of(HARMFUL[:, 1:], p)
