"""The report's opening in words: what was measured, how, and what came out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from recal.evaluation.catalogue import BEST, ORACLE
from recal.evaluation.plan import MIN_GATE_DRAWS
from recal.evaluation.report import ALL_LANGUAGES, Comparison, EvaluationReport, Losses
from recal.evaluation.wording import (
    interval,
    listed,
    points,
    probability,
    signed,
    tier_name,
)
from recal.judge.validation import ENOUGH_LABELS
from recal.maths.interval import error_bound_after_no_errors

_SIGNIFICANT = 0.05


class Paragraph(NamedTuple):
    """A few sentences under a heading of their own."""

    heading: str
    sentences: tuple[str, ...]


def summary(report: EvaluationReport) -> tuple[Paragraph, ...]:
    """What was measured, what came out, and how far to trust it."""
    return (
        Paragraph("Measured", (*_measured(report), *_judged(report))),
        Paragraph(
            "Found",
            (*_found(report), *_less_safe(report), *_compared(report), *_lost(report)),
        ),
        Paragraph("Read it with care", tuple(_cautions(report))),
    )


def leading_tier(report: EvaluationReport) -> str:
    """The tier that the report is about: the low-resource languages where there are any."""
    return report.arms[0].tiers[0].tier


def _measured(report: EvaluationReport) -> Iterator[str]:
    tiers = [t for t in report.untouched.tiers if t.tier != ALL_LANGUAGES]
    groups = listed([f"{len(t.languages)} {tier_name(t.tier)}" for t in tiers])
    fewest = min(min(r.n_harmful, r.n_harmless) for r in report.readouts)
    most = max(max(r.n_harmful, r.n_harmless) for r in report.readouts)
    n = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    yield (
        f"`{report.backbone}` with readout `{report.readout}`, on {n} prompts a class and "
        f"language of the split `{report.split}` in {groups}, under {len(report.arms)} arms (a "
        "method at one k)."
    )
    ks = sorted({arm.k for arm in report.arms if arm.k})
    if ks:
        yield (
            f"Few-shot methods got k = {listed([str(k) for k in ks])} examples a class, in "
            f"{report.plan.draws} draws whose answers were generated and {report.plan.gate_draws} "
            "for the gate alone. Languages that the readout was fitted on keep its own threshold."
        )
    yield (
        f"Intervals hold 95 %: a bootstrap over languages, draws and source prompts, "
        f"{report.plan.n_resamples:,} resamples, seed {report.plan.seed}, the same for all arms."
    )


def _found(report: EvaluationReport) -> Iterator[str]:
    tier = leading_tier(report)
    for arm in dict.fromkeys((report.untouched.key, report.reference)):
        found = report.arm(arm).tier(tier)
        yield (
            f"{_capital(report.arm(arm).title)}, {tier_name(tier)}: "
            f"{points(found.harmful.value)} % of harmful and {points(found.harmless.value)} % of "
            f"harmless prompts refused, Δ {interval(found.delta)}; {points(found.degenerate)} % of "
            "the answers degenerate."
        )
    bounds = [arm for arm in report.arms if arm.key in (BEST, ORACLE)]
    if bounds:
        said = [f"{arm.title}, Δ {points(arm.tier(tier).delta.value)}" for arm in bounds]
        yield f"Bounds that know the labels and cannot be deployed: {listed(said)}."


def _compared(report: EvaluationReport) -> Iterator[str]:
    tier = leading_tier(report)
    reference = report.arm(report.reference)
    most = {arm.method: arm.k for arm in report.arms}
    for found in report.comparisons:
        other = report.arm(found.other)
        # at its own k, and at the k at which the other has most to go by
        told = other.method != reference.method and other.k in (reference.k, most[other.method])
        if found.tier == tier and told and not other.sees_labels:
            yield (
                f"{_capital(reference.title)} against {other.title}, {tier_name(tier)}: "
                f"{signed(found.difference.value)} points of Δ ({points(found.difference.low)} to "
                f"{points(found.difference.high)}), {_verdict(found)}."
            )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _verdict(found: Comparison) -> str:
    p = f"p = {probability(found.p_holm)} after Holm".replace("= <", "<")
    return p if found.p_holm < _SIGNIFICANT else f"{p}: no difference can be told"


def _less_safe(report: EvaluationReport) -> Iterator[str]:
    drop = f"by more than {points(report.plan.tolerated_drop)} points of harmful refusal"
    worse: dict[tuple[str, ...], list[str]] = {}
    for arm in report.arms[1:]:
        languages = report.less_safe(arm)
        if languages and not arm.sees_labels:
            worse.setdefault(languages, []).append(arm.title)
    if not worse:
        yield f"Less safe than untouched, {drop}: no language under any arm."
    for languages, titles in worse.items():
        everywhere = len(languages) == len(report.readouts)
        where = "every language" if everywhere else listed(languages)
        yield f"Less safe than untouched, {drop}: {where}, under {'; '.join(titles)}."


def _lost(report: EvaluationReport) -> Iterator[str]:
    tier = leading_tier(report)
    for found in report.losses:
        if (found.arm, found.tier) == (report.reference, tier):
            yield (
                f"Of the {points(found.split.total)} points that {report.arm(found.arm).title} "
                f"lacks in the {tier_name(tier)}, the gate loses {points(found.split.gate_loss)}"
                f"{_split(found)}, acting {points(found.split.actuation_loss)}, the judge "
                f"{_by_judge(report, found)}."
            )


def _by_judge(report: EvaluationReport, found: Losses) -> str:
    if not report.judge_rates:
        return "an unknown part, counted with the other two"
    return points(found.split.judge_loss)


def _split(found: Losses) -> str:
    if found.readout_loss is None:
        return ""
    return (
        f" ({points(found.readout_loss)} its readout, {points(found.threshold_loss)} its threshold)"
    )


def _judged(report: EvaluationReport) -> Iterator[str]:
    if not report.judge_rates:
        yield (
            f"Judge: `{report.judge}`. How often it errs has not been measured, so all rates are "
            "raw, and its share of the losses is not known."
        )
        return
    if not report.judge_errs and not report.judge_labels:
        yield f"Judge: `{report.judge}`, taken to make no mistakes: raw and corrected rates agree."
        return
    found = report.arm(report.reference).tier(leading_tier(report))
    yield (
        f"Judge: `{report.judge}`, {_right(report)}. Rates are raw; corrected (Rogan-Gladen) the "
        f"reference has {interval(found.corrected['harmful'])} / "
        f"{interval(found.corrected['harmless'])}, Δ {interval(found.corrected['delta'])}."
    )
    yield from _labelled(report)


def _right(report: EvaluationReport) -> str:
    shares = (
        ("sensitivity", [rates.sensitivity for rates in report.judge_rates]),
        ("specificity", [rates.specificity for rates in report.judge_rates]),
    )
    words = [f"{name} {_from_to(min(values), max(values))}" for name, values in shares]
    source = f" on human labels `{report.judge_labels[:12]}`" if report.judge_labels else ""
    return f"{', '.join(words)}{source}"


def _from_to(low: float, high: float) -> str:
    return f"{low:.3f}" if low == high else f"{low:.3f} to {high:.3f}"


def _labelled(report: EvaluationReport) -> Iterator[str]:
    """Which languages are corrected by labels that are not theirs, or by too few to tell."""
    if not report.judge_labels:
        return
    yield (
        "Intervals of corrected numbers allow for how few the labels are; those of raw numbers and "
        "of comparisons do not know that the judge errs."
    )
    borrowed = [rates for rates in report.judge_rates if not rates.own]
    if borrowed:
        said = listed([f"{rates.language} ({rates.n_labels})" for rates in borrowed])
        yield (
            f"Not validated, for want of {ENOUGH_LABELS} human labels of both kinds (there are so "
            f"many): {said}. Corrected by the rates of all validated languages together, which may "
            "not be theirs."
        )
    vacuous = [rates.language for rates in report.judge_rates if rates.vacuous]
    if vacuous:
        yield (
            f"The labels cannot tell the judge from a coin in {listed(vacuous)}: corrected numbers "
            "there, and of every tier with one of them, may be anything."
        )


def _cautions(report: EvaluationReport) -> Iterator[str]:
    ks = sorted({arm.k for arm in report.arms if arm.k})
    if ks and ks[0] <= 4:
        few = [k for k in ks if k <= 4]
        bounds = listed([f"{100 * error_bound_after_no_errors(k):.0f}" for k in few])
        yield (
            f"No mistake on k = {listed([str(k) for k in few])} examples bounds a miss rate only "
            f"below {bounds} % (95 %)."
        )
    if ks and report.plan.gate_draws < MIN_GATE_DRAWS:
        yield (
            f"Only {report.plan.gate_draws} gate draws: 5th percentiles and worst draws need "
            f"{MIN_GATE_DRAWS} or more."
        )
    n = min(min(r.n_harmful, r.n_harmless) for r in report.readouts)
    if 100 / n > report.plan.tolerated_drop:
        yield (
            f"One prompt of {n} is {points(100 / n)} points, more than the drop that counts as "
            "less safe: ask more prompts before a language is called so."
        )
    yield (
        f"An interval without width says that all of these prompts went one way; with {n} of them "
        f"a rate may still be off by {100 * error_bound_after_no_errors(n):.0f} points."
    )
