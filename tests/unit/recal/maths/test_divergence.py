import numpy as np
import pytest
from scipy.special import log_softmax

from recal.maths.divergence import mean_kl

LOGITS = np.random.default_rng(0).normal(0, 3, (5, 11))


def test_the_same_logits_do_not_diverge_and_others_do() -> None:
    assert mean_kl(LOGITS, LOGITS) == pytest.approx(0.0, abs=1e-12)
    assert mean_kl(LOGITS, LOGITS[:, ::-1]) > 0.1


def test_a_constant_on_all_logits_changes_nothing() -> None:
    assert mean_kl(LOGITS, LOGITS + 7.0) == pytest.approx(0.0, abs=1e-12)


def test_it_is_the_mean_of_what_each_prompt_diverges() -> None:
    other = LOGITS + np.random.default_rng(1).normal(0, 1, LOGITS.shape)
    each = [mean_kl(LOGITS[i : i + 1], other[i : i + 1]) for i in range(5)]
    assert mean_kl(LOGITS, other) == pytest.approx(np.mean(each))


def test_it_is_measured_from_the_untouched_model() -> None:
    sure, unsure = np.array([[9.0, 0.0]]), np.array([[1.0, 0.0]])
    p, q = (np.exp(log_softmax(row)) for row in (sure[0], unsure[0]))
    assert mean_kl(sure, unsure) == pytest.approx(float(np.sum(p * np.log(p / q))))
    assert mean_kl(sure, unsure) != pytest.approx(mean_kl(unsure, sure))


def test_logits_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        mean_kl(LOGITS, LOGITS[:2])
    with pytest.raises(ValueError, match="non-finite"):
        mean_kl(LOGITS, LOGITS * np.inf)
