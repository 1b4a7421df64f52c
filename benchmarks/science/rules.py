"""Ways to a threshold, by name: the paper's, ours, and the two ends between which they lie.

A new estimator is one line of `RULES`: `frozen(...)` with what it is given beside the few examples'
scores, or a function of a `Case`, which holds all that is known of one language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from benchmarks.science.prompt_sets import LOW
from benchmarks.science.reading import Reading
from recal.maths.correlation import correlation_within, pooled_rho
from recal.maths.estimators.auto import Auto
from recal.maths.estimators.bias_only import bias_only
from recal.maths.estimators.empirical_bayes import empirical_bayes
from recal.maths.estimators.midpoint import Midpoint
from recal.maths.estimators.paired import RHO_BEFORE_ANY, paired
from recal.maths.estimators.paper import paper_f1
from recal.maths.estimators.parallel import parallel
from recal.maths.estimators.translate_train import translate_train
from recal.maths.estimators.unlabelled import unlabelled
from recal.maths.evidence import Evidence, Parallel, Sources, Unlabelled
from recal.maths.logistic import Folded, fold, score
from recal.maths.metrics import youden_j
from recal.maths.paper import fit_probe
from recal.maths.prior import Prior, prior_of
from recal.maths.smoothed import crossing
from recal.maths.threshold import Estimator
from recal.maths.two_class import FloatArray, TwoClass
from recal.recalibrate import own_threshold_of


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
        return self._of_examples(self.all_english)

    @property
    def unlabelled(self) -> FloatArray:
        """Scores of the language's calibration prompts, both classes in about equal parts."""
        return np.concatenate(self.reading.scores("calibration", self.language))

    @property
    def parallel(self) -> FloatArray:
        """Scores of the English translations of `unlabelled`, in its order."""
        return np.concatenate(self.all_english)

    @property
    def translated(self) -> TwoClass:
        """Scores of labelled validation prompts, as if translated into the language for this."""
        return self.reading.scores("validation", self.language)

    @property
    def others(self) -> tuple[str, ...]:
        """The other low-resource languages."""
        return tuple(la for la in LOW if la != self.language)

    def of(self, language: str) -> Case:
        """The same draw in another language."""
        return replace(self, language=language)

    @property
    def all_english(self) -> TwoClass:
        """Scores of the English translations of all this language's calibration prompts."""
        found = self.reading.english_scores
        prompts = self.reading.prompts("calibration", self.language)
        return TwoClass(*(np.array([found[p.parallel_id] for p in each]) for each in prompts))

    def _of_examples(self, rows: TwoClass) -> TwoClass:
        harmful, harmless = self._drawn
        return TwoClass(rows.harmful[harmful], rows.harmless[harmless])

    @cached_property
    def _drawn(self) -> tuple[list[int], list[int]]:
        """Rows of the drawn harmful and harmless examples among the calibration ones."""
        return self.reading.drawn(self.language, self.k, self.number)


Rule = Callable[[Case], Decision]


def frozen(estimator: Estimator, *beside: str) -> Rule:
    """An estimator on the scores of the frozen readout.

    Args:
        estimator: of `recal.maths.estimators`.
        beside: what it is given beside the examples' scores, of `BESIDE`; without `labels` among
            what it is given, the examples themselves are kept from it.
    """

    def rule(case: Case) -> Decision:
        known = {name: BESIDE[name](case) for name in beside if name != NO_LABELS}
        labels = () if NO_LABELS in beside else case.scores
        evidence = Evidence(*labels, **known)
        estimate = estimator(evidence, source=case.reading.readout.source)
        return Decision(case.reading.readout.folded, estimate.threshold)

    return rule


NO_LABELS = "no labels"
"""Keeps the labelled examples from an estimator that does without them."""


