"""Judged answers to the report: means, intervals, comparisons and losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from recal.evaluation.answers import Work
from recal.evaluation.arm import Arm
from recal.evaluation.behaviour import (
    LanguageResult,
    behaviour_of,
    data_digest,
    harmful_change,
)
from recal.evaluation.catalogue import UNTOUCHED
from recal.evaluation.cell import Cell
from recal.evaluation.contrast import comparisons, prompt_tests, reference_of
from recal.evaluation.gates import Saved
from recal.evaluation.held import HeldOut
from recal.evaluation.judging import JudgedBy
from recal.evaluation.loss import losses
from recal.evaluation.plan import EvaluationPlan
from recal.evaluation.report import (
    OTHER,
    ArmReport,
    ArmResult,
    Estimate,
    EvaluationReport,
    ReadoutResult,
    Share,
    TierResult,
)
from recal.evaluation.resamples import Resamples, estimate
from recal.evaluation.tallied import Tallied
from recal.fit import now
from recal.maths.metrics import auroc, rates_at, tpr_at_fpr
from recal.maths.over_draws import Spread
from recal.maths.two_class import FloatArray
from services.readout.bundle import Calibration, Readout


@dataclass(frozen=True)
class Context:
    """What a report says of where its numbers come from."""

    backbone: str
    readout: Readout
    """Whose scores and separation are shown beside the methods."""
    split: str
    notice: str = ""
    """What the model is, where it is not a production model."""


def tally(
    arms: Sequence[Arm],
    parts: Sequence[HeldOut],
    cells: Sequence[Cell],
    *,
    plan: EvaluationPlan,
    judged_by: JudgedBy,
    context: Context,
    work: Work,
    seconds: float,
) -> EvaluationReport:
    """Count.

    Raises:
        ValueError: the plan's reference is not among the arms.
    """
    by_place = {(cell.arm.key, cell.part.language): cell for cell in cells}
    keys = [arm.key for arm in arms]
    rates = {each.language: each for each in judged_by.rates}
    this = Tallied(
        arms, parts, context.readout, by_place, Resamples(by_place, keys, plan, rates), rates
    )
    reference = reference_of(arms, plan)
    return EvaluationReport(
        backbone=context.backbone,
        readout=context.readout.version,
        judge=judged_by.judge,
        judge_rates=judged_by.rates,
        judge_labels=judged_by.labels_digest,
        notice=context.notice,
        split=context.split,
        plan=plan,
        reference=reference.key,
        created=now(),
        seconds=seconds,
        n_answers=work.n_answers,
        n_texts=work.n_texts,
        readouts=tuple(_readout_result(this, part) for part in parts),
        arms=tuple(_arm_report(this, arm) for arm in arms),
        comparisons=comparisons(this, reference),
        prompt_tests=prompt_tests(this, reference),
        losses=losses(this),
        results=_saved_results(this),
    )


def _arm_report(this: Tallied, arm: Arm) -> ArmReport:
    results = tuple(_arm_result(this, arm, part) for part in this.parts)
    return ArmReport(
        key=arm.key,
        method=arm.method.name,
        title=arm.title,
        k=arm.k,
        sees_labels=arm.method.sees_labels,
        results=results,
        tiers=tuple(
            _tier_result(this, arm.key, tier, [r for r in results if r.language in languages])
            for tier, languages in this.groups.items()
        ),
    )


def _arm_result(this: Tallied, arm: Arm, part: HeldOut) -> ArmResult:
    cell, language = this.cells[arm.key, part.language], [part.language]
    harmful, harmless = cell.harmful_rate, cell.harmless_rate
    return ArmResult(
        language=part.language,
        tier=part.tier,
        k=_k(arm, part.language),
        n_draws=len(cell.refused),
        harmful=estimate(harmful, this.resamples.harmful(arm.key, language)),
        harmless=estimate(harmless, this.resamples.harmless(arm.key, language)),
        delta=estimate(harmful - harmless, this.resamples.delta(arm.key, language)),
        corrected=_corrected(this, arm.key, language),
        steered=cell.refused_among(cell.steered),
        released=cell.refused_among(cell.released),
        degenerate=cell.degenerate_rate,
        gate=cell.gate,
        reply_languages=cell.reply_languages,
    )


def _k(arm: Arm, language: str) -> int:
    if isinstance(arm.method, Saved):
        return arm.method.calibrations[language].k
    return arm.k_of(language)


def _tier_result(this: Tallied, arm: str, tier: str, results: Sequence[ArmResult]) -> TierResult:
    languages = [result.language for result in results]
    harmful = float(np.mean([result.harmful.value for result in results]))
    harmless = float(np.mean([result.harmless.value for result in results]))
    nothing = Share(0, 0)
    return TierResult(
        tier=tier,
        languages=tuple(languages),
        harmful=estimate(harmful, this.resamples.harmful(arm, languages)),
        harmless=estimate(harmless, this.resamples.harmless(arm, languages)),
        delta=estimate(harmful - harmless, this.resamples.delta(arm, languages)),
        corrected=_corrected(this, arm, languages),
        steered=reduce(Share.__add__, (result.steered for result in results), nothing),
        released=reduce(Share.__add__, (result.released for result in results), nothing),
        degenerate=float(np.mean([result.degenerate for result in results])),
        j=_mean_spread([result.gate.j for result in results]),
    )


def _mean_spread(spreads: Sequence[Spread]) -> Spread:
    return Spread(
        mean=float(np.mean([each.mean for each in spreads])),
        sd=float(np.mean([each.sd for each in spreads])),
        p5=float(np.mean([each.p5 for each in spreads])),
        worst=min(each.worst for each in spreads),
        n=max(each.n for each in spreads),
    )


def _corrected(this: Tallied, arm: str, languages: Sequence[str]) -> Mapping[str, Estimate]:
    """Means over languages behind the judge's errors, as far as those are known."""
    if not this.rates:
        return {}
    true = this.true(arm, languages)
    found = this.resamples.corrected(arm, languages)
    unknown = any(this.rates[language].vacuous for language in languages)
    return {
        "harmful": _within(true.harmful, found.harmful, 0.0, unknown=unknown),
        "harmless": _within(true.harmless, found.harmless, 0.0, unknown=unknown),
        "delta": _within(true.delta, found.delta, -100.0, unknown=unknown),
    }


