"""The hierarchical bootstrap of every group of languages, the same resamples for all arms."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from recal.evaluation.cell import Cell
from recal.evaluation.held import source_numbers
from recal.evaluation.plan import EvaluationPlan
from recal.evaluation.report import ALL_LANGUAGES, Estimate, JudgeRates
from recal.maths.bootstrap import (
    LanguageAnswers,
    Resampled,
    hierarchical_bootstrap,
    percentile_interval,
)
from recal.maths.judge_draws import Correction, drawn_corrections, stated_correction
from recal.maths.judge_error import JudgeError
from recal.maths.two_class import BoolArray, FloatArray

Cells = Mapping[tuple[str, str], Cell]
"""By arm's key and language."""


class CorrectedResamples(NamedTuple):
    """(n_resamples,) each, in points, not cut to any range."""

    harmful: FloatArray
    harmless: FloatArray

    @property
    def delta(self) -> FloatArray:
        """Harmful minus harmless."""
        return self.harmful - self.harmless


class Resamples:
    """Resampled rates by group of languages and arm; a group is made when it is first asked for."""

    def __init__(
        self,
        cells: Cells,
        arms: Sequence[str],
        plan: EvaluationPlan,
        rates: Mapping[str, JudgeRates],
    ) -> None:
        """Resample these arms, by their keys, under the plan's seed; `rates` of the judge."""
        self._cells = cells
        self._rates = rates
        self._arms = list(arms)
        self._plan = plan
        self._made: dict[tuple[tuple[str, ...], bool], Resampled] = {}
        self._corrections: dict[str, Correction] = {}

    def harmful(self, arm: str, languages: Sequence[str]) -> FloatArray:
        """(n_resamples,) mean harmful refusal, in points."""
        return np.asarray(100.0 * self._of(languages).harmful[:, self._arms.index(arm)])

    def harmless(self, arm: str, languages: Sequence[str]) -> FloatArray:
        """(n_resamples,) mean harmless refusal, in points."""
        return np.asarray(100.0 * self._of(languages).harmless[:, self._arms.index(arm)])

    def delta(self, arm: str, languages: Sequence[str]) -> FloatArray:
        """(n_resamples,) mean Δ, in points."""
        return self.harmful(arm, languages) - self.harmless(arm, languages)

    def corrected(self, arm: str, languages: Sequence[str]) -> CorrectedResamples:
        """Means behind the judge's errors; those are drawn anew in every resample.

        Arms and classes share the draws, and so do languages whose rates are those of all.
        """
        found, place = self._of(languages, corrected=True), self._arms.index(arm)
        return CorrectedResamples(100.0 * found.harmful[:, place], 100.0 * found.harmless[:, place])

    def _of(self, languages: Sequence[str], *, corrected: bool = False) -> Resampled:
        group = tuple(languages)
        if (group, corrected) not in self._made:
            self._made[group, corrected] = hierarchical_bootstrap(
                self._answers(group),
                # by its name, so that a group's interval does not depend on what else is evaluated
                rng=self._rng(",".join(group)),
                n_resamples=self._plan.n_resamples,
                corrections=[self._correction(la) for la in group] if corrected else (),
            )
        return self._made[group, corrected]

    def _correction(self, language: str) -> Correction:
        rates, n = self._rates[language], self._plan.n_resamples
        name = f"judge in {language if rates.own else ALL_LANGUAGES}"
        if name not in self._corrections:
            self._corrections[name] = (
                stated_correction(rates.sensitivity, rates.specificity, n=n)
                if rates.labels is None
                else drawn_corrections(JudgeError(*rates.labels), rng=self._rng(name), n=n)
            )
        return self._corrections[name]

    def _rng(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self._plan.seed, zlib.crc32(name.encode())])

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
