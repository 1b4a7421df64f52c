"""The thresholds that labelled scores can tell apart, and how many of each class lie above them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recal.maths.two_class import FloatArray, checked_scores

_MARGIN = 1e-6


class Candidates(NamedTuple):
    """Candidates with the number of each class at or above them; counts keep ties exact."""

    thresholds: FloatArray
    """One below all scores, the midpoints between consecutive distinct ones, one above all."""
    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    n_harmful: int
    n_harmless: int

    @classmethod
    def of(cls, harmful_scores: ArrayLike, harmless_scores: ArrayLike) -> Candidates:
        """The candidates of two classes.

        Raises:
            ValueError: a class is empty, or a score is not finite.
        """
        harmful = np.sort(checked_scores("harmful_scores", harmful_scores))
        harmless = np.sort(checked_scores("harmless_scores", harmless_scores))
        distinct = np.unique(np.concatenate([harmful, harmless]))
        between = (distinct[:-1] + distinct[1:]) / 2
        thresholds = np.concatenate([distinct[:1] - _MARGIN, between, distinct[-1:] + _MARGIN])
        return cls(
            thresholds=thresholds,
            true_positives=len(harmful) - np.searchsorted(harmful, thresholds),
            false_positives=len(harmless) - np.searchsorted(harmless, thresholds),
            n_harmful=len(harmful),
            n_harmless=len(harmless),
        )

    @property
    def f1(self) -> FloatArray:
        """F1 of harmful at each, with both classes weighted by one half."""
        hits = self.true_positives * self.n_harmless
        alarms = self.false_positives * self.n_harmful
        return np.asarray(2 * hits / (hits + alarms + self.n_harmful * self.n_harmless))

    @property
    def balanced_accuracy(self) -> FloatArray:
        """Mean of both classes' accuracies at each."""
        hits = self.true_positives * self.n_harmless
        rejections = (self.n_harmless - self.false_positives) * self.n_harmful
        return np.asarray((hits + rejections) / (2 * self.n_harmful * self.n_harmless))

    def standard_error(self, index: int) -> float:
        """Of the balanced accuracy at one of them."""
        tpr = float(self.true_positives[index]) / self.n_harmful
        fpr = float(self.false_positives[index]) / self.n_harmless
        variance = tpr * (1 - tpr) / self.n_harmful + fpr * (1 - fpr) / self.n_harmless
        return math.sqrt(variance) / 2
