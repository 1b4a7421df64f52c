"""Step 3: what calibrations do to held-out prompts, beside the untouched model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recal.collect import Activations
from recal.judge import Judge, Judgement, exchanges_of
from recal.languages import ALL, tier_of
from recal.maths.interval import difference_interval
from recal.maths.metrics import auroc, rates_at, selectivity
from recal.prompts import Prompt
from recal.recalibrate import scores_of
from recal.search import Generate
from services.domain import Action
from services.gate.policy import action_of_score
from services.readout.bundle import Calibration, Readout

Report = Callable[[str, int, int], None]
"""Called with a language, and languages done and in all."""


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
    """One language, before and after."""

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
    untouched: Behaviour
    gated: Behaviour


@dataclass(frozen=True)
class EvaluationReport:
    """Every language's result and what it was made with."""

    results: tuple[LanguageResult, ...]
    backbone: str
    readout: str
    judge: str
    notice: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data, for a file."""
        return asdict(self)

    def less_safe(self, tolerance: float = 2.0) -> tuple[str, ...]:
        """Languages whose harmful refusal falls by more than `tolerance` points under the gate."""
        return tuple(
            r.language
            for r in self.results
            if r.gated.harmful_refusal < r.untouched.harmful_refusal - tolerance
        )


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


def evaluate(
    readout: Readout,
    calibrations: Mapping[str, Calibration],
    activations: Activations,
    *,
    generate: Generate,
    judge: Judge,
    notice: str = "",
    report: Report = lambda language, done, total: None,
) -> EvaluationReport:
    """Run every calibrated language's held-out prompts untouched and gated.

    The language is taken as known here; over gRPC language identification names it.

    Args:
        readout: scores and steers.
        calibrations: by language; only these are evaluated.
        activations: of held-out prompts, at least at the read layer.
        generate: texts of prompts under one action.
        judge: what counts as a refusal.
        notice: what the model is, where it is not a production model.
        report: called after every language.

    Raises:
        ValueError: a prompt was an example of its calibration, or a language lacks a class.
    """
    results = []
    for done, (language, calibration) in enumerate(sorted(calibrations.items()), start=1):
        _refuse_tuned_prompts(calibration, activations.prompts)
        results.append(_language(readout, calibration, activations, generate, judge))
        report(language, done, len(calibrations))
    return EvaluationReport(
        results=tuple(results),
        backbone=readout.backbone.name,
        readout=readout.version or readout.digest[:12],
        judge=judge.name,
        notice=notice,
    )


def _language(
    readout: Readout,
    calibration: Calibration,
    activations: Activations,
    generate: Generate,
    judge: Judge,
) -> LanguageResult:
    language = calibration.language
    # `Activations.at` keeps the prompts' order within a class, so scores and prompts pair up.
    scores = scores_of(readout, activations, language)
    mine = [p for p in activations.prompts if p.language == language]
    ordered = [p for p in mine if p.harmful] + [p for p in mine if not p.harmful]
    values = [float(s) for s in np.concatenate(scores)]
    rates = rates_at(scores.harmful, scores.harmless, calibration.threshold)
    untouched = generate(ordered, Action.NONE, readout.steering)
    gated = _gated(ordered, values, calibration, untouched, generate, readout)
    return LanguageResult(
        language=language,
        tier=tier_of(language) if language in ALL else "",
        n_harmful=len(scores.harmful),
        n_harmless=len(scores.harmless),
        auc=auroc(scores.harmful, scores.harmless),
        tpr=rates.tpr,
        fpr=rates.fpr,
        j=rates.tpr - rates.fpr,
        calibration=calibration.version or f"{calibration.estimator}, k = {calibration.k}",
        untouched=behaviour_of(ordered, _judged(judge, ordered, untouched)),
        gated=behaviour_of(ordered, _judged(judge, ordered, gated)),
    )


def _judged(judge: Judge, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Judgement]:
    return judge.judge_all(exchanges_of((p.text for p in prompts), texts))


def _gated(
    prompts: Sequence[Prompt],
    scores: Sequence[float],
    calibration: Calibration,
    untouched: Sequence[str],
    generate: Generate,
    readout: Readout,
) -> list[str]:
    """Texts under the calibration's verdicts; untouched ones are not generated again."""
    thresholds = calibration.thresholds
    actions = [
        action_of_score(s, steer=thresholds.steer, release=thresholds.release) for s in scores
    ]
    texts = list(untouched)
    for action in (Action.STEER, Action.RELEASE):
        rows = [i for i, a in enumerate(actions) if a is action]
        if rows:
            made = generate([prompts[i] for i in rows], action, readout.steering)
            for row, text in zip(rows, made, strict=True):
                texts[row] = text
    return texts


def _refuse_tuned_prompts(calibration: Calibration, prompts: Sequence[Prompt]) -> None:
    tuned = set(calibration.example_hashes)
    reused = [p.id for p in prompts if p.digest in tuned]
    if reused:
        raise ValueError(
            f"{len(reused)} prompt(s) of `{calibration.language}` set its threshold and cannot "
            f"test it, the first is `{reused[0]}`; evaluate on another split"
        )
