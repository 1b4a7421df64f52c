"""The nouns of a finished evaluation: numbers only, ready for a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from recal.evaluation.behaviour import LanguageResult
from recal.evaluation.plan import EvaluationPlan
from recal.maths.agreement import Tally
from recal.maths.decomposition import Decomposition
from recal.maths.judge_error import rogan_gladen
from recal.maths.over_draws import Spread

ALL_LANGUAGES = "all"
"""Name of the group of every language, beside the tiers."""
OTHER = "other"
"""Tier of a language that is none of the 23."""


@dataclass(frozen=True)
class Estimate:
    """A number in points with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class JudgeRates:
    """How often the judge is right in one language, and how well that is known."""

    language: str
    sensitivity: float
    """Share of true refusals that it calls refusals, in [0, 1]."""
    specificity: float
    """Share of other answers that it does not call refusals, in [0, 1]."""
    labels: tuple[Tally, Tally] | None = None
    """What both shares were counted on; None where they are stated and not measured."""
    n_labels: int = 0
    """Human labels of this language."""
    own: bool = True
    """False where these are the rates of all validated languages together, for want of labels."""
    vacuous: bool = False
    """True where the labels cannot tell the judge from a coin: corrected intervals are then the
    whole range."""

    @property
    def informedness(self) -> float:
        """Sensitivity + specificity - 1: by what factor the judge shrinks every difference."""
        return self.sensitivity + self.specificity - 1.0

    def corrected(self, rate: float) -> float:
        """The true rate behind an observed one, both in points; not cut to 0 to 100."""
        known = {"sensitivity": self.sensitivity, "specificity": self.specificity}
        return 100.0 * float(rogan_gladen(rate / 100.0, **known))


@dataclass(frozen=True)
class Share:
    """How many of some answers refused, over all draws."""

    refused: int
    n: int
    """0 where there were none to count: then there is no rate."""

    @property
    def points(self) -> float:
        """The rate in points.

        Raises:
            ValueError: there were no answers.
        """
        if not self.n:
            raise ValueError("no answers to take a rate of; look at `n` first")
        return 100.0 * self.refused / self.n

    def __add__(self, other: Share) -> Share:
        return Share(self.refused + other.refused, self.n + other.n)


@dataclass(frozen=True)
class Gate:
    """What a method steers of each class, over draws of few-shot examples. Nothing is generated."""

    j: Spread
    """Youden's J, TPR - FPR, in points."""
    tpr: float
    """Mean share of harmful prompts steered, in points."""
    fpr: float
    """Mean share of harmless prompts steered, in points."""
    steer_thresholds: tuple[float, ...]
    """Of every draw, in the frozen score's unit; empty for a method without thresholds, or whose
    thresholds are of a score of the language's own."""


@dataclass(frozen=True)
class ArmResult:
    """One language under one arm. Rates are means over draws, in points."""

    language: str
    tier: str
    k: int
    """Examples per class that decided; 0 where none did."""
    n_draws: int
    """Draws of them whose answers were generated."""
    harmful: Estimate
    """Harmful refusal."""
    harmless: Estimate
    delta: Estimate
    corrected: Mapping[str, Estimate]
    """`harmful`, `harmless`, `delta` behind the judge's errors; empty where those are unknown. The
    interval allows for how well the errors are known; a value outside of the possible range says
    that they do not fit these answers."""
    steered: Share
    """P(refuse | steered), of both classes."""
    released: Share
    """P(refuse | released)."""
    degenerate: float
    gate: Gate
    reply_languages: Mapping[str, int]
    """Refusals by language of the reply, over all draws."""


@dataclass(frozen=True)
class TierResult:
    """Means over the languages of a tier."""

    tier: str
    languages: tuple[str, ...]
    harmful: Estimate
    harmless: Estimate
    delta: Estimate
    corrected: Mapping[str, Estimate]
    steered: Share
    released: Share
    degenerate: float
    j: Spread
    """Means over languages of each language's mean, deviation and 5th percentile; the worst is that
    of all."""


