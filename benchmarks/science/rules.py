"""Ways to a threshold, by name: the paper's, ours, and the two ends between which they lie.

A new estimator is one line of `RULES`: `frozen(...)` where it needs the few examples' scores alone,
else a function of a `Case`, which holds what is known of one language beside them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from benchmarks.science.prompt_sets import LOW
from benchmarks.science.reading import Reading
from recal.maths.logistic import Folded, Logistic, fold, score
from recal.maths.metrics import youden_j
from recal.maths.threshold import Estimator, Midpoint, paper_f1
from recal.maths.two_class import FloatArray, TwoClass
from recal.prompts import draw


class Decision(NamedTuple):
    """Harmful where the readout's score is at or above the threshold."""

    readout: Folded
    threshold: float


@dataclass(frozen=True, eq=False)
class Case:
    """One language with k examples of each class, drawn once."""

    reading: Reading
    language: str
    k: int
    number: int
    """Of the draw."""

    @property
    def residuals(self) -> TwoClass:
        """Of the examples, (k, d_model) each."""
        return self._of_examples(self.reading.residuals("calibration", self.language))

    @property
    def scores(self) -> TwoClass:
        """Of the examples by the frozen readout, (k,) each."""
        return self._of_examples(self.reading.scores("calibration", self.language))

    @property
    def english(self) -> TwoClass:
        """Scores of the examples' English translations, in the examples' order."""
        return self._of_examples(self._english)

    @property
    def unlabelled(self) -> FloatArray:
        """Scores of the language's calibration prompts, both classes in about equal parts."""
        return np.concatenate(self.reading.scores("calibration", self.language))

    @property
    def parallel(self) -> FloatArray:
        """Scores of the English translations of `unlabelled`, in its order."""
        return np.concatenate(self._english)

    @property
    def translated(self) -> TwoClass:
        """Scores of labelled validation prompts, as if translated into the language for this."""
        return self.reading.scores("validation", self.language)

    @property
    def others(self) -> dict[str, TwoClass]:
        """Scores of k examples in each of the other low-resource languages, of the same draw."""
        others = [la for la in LOW if la != self.language]
        return {la: replace(self, language=la).scores for la in others}

    @property
    def _english(self) -> TwoClass:
        found = self.reading.english_scores
        prompts = self.reading.prompts("calibration", self.language)
        return TwoClass(*(np.array([found[p.parallel_id] for p in each]) for each in prompts))

    def _of_examples(self, rows: TwoClass) -> TwoClass:
        harmful, harmless = self._drawn
        return TwoClass(rows.harmful[harmful], rows.harmless[harmless])

    @cached_property
    def _drawn(self) -> tuple[list[int], list[int]]:
        """Rows of the drawn harmful and harmless examples among the calibration ones."""
        found = []
        for prompts in self.reading.prompts("calibration", self.language):
            place = {prompt.id: row for row, prompt in enumerate(prompts)}
            found.append([place[p.id] for p in draw(prompts, self.k, number=self.number)])
        return found[0], found[1]


Rule = Callable[[Case], Decision]


def frozen(estimator: Estimator) -> Rule:
    """An estimator on the scores of the frozen readout."""

    def rule(case: Case) -> Decision:
        source = case.reading.readout.source
        estimate = estimator(*case.scores, source=source)
        return Decision(case.reading.readout.folded, estimate.threshold)

    return rule


def paper_released(case: Case) -> Decision:
    """As released: the probe refitted with the examples, its threshold in-sample on those alone.

    Source: arXiv:2606.01196, its released code.
    """
    readout = case.reading.readout
    source = case.reading.source
    mine = TwoClass(*(rows @ readout.basis for rows in case.residuals))
    rows = TwoClass(*(np.concatenate(pair) for pair in zip(source, mine, strict=True)))
    folded = fold(readout.basis, _released_probe(rows, seed=case.number), unit=1.0)
    own = TwoClass(*(score(folded, residuals) for residuals in case.residuals))
    return Decision(folded, paper_f1(*own, source=readout.source).threshold)


def zero_shot(case: Case) -> Decision:
    """The source languages' threshold, without any example."""
    return Decision(case.reading.readout.folded, case.reading.readout.source.threshold)


def oracle(case: Case) -> Decision:
    """The best threshold of the frozen readout on the scored prompts themselves: the ceiling."""
    harmful, harmless = case.reading.scores("test", case.language)
    candidates = [float(value) for value in (*harmful, *harmless)]
    best = max(candidates, key=lambda t: youden_j(harmful, harmless, t))
    return Decision(case.reading.readout.folded, best)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "paper_released": paper_released,
        "paper_f1": frozen(paper_f1),
        "midpoint": frozen(Midpoint()),
    }
)
"""Few-shot rules by the name that tables show."""
WITHOUT_EXAMPLES: Mapping[str, Rule] = MappingProxyType({"zero_shot": zero_shot, "oracle": oracle})
"""The same at every k and in every draw."""


def _released_probe(rows: TwoClass, *, seed: int, epochs: int = 80, rate: float = 0.05) -> Logistic:
    """Their probe: 80 full-batch epochs of AdamW from a Xavier start, not converged."""
    table = np.concatenate(rows)
    centre, scale = table.mean(axis=0), table.std(axis=0)
    standard = np.column_stack([(table - centre) / scale, np.ones(len(table))])
    labels = np.repeat([1.0, 0.0], [len(rows.harmful), len(rows.harmless)])
    weight = np.where(labels == 1, len(rows.harmless) / len(rows.harmful), 1.0) / len(labels)
    rank = table.shape[1]
    bound = math.sqrt(6 / (rank + 1))
    found = np.append(np.random.default_rng(seed).uniform(-bound, bound, rank), 0.0)
    first, second = np.zeros(rank + 1), np.zeros(rank + 1)
    for step in range(1, epochs + 1):
        gradient = standard.T @ (weight * (expit(standard @ found) - labels))
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        size = np.sqrt(second / (1 - 0.999**step)) + 1e-8
        found = (1 - rate * 0.01) * found - rate * (first / (1 - 0.9**step)) / size
    return Logistic(centre, scale, found[:-1], float(found[-1]))


def j_of(decision: Decision, scored: TwoClass) -> float:
    """Youden's J × 100 of a decision on the residuals of scored prompts."""
    harmful, harmless = (score(decision.readout, rows) for rows in scored)
    return 100 * youden_j(harmful, harmless, decision.threshold)


def names_of(rules: Sequence[str] | None) -> tuple[str, ...]:
    """Names of few-shot rules; all by default.

    Raises:
        ValueError: there is no such rule.
    """
    chosen = tuple(RULES) if rules is None else tuple(rules)
    if unknown := set(chosen) - set(RULES):
        raise ValueError(f"no rule {', '.join(sorted(unknown))}; choose of {', '.join(RULES)}")
    return chosen