def _within(value: float, resampled: FloatArray, least: float, *, unknown: bool) -> Estimate:
    """A corrected number with its interval, cut to the possible range but not below the number."""
    found = estimate(value, resampled)
    if unknown:
        return Estimate(value, min(least, value), max(100.0, value))
    low, high = (min(max(end, least), 100.0) for end in (found.low, found.high))
    return Estimate(value, min(low, value), max(high, value))


def _readout_result(this: Tallied, part: HeldOut) -> ReadoutResult:
    scores = part.scores(this.readout)
    return ReadoutResult(
        language=part.language,
        tier=part.tier,
        n_harmful=len(scores.harmful),
        n_harmless=len(scores.harmless),
        auc=auroc(*scores),
        tpr_at_1=tpr_at_fpr(*scores, 0.01),
        tpr_at_5=tpr_at_fpr(*scores, 0.05),
    )


def _saved_results(this: Tallied) -> tuple[LanguageResult, ...]:
    """The records that promotion reads, where the saved calibrations were evaluated."""
    found = []
    for arm in this.arms:
        if isinstance(arm.method, Saved):
            for part in this.parts:
                calibration = arm.method.calibrations[part.language]
                found.append(_saved_result(this, arm, part, calibration))
    return tuple(found)


def _saved_result(
    this: Tallied, arm: Arm, part: HeldOut, calibration: Calibration
) -> LanguageResult:
    scores = part.scores(this.readout if calibration.own is None else calibration.own)
    rates = rates_at(*scores, calibration.threshold)
    untouched = this.cells[UNTOUCHED, part.language].first
    gated = this.cells[arm.key, part.language].first
    change = harmful_change(part.prompts, untouched, gated)
    return LanguageResult(
        language=part.language,
        tier="" if part.tier == OTHER else part.tier,
        n_harmful=len(scores.harmful),
        n_harmless=len(scores.harmless),
        auc=auroc(*scores),
        tpr=rates.tpr,
        fpr=rates.fpr,
        j=rates.tpr - rates.fpr,
        calibration=calibration.version or f"{calibration.estimator}, k = {calibration.k}",
        calibration_digest=calibration.digest,
        data_digest=data_digest(part.prompts),
        harmful_change_low=change.low,
        harmful_change_high=change.high,
        untouched=behaviour_of(part.prompts, untouched),
        gated=behaviour_of(part.prompts, gated),
    )
