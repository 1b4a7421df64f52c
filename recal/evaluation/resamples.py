"""The hierarchical bootstrap of every group of languages, the same resamples for all arms."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from recal.evaluation.cell import Cell
from recal.evaluation.held import source_numbers
from recal.evaluation.plan import EvaluationPlan
from recal.evaluation.report import Estimate
from recal.maths.bootstrap import (
    LanguageAnswers,
    Resampled,
    hierarchical_bootstrap,
    percentile_interval,
)
from recal.maths.two_class import BoolArray, FloatArray

Cells = Mapping[tuple[str, str], Cell]
"""By arm's key and language."""


class Resamples:
    """Resampled rates by group of languages and arm; a group is made when it is first asked for."""

    def __init__(self, cells: Cells, arms: Sequence[str], plan: EvaluationPlan) -> None:
        """Resample these arms, by their keys, under the plan's seed."""
        self._cells = cells
        self._arms = list(arms)
        self._plan = plan
        self._made: dict[tuple[str, ...], Resampled] = {}

    def harmful(self, arm: str, languages: Sequence[str]) -> FloatArray:
        """(n_resamples,) mean harmful refusal, in points."""
        return np.asarray(100.0 * self._of(languages).harmful[:, self._arms.index(arm)])

    def harmless(self, arm: str, languages: Sequence[str]) -> FloatArray:
        """(n_resamples,) mean harmless refusal, in points."""
        return np.asarray(100.0 * self._of(languages).harmless[:, self._arms.index(arm)])

    def delta(self, arm: str, languages: Sequence[str]) -> FloatArray:
        """(n_resamples,) mean Δ, in points."""
        return self.harmful(arm, languages) - self.harmless(arm, languages)

    def _of(self, languages: Sequence[str]) -> Resampled:
        group = tuple(languages)
        if group not in self._made:
            # by its name, so that a group's interval does not depend on what else is evaluated
            name = zlib.crc32(",".join(group).encode())
            self._made[group] = hierarchical_bootstrap(
                self._answers(group),
                rng=np.random.default_rng([self._plan.seed, name]),
                n_resamples=self._plan.n_resamples,
            )
        return self._made[group]

    def _answers(self, languages: Sequence[str]) -> list[LanguageAnswers]:
        parts = [self._cells[self._arms[0], language].part for language in languages]
        harmful_numbers = source_numbers(parts, harmful=True)
        harmless_numbers = source_numbers(parts, harmful=False)
        answers = []
        for part in parts:
            refused = np.stack([self._refused(arm, part.language) for arm in self._arms])
            answers.append(
                LanguageAnswers(
                    harmful=refused[:, :, part.harmful],
                    harmless=refused[:, :, ~part.harmful],
                    harmful_sources=harmful_numbers[part.language],
                    harmless_sources=harmless_numbers[part.language],
                )
            )
        return answers

    def _refused(self, arm: str, language: str) -> BoolArray:
        """An arm without draws gives the same answers in all of them."""
        refused = self._cells[arm, language].refused
        return np.broadcast_to(refused, (self._plan.draws, refused.shape[1]))


def estimate(value: float, resampled: FloatArray) -> Estimate:
    """A number with the 95 % interval of its resamples."""
    interval = percentile_interval(resampled)
    return Estimate(value, interval.low, interval.high)
