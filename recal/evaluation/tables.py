"""The report's tables as plain cells, for Markdown and HTML alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from recal.evaluation.report import (
    OTHER,
    ArmReport,
    Estimate,
    EvaluationReport,
    JudgeRates,
    ReadoutResult,
)
from recal.evaluation.wording import (
    NOTHING,
    interval,
    points,
    probability,
    share,
    tier_name,
)
from recal.maths.agreement import Tally

_CORRECTED = ("corrected harmful %", "corrected harmless %", "corrected Δ")


class Table(NamedTuple):
    """A table whose first column names its rows."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tier_tables(report: EvaluationReport) -> tuple[Table, ...]:
    """For every tier, each arm's refusal, Δ, efficacy and gate."""
    return tuple(
        Table(
            f"{tier_name(tier.tier).capitalize()}: {', '.join(tier.languages)}",
            (
                "arm",
                "harmful refused %",
                "harmless refused %",
                "Δ",
                *(("corrected Δ",) if report.judge_errs else ()),
                "refused when steered %",
                "refused when released %",
                "degenerate %",
                "less safe in",
            ),
            tuple(_tier_row(report, arm, tier.tier) for arm in report.arms),
        )
        for tier in report.untouched.tiers
    )


def _tier_row(report: EvaluationReport, arm: ArmReport, tier: str) -> tuple[str, ...]:
    found = arm.tier(tier)
    less_safe = [la for la in report.less_safe(arm) if la in found.languages]
    return (
        arm.title,
        interval(found.harmful),
        interval(found.harmless),
        interval(found.delta),
        *((interval(found.corrected["delta"]),) if report.judge_errs else ()),
        share(found.steered),
        share(found.released),
        points(found.degenerate),
        ", ".join(less_safe) or NOTHING,
    )


def gate_tables(report: EvaluationReport) -> tuple[Table, ...]:
    """For every tier, each deciding arm's J over draws."""
    return tuple(
        Table(
            f"{tier_name(tier.tier).capitalize()}: Youden's J × 100 of the gate over draws",
            ("arm", "draws", "mean", "SD", "5th percentile", "worst"),
            tuple(
                (
                    arm.title,
                    str(found.n),
                    points(found.mean),
                    points(found.sd),
                    points(found.p5),
                    points(found.worst),
                )
                for arm in report.arms
                if _decides(arm)
                for found in (arm.tier(tier.tier).j,)
            ),
        )
        for tier in report.untouched.tiers
    )


def _decides(arm: ArmReport) -> bool:
    """False for an arm that does the same to both classes everywhere."""
    return any(result.gate.j.mean or result.gate.j.sd for result in arm.results)


def delta_table(report: EvaluationReport) -> Table:
    """Δ of every language under every arm."""
    return Table(
        "Δ by language, in points with its 95 % interval",
        ("language", "tier", *(arm.title for arm in report.arms)),
        tuple(
            (r.language, r.tier, *(interval(arm.of(r.language).delta) for arm in report.arms))
            for r in low_first(report)
        ),
    )


def low_first(report: EvaluationReport) -> list[ReadoutResult]:
    """The languages, those with the thinnest coverage first."""
    return sorted(report.readouts, key=lambda r: ("low", "mid", "high", OTHER).index(r.tier))


def arm_table(report: EvaluationReport, arm: ArmReport) -> Table:
    """Everything of one arm by language."""
    return Table(
        f"{arm.title} by language",
        (
            "language",
            "k",
            "draws",
            "harmful refused %",
            "harmless refused %",
            "Δ",
            *(_CORRECTED if report.judge_errs else ()),
            "refused when steered %",
            "refused when released %",
            "degenerate %",
            "gate TPR %",
            "gate FPR %",
            "J mean",
            "J SD",
            "J 5th percentile",
            "J worst",
            "refusals in",
        ),
        tuple(
            (
                r.language,
                str(r.k),
                str(r.n_draws),
                interval(r.harmful),
                interval(r.harmless),
                interval(r.delta),
                *(_corrected(r.corrected) if report.judge_errs else ()),
                share(r.steered),
                share(r.released),
                points(r.degenerate),
                points(r.gate.tpr),
                points(r.gate.fpr),
                points(r.gate.j.mean),
                points(r.gate.j.sd),
                points(r.gate.j.p5),
                points(r.gate.j.worst),
                _replies(r.reply_languages),
            )
            for r in (arm.of(each.language) for each in low_first(report))
        ),
    )


