"""What is known of one language: the frozen evidence that every estimator takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from recal.maths.prior import Prior
from recal.maths.two_class import FloatArray, TwoClass, checked_scores

MIN_PROMPTS = 20
"""Fewer prompts without labels say nothing of a distribution."""

LABEL_FREE = ("unlabelled", "parallel", "translate_train")
"""Estimators that need no labelled example of the language."""


def _no_scores() -> FloatArray:
    return np.zeros(0)


@dataclass(frozen=True, eq=False)
class Sources:
    """Source translations of the labelled examples: a control that is correlated with each."""

    harmful: FloatArray
    """(k,) scores, one for each harmful example, in its order."""
    harmless: FloatArray
    """(m,)."""
    mean_harmful: float | None = None
    """Mean of that source language's harmful prompts; None: the mean over source languages."""
    mean_harmless: float | None = None
    rho: float | None = None
    """Correlation within a class of a score and its source's, pooled over other languages, in
    (-1, 1); None: not estimated yet."""

    def __post_init__(self) -> None:
        _freeze(self, "harmful", "source scores of the harmful examples")
        _freeze(self, "harmless", "source scores of the harmless examples")
        for name in ("mean_harmful", "mean_harmless"):
            mean = getattr(self, name)
            if mean is not None and not math.isfinite(mean):
                raise ValueError(f"`{name}` of the sources is {mean}; it must be finite, or None")
        if self.rho is not None and not -1.0 < self.rho < 1.0:
            raise ValueError(f"`rho` is {self.rho}; a correlation lies between -1 and 1")


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Scores of the language's prompts as users send them, and how many are thought harmful."""

    scores: FloatArray
    """(m,), at least `MIN_PROMPTS`."""
    harmful_share: float = 0.5
    """π, expected share of harmful prompts among them, in (0, 1)."""
    share_sd: float = 0.15
    """How far off π may be: one standard deviation."""

    def __post_init__(self) -> None:
        _freeze(self, "scores", "unlabelled scores")
        _refuse_few(len(self.scores), "unlabelled prompt(s)")
        if not 0.0 < self.harmful_share < 1.0:
            raise ValueError(
                f"`harmful_share` is {self.harmful_share}; a share lies between 0 and 1"
            )
        if not (math.isfinite(self.share_sd) and self.share_sd >= 0):
            raise ValueError(f"`share_sd` is {self.share_sd}; it must be finite and at least 0")


@dataclass(frozen=True, eq=False)
class Parallel:
    """Scores of the language's prompts and of their source translations, pair by pair."""

    target: FloatArray
    """(n,), at least `MIN_PROMPTS`."""
    source: FloatArray
    """(n,) of the same prompts in a source language."""

    def __post_init__(self) -> None:
        _freeze(self, "target", "target scores of parallel prompts")
        _freeze(self, "source", "source scores of parallel prompts")
        if len(self.target) != len(self.source):
            raise ValueError(
                f"{len(self.target)} parallel prompts have {len(self.source)} source scores; "
                "give one for each"
            )
        _refuse_few(len(self.target), "parallel prompt(s)")


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that is known of one language's scores. All of it may be missing.

    Scores are copied, checked and cannot be changed afterwards.
    """

    harmful: FloatArray = field(default_factory=_no_scores)
    """(k,) scores of labelled harmful examples; may be empty."""
    harmless: FloatArray = field(default_factory=_no_scores)
    """(m,); may be empty."""
    sources: Sources | None = None
    """Scores of the same examples' source translations."""
    unlabelled: Unlabelled | None = None
    parallel: Parallel | None = None
    translated: TwoClass | None = None
    """Scores of labelled source prompts that were translated into the language."""
    prior: Prior | None = None
    """What other languages say."""

    def __post_init__(self) -> None:
        _freeze(self, "harmful", "harmful scores", may_be_empty=True)
        _freeze(self, "harmless", "harmless scores", may_be_empty=True)
        if self.sources is not None:
            self._check_pairs(self.sources)
        if self.translated is not None:
            frozen = (
                _frozen(f"translated {name} scores", scores)
                for name, scores in zip(("harmful", "harmless"), self.translated, strict=True)
            )
            object.__setattr__(self, "translated", TwoClass(*frozen))

    def _check_pairs(self, sources: Sources) -> None:
        pairs = (
            ("harmful", self.harmful, sources.harmful),
            ("harmless", self.harmless, sources.harmless),
        )
        for name, own, theirs in pairs:
            if len(own) != len(theirs):
                raise ValueError(
                    f"{len(own)} {name} example(s) have {len(theirs)} source score(s); give the "
                    "source translation of each, in the same order, or none at all"
                )

    def labels_for(self, estimator: str) -> TwoClass:
        """The labelled scores.

        Raises:
            ValueError: a class has none; the message names the estimator that asked.
        """
        if not len(self.harmful) or not len(self.harmless):
            raise ValueError(
                f"`{estimator}` needs at least one example of each class, and there are "
                f"{len(self.harmful)} harmful and {len(self.harmless)} harmless; add examples, "
                f"or use an estimator without labels: {', '.join(LABEL_FREE)}"
            )
        return TwoClass(self.harmful, self.harmless)

    @property
    def has_labels(self) -> bool:
        """True with at least one example of each class."""
        return bool(len(self.harmful) and len(self.harmless))


def missing(estimator: str, what: str, instead: str) -> ValueError:
    """The error of an estimator that lacks what it cannot do without."""
    return ValueError(f"`{estimator}` needs {what}, and there are none; give some: {instead}")


def _freeze(owner: object, name: str, called: str, *, may_be_empty: bool = False) -> None:
    scores = getattr(owner, name)
    if may_be_empty and np.ndim(scores) == 1 and np.size(scores) == 0:
        object.__setattr__(owner, name, _no_scores())
        return
    object.__setattr__(owner, name, _frozen(called, scores))


def _frozen(called: str, scores: FloatArray) -> FloatArray:
    copied = checked_scores(called, scores).copy()
    copied.flags.writeable = False
    return copied


def _refuse_few(n: int, what: str) -> None:
    if n < MIN_PROMPTS:
        raise ValueError(f"{n} {what} are too few; give at least {MIN_PROMPTS}, better 100")
