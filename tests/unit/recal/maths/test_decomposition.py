"""The losses add up, whatever was observed, and a judge's mistakes are given back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recal.maths.decomposition import PERFECT, JudgeError, decompose

deltas = st.floats(-100, 100)
errors = st.builds(JudgeError, sensitivity=st.floats(0.6, 1), specificity=st.floats(0.6, 1))


@given(delta=deltas, oracle=deltas, error=errors)
def test_the_three_losses_and_delta_add_up_to_100(
    delta: float, oracle: float, error: JudgeError
) -> None:
    found = decompose(delta, oracle, error)
    losses = found.gate_loss + found.actuation_loss + found.judge_loss
    assert delta + losses == pytest.approx(100.0)
    assert found.total == pytest.approx(losses)


def test_without_the_judges_part_they_would_not_add_up() -> None:
    found = decompose(50.0, 80.0, JudgeError(0.9, 0.9))
    assert abs(50.0 + found.gate_loss + found.actuation_loss - 100.0) > 10


def test_losses_by_hand() -> None:
    found = decompose(40.0, 64.0, JudgeError(0.9, 0.9))
    assert found.gate_loss == pytest.approx(30.0)
    assert found.actuation_loss == pytest.approx(20.0)
    assert found.judge_loss == pytest.approx(10.0)


@given(delta=deltas, oracle=deltas)
def test_a_perfect_judge_loses_nothing(delta: float, oracle: float) -> None:
    found = decompose(delta, oracle, PERFECT)
    assert (found.judge_loss, found.gate_loss) == (0.0, oracle - delta)


def test_the_oracle_gate_itself_has_no_gate_loss() -> None:
    assert decompose(70.0, 70.0, JudgeError(0.8, 0.9)).gate_loss == 0.0


def test_a_corrected_rate_is_the_true_one_and_a_raw_one_is_not() -> None:
    rng, error = np.random.default_rng(0), JudgeError(0.9, 0.8)
    refused = rng.random(20_000) < 0.3
    said = np.where(refused, rng.random(20_000) < 0.9, rng.random(20_000) < 0.2)
    raw = 100 * said.mean()
    assert error.corrected(raw) == pytest.approx(30.0, abs=1.5)
    assert abs(raw - 30.0) > 5


@given(rate=st.floats(0, 100), error=errors)
def test_correction_undoes_what_the_judge_does(rate: float, error: JudgeError) -> None:
    observed = rate * error.sensitivity + (100 - rate) * (1 - error.specificity)
    assert error.corrected(observed) == pytest.approx(rate, abs=1e-6)


@pytest.mark.parametrize(
    ("sensitivity", "specificity", "words"),
    [(0.5, 0.5, "no better than chance"), (1.1, 0.9, "`sensitivity`"), (0.9, np.nan, "`specif")],
)
def test_a_judge_that_cannot_be_corrected_is_refused(
    sensitivity: float, specificity: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        JudgeError(sensitivity, specificity)


@pytest.mark.parametrize(("delta", "oracle"), [(np.nan, 1.0), (1.0, np.inf)])
def test_a_delta_that_is_no_number_is_refused(delta: float, oracle: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        decompose(delta, oracle)


def test_a_rate_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="must be finite"):
        PERFECT.corrected(np.nan)