def _corrected(found: Mapping[str, Estimate]) -> tuple[str, ...]:
    return tuple(interval(found[name]) for name in ("harmful", "harmless", "delta"))


def _replies(counts: Mapping[str, int]) -> str:
    """The languages of the replies that refuse, the most frequent first."""
    most = sorted(counts.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{language} {n}" for language, n in most) or NOTHING


def readout_table(report: EvaluationReport) -> Table:
    """How well the score separates the classes, whatever the threshold."""
    return Table(
        "The readout's score, whatever the threshold",
        ("language", "tier", "harmful", "harmless", "AUC", "TPR at 1 % FPR", "TPR at 5 % FPR"),
        tuple(
            (
                r.language,
                r.tier,
                str(r.n_harmful),
                str(r.n_harmless),
                f"{r.auc:.3f}",
                f"{r.tpr_at_1:.2f}",
                f"{r.tpr_at_5:.2f}",
            )
            for r in low_first(report)
        ),
    )


def judge_table(report: EvaluationReport) -> Table:
    """How often the judge is right in each language, and whose labels say so."""
    found = {rates.language: rates for rates in report.judge_rates}
    return Table(
        "The judge beside people: by what rates are corrected",
        ("language", "labels", "sensitivity", "specificity", "rates of"),
        tuple(
            (
                r.language,
                str(found[r.language].n_labels),
                _counted(found[r.language].sensitivity, found[r.language].labels, 0),
                _counted(found[r.language].specificity, found[r.language].labels, 1),
                _whose(found[r.language]),
            )
            for r in low_first(report)
        ),
    )


def _counted(value: float, labels: tuple[Tally, Tally] | None, place: int) -> str:
    return f"{value:.3f}" if labels is None else f"{value:.3f} (n = {labels[place].of:,})"


def _whose(rates: JudgeRates) -> str:
    whose = "the language" if rates.own else "all validated languages"
    return f"{whose}; no better than a coin for all that is known" if rates.vacuous else whose


def comparison_tables(report: EvaluationReport) -> tuple[Table, ...]:
    """For every tier, the reference against the other arms."""
    reference = report.arm(report.reference).title
    return tuple(
        Table(
            f"{tier_name(tier.tier).capitalize()}: Δ of {reference} minus that of the other arm",
            ("other arm", "difference, points", "p (bootstrap)", "p after Holm"),
            tuple(
                (
                    report.arm(found.other).title,
                    interval(found.difference),
                    probability(found.p),
                    probability(found.p_holm),
                )
                for found in report.comparisons
                if found.tier == tier.tier
            ),
        )
        for tier in report.untouched.tiers
    )


def prompt_test_table(report: EvaluationReport) -> Table:
    """McNemar's tests that are significant after Holm."""
    return Table(
        "McNemar's test by language, where p after Holm is below 0.05",
        ("other arm", "language", "only the reference right", "only the other right", "p", "Holm"),
        tuple(
            (
                report.arm(found.other).title,
                found.language,
                str(found.reference_only),
                str(found.other_only),
                probability(found.p),
                probability(found.p_holm),
            )
            for found in report.prompt_tests
            if found.p_holm < 0.05
        ),
    )


def loss_tables(report: EvaluationReport) -> tuple[Table, ...]:
    """For every tier, where each arm's points go; empty without the oracle gate."""
    tiers = list(dict.fromkeys(found.tier for found in report.losses))
    return tuple(
        Table(
            f"{tier_name(tier).capitalize()}: from 100 points down to Δ",
            ("arm", "Δ", "gate loss", "of it readout", "of it threshold", "actuation", "judge"),
            tuple(_loss_rows(report, tier)),
        )
        for tier in tiers
    )


def _loss_rows(report: EvaluationReport, tier: str) -> Iterator[tuple[str, ...]]:
    for found in report.losses:
        if found.tier == tier:
            split = found.split
            known = found.readout_loss is not None
            yield (
                report.arm(found.arm).title,
                points(split.delta),
                points(split.gate_loss),
                points(found.readout_loss) if found.readout_loss is not None else NOTHING,
                points(found.threshold_loss) if known else NOTHING,
                points(split.actuation_loss),
                points(split.judge_loss) if report.judge_rates else "not known",
            )


def all_tables(report: EvaluationReport) -> Sequence[Table]:
    """Every table in the report's order."""
    return (
        *tier_tables(report),
        delta_table(report),
        *gate_tables(report),
        readout_table(report),
        *loss_tables(report),
        *comparison_tables(report),
        prompt_test_table(report),
        *((judge_table(report),) if report.judge_labels else ()),
    )