def _prior(case: Case) -> Prior:
    """Of the other low-resource languages, each from its own k examples of the same draw."""
    source = case.reading.readout.source
    found = {la: own_threshold_of(Evidence(*case.of(la).scores), source) for la in case.others}
    return prior_of({la: own for la, own in found.items() if own is not None})


def _sources(case: Case) -> Sources:
    """As `recal recalibrate` makes them: English class means of many prompts, ρ of the others."""
    pairs = [case.of(la) for la in case.others]
    return Sources(
        *case.english,
        mean_harmful=float(case.all_english.harmful.mean()),
        mean_harmless=float(case.all_english.harmless.mean()),
        rho=pooled_rho(
            [correlation_within(other.scores, other.english) for other in pairs],
            before_any=RHO_BEFORE_ANY,
        ),
    )


BESIDE: Mapping[str, Callable[[Case], Any]] = MappingProxyType(
    {
        "prior": _prior,
        "sources": _sources,
        "unlabelled": lambda case: Unlabelled(case.unlabelled),
        "parallel": lambda case: Parallel(case.unlabelled, case.parallel),
        "translated": lambda case: case.translated,
    }
)
"""What is known of a language beside its examples, as `Evidence` takes it."""


def paper_released(case: Case) -> Decision:
    """As released: the probe refitted with the examples, its threshold in-sample on those alone.

    Source: arXiv:2606.01196, its released code.
    """
    readout = case.reading.readout
    source = case.reading.source
    mine = TwoClass(*(rows @ readout.basis for rows in case.residuals))
    rows = TwoClass(*(np.concatenate(pair) for pair in zip(source, mine, strict=True)))
    probe = fit_probe(rows, np.random.default_rng(case.number))
    folded = fold(readout.basis, probe, unit=1.0)
    own = TwoClass(*(score(folded, residuals) for residuals in case.residuals))
    return Decision(folded, paper_f1(Evidence(*own), source=readout.source).threshold)


def zero_shot(case: Case) -> Decision:
    """The source languages' threshold, without any example."""
    return Decision(case.reading.readout.folded, case.reading.readout.source.threshold)


def oracle(case: Case) -> Decision:
    """The best threshold of the frozen readout on the scored prompts themselves: a ceiling that no
    rule can reach, for it is chosen by their labels."""
    harmful, harmless = case.reading.scores("test", case.language)
    candidates = [float(value) for value in (*harmful, *harmless)]
    best = max(candidates, key=lambda t: youden_j(harmful, harmless, t))
    return Decision(case.reading.readout.folded, best)


def all_labels(case: Case) -> Decision:
    """The frozen readout's threshold from every calibration label: what labels can come to."""
    readout = case.reading.readout
    found = crossing(case.reading.scores("calibration", case.language), readout.source.sd_within)
    return Decision(readout.folded, found.threshold)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "paper_released": paper_released,
        "paper_f1": frozen(paper_f1),
        "midpoint": frozen(Midpoint()),
        "bias_only": frozen(bias_only),
        "empirical_bayes": frozen(empirical_bayes, "prior"),
        "paired": frozen(paired, "sources"),
        "auto (labels alone)": frozen(Auto()),
        "auto": frozen(Auto(), "prior"),
        "auto + sources": frozen(Auto(), "prior", "sources"),
        "auto + sources + unlabelled": frozen(Auto(), "prior", "sources", "unlabelled"),
        "auto + all": frozen(Auto(), "prior", "sources", "unlabelled", "parallel"),
        "unlabelled": frozen(unlabelled, NO_LABELS, "unlabelled"),
        "parallel": frozen(parallel, NO_LABELS, "parallel"),
        "translate_train": frozen(translate_train, NO_LABELS, "translated"),
    }
)
"""Few-shot rules by the name that tables show."""
WITHOUT_EXAMPLES: Mapping[str, Rule] = MappingProxyType(
    {"zero_shot": zero_shot, "all_labels": all_labels, "oracle": oracle}
)
"""The same at every k and in every draw."""


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