@dataclass(frozen=True)
class ArmReport:
    """One arm in every language and tier."""

    key: str
    """e.g. `recal@4`."""
    method: str
    title: str
    k: int
    sees_labels: bool
    """True for a bound that cannot be deployed."""
    results: tuple[ArmResult, ...]
    tiers: tuple[TierResult, ...]

    def of(self, language: str) -> ArmResult:
        """One language's result.

        Raises:
            ValueError: it was not evaluated.
        """
        for result in self.results:
            if result.language == language:
                return result
        raise ValueError(f"`{language}` was not evaluated under `{self.key}`")

    def tier(self, tier: str) -> TierResult:
        """One tier's means.

        Raises:
            ValueError: no language of it was evaluated.
        """
        for result in self.tiers:
            if result.tier == tier:
                return result
        raise ValueError(f"no language of the tier `{tier}` was evaluated")


@dataclass(frozen=True)
class ReadoutResult:
    """How well the readout's score separates one language's classes, whatever the threshold."""

    language: str
    tier: str
    n_harmful: int
    n_harmless: int
    auc: float
    tpr_at_1: float
    """TPR at 1 % FPR, in [0, 1]; with fewer than 100 harmless prompts that is no false alarm."""
    tpr_at_5: float


@dataclass(frozen=True)
class Comparison:
    """The reference against another arm, over one tier: paired by language, draw and prompt."""

    other: str
    """Key of the arm."""
    tier: str
    difference: Estimate
    """Δ of the reference minus Δ of the other, in points."""
    p: float
    """Two-sided, by the bootstrap."""
    p_holm: float
    """The same after Holm over the other arms of this tier that can be deployed, or, for a bound,
    over the bounds."""


@dataclass(frozen=True)
class PromptTest:
    """McNemar's test of the reference against another arm in one language.

    A prompt is right when it is harmful and refused, or harmless and answered, in most draws.
    """

    other: str
    language: str
    reference_only: int
    """Prompts that only the reference gets right."""
    other_only: int
    p: float
    p_holm: float
    """After Holm over the other arms in this language, as in `Comparison`."""


@dataclass(frozen=True)
class Losses:
    """Where one arm's points go, over one tier."""

    arm: str
    tier: str
    split: Decomposition
    readout_loss: float | None
    """The part of the gate's loss that the best threshold of the readout has too; None where that
    was not run, or the arm does not decide by the readout's score."""

    @property
    def threshold_loss(self) -> float:
        """The rest of the gate's loss: what a better threshold would bring.

        Raises:
            ValueError: the readout's part is not known.
        """
        if self.readout_loss is None:
            raise ValueError(f"the gate's loss of `{self.arm}` is not split; run the method `best`")
        return self.split.gate_loss - self.readout_loss


@dataclass(frozen=True)
class EvaluationReport:
    """Everything that an evaluation found, and what it was made with."""

    backbone: str
    readout: str
    judge: str
    judge_rates: tuple[JudgeRates, ...]
    """One for each language; empty where nobody has measured how often the judge errs."""
    judge_labels: str
    """sha256 of the human labels that the rates were measured on; empty where they were not."""
    notice: str
    """What the model is, where it is not a production model."""
    split: str
    plan: EvaluationPlan
    reference: str
    """Key of the arm that the others are compared with."""
    created: str
    seconds: float
    n_answers: int
    n_texts: int
    readouts: tuple[ReadoutResult, ...]
    arms: tuple[ArmReport, ...]
    """The untouched model is the first."""
    comparisons: tuple[Comparison, ...]
    prompt_tests: tuple[PromptTest, ...]
    losses: tuple[Losses, ...]
    """Empty without the oracle gate."""
    results: tuple[LanguageResult, ...]
    """The saved calibrations, as promotion reads them; empty where they were not evaluated."""

    @property
    def untouched(self) -> ArmReport:
        """The arm that every other is held against."""
        return self.arms[0]

    @property
    def judge_errs(self) -> bool:
        """Whether raw and corrected rates differ."""
        return any(rates.informedness < 1.0 for rates in self.judge_rates)

    def arm(self, key: str) -> ArmReport:
        """An arm by its key.

        Raises:
            ValueError: there is none.
        """
        for arm in self.arms:
            if arm.key == key:
                return arm
        raise ValueError(f"no arm `{key}`; there are {', '.join(a.key for a in self.arms)}")

    def less_safe(self, arm: ArmReport) -> tuple[str, ...]:
        """Languages that refuse fewer harmful prompts than untouched, by more than tolerated."""
        return tuple(
            result.language
            for result in arm.results
            if result.harmful.value
            < self.untouched.of(result.language).harmful.value - self.plan.tolerated_drop
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data, for a file."""
        record = asdict(self)
        for arm, written in zip(self.arms, record["arms"], strict=True):
            written["less_safe"] = list(self.less_safe(arm))
        return record
