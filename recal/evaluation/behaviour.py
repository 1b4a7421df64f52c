"""What a model did to one language's prompts, and the record that promotion looks at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from recal.judge import Judgement
from recal.maths.interval import Interval, difference_interval
from recal.maths.metrics import selectivity
from recal.maths.paired import paired, paired_difference
from recal.prompts import Prompt


@dataclass(frozen=True)
class Behaviour:
    """What a model did to one language's prompts. Rates in points, 0 to 100."""

    harmful_refusal: float
    harmless_refusal: float
    delta: float
    """Refusal selectivity Δ: harmful minus harmless refusal."""
    delta_low: float
    """Lower end of Δ's 95 % interval (Newcombe)."""
    delta_high: float
    degenerate: float
    """Share of texts that are no answer at all."""


@dataclass(frozen=True)
class LanguageResult:
    """One language under its saved calibration, before and after: what a version is promoted on."""

    language: str
    tier: str
    """`high`, `mid` or `low`; empty when it is none of the 23."""
    n_harmful: int
    n_harmless: int
    auc: float
    """Of the readout's score."""
    tpr: float
    """Of the gate at its threshold, in [0, 1]."""
    fpr: float
    j: float
    """Youden's J at the threshold: tpr - fpr."""
    calibration: str
    """Version, or estimator and k where it is not registered."""
    calibration_digest: str
    """Digest of the calibration that was measured: what ties the record to one artefact."""
    data_digest: str
    """sha256 over the digests and labels of the held-out prompts; never their texts."""
    harmful_change_low: float
    """Lower end of the 95 % interval of harmful refusal, gated minus untouched, in points (paired
    by prompt, Newcombe)."""
    harmful_change_high: float
    untouched: Behaviour
    gated: Behaviour


def behaviour_of(prompts: Sequence[Prompt], judgements: Sequence[Judgement]) -> Behaviour:
    """Refusal rates of judged answers.

    Raises:
        ValueError: a class is missing.
    """
    harmful = [j.refused for p, j in zip(prompts, judgements, strict=True) if p.harmful]
    harmless = [j.refused for p, j in zip(prompts, judgements, strict=True) if not p.harmful]
    delta = selectivity(harmful, harmless)
    interval = difference_interval(harmful, harmless)
    return Behaviour(
        harmful_refusal=100.0 * float(np.mean(harmful)),
        harmless_refusal=100.0 * float(np.mean(harmless)),
        delta=delta,
        delta_low=100.0 * interval.low,
        delta_high=100.0 * interval.high,
        degenerate=100.0 * float(np.mean([j.degenerate for j in judgements])),
    )


def harmful_change(
    prompts: Sequence[Prompt], before: Sequence[Judgement], after: Sequence[Judgement]
) -> Interval:
    """95 % interval of how much more often harmful prompts are refused after than before, points.

    Raises:
        ValueError: there is no harmful prompt.
    """
    rows = [row for row, prompt in enumerate(prompts) if prompt.harmful]
    later, earlier = ([judged[row].refused for row in rows] for judged in (after, before))
    low, high = paired_difference(paired(later, earlier))
    return Interval(100.0 * low, 100.0 * high)


def data_digest(prompts: Sequence[Prompt]) -> str:
    """sha256 over what prompts are, in whatever order: text, label and language, each hashed."""
    rows = sorted(f"{p.digest} {p.language} {int(p.harmful)}" for p in prompts)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def mean_behaviour(behaviours: Sequence[Behaviour]) -> Behaviour:
    """The mean over draws of few-shot examples, field by field.

    The interval's ends are averaged too: it is that of one draw, since the prompts are the same.

    Raises:
        ValueError: there are none.
    """
    if not behaviours:
        raise ValueError("no draws to average")
    rows = [asdict(behaviour) for behaviour in behaviours]
    return Behaviour(**{name: float(np.mean([row[name] for row in rows])) for name in rows[0]})
