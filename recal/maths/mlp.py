"""A small multilayer perceptron as readout: what a readout that is not linear would see.

Kept for the comparison of readouts. It does not fold into one vector, so it is not served.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logit
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from recal.maths.two_class import FloatArray, TwoClass, checked_rows, stacked

_SURE = 1e-9


@dataclass(frozen=True, eq=False)
class FittedMlp:
    """A fitted perceptron with its scaler."""

    network: MLPClassifier
    centre: FloatArray
    scale: FloatArray

    def score(self, residuals: ArrayLike) -> FloatArray:
        """Log odds of harmful, (n, d_model) to (n,)."""
        standard = (checked_rows("residuals", residuals) - self.centre) / self.scale
        probability = self.network.predict_proba(standard)[:, 1]
        return np.asarray(logit(np.clip(probability, _SURE, 1 - _SURE)), dtype=np.float64)


def fit_mlp(
    residuals: Mapping[str, TwoClass],
    rng: np.random.Generator,
    *,
    hidden: tuple[int, ...] = (64, 32),
    penalty: float = 1.0,
    epochs: int = 60,
) -> FittedMlp:
    """Fit a perceptron on source languages' residuals at one place; every row weighs the same.

    Args:
        residuals: by language, (n, d_model) and (m, d_model).
        rng: of initial weights and order of rows.
        hidden: units of each hidden layer.
        penalty: strength of the L2 penalty, in scikit-learn's unit.
        epochs: at most.

    Raises:
        ValueError: no language, or rows are empty or not finite.

    Source: OMNIGuard, arXiv:2505.23856, whose layers have 512 and 256 units.
    """
    rows = stacked(residuals)
    table = np.concatenate(rows)
    labels = np.repeat([1, 0], [len(rows.harmful), len(rows.harmless)])
    centre, scale = table.mean(axis=0), table.std(axis=0)
    network = MLPClassifier(
        hidden,
        alpha=penalty,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=int(rng.integers(2**31)),
    )
    scale = np.where(scale > 0, scale, 1.0)
    # as many epochs as were asked for is no failure
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit((table - centre) / scale, labels)
    return FittedMlp(network, centre, scale)
