"""Step 2: a frozen readout and what is known of a language to that language's calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from recal.collect import Activations
from recal.evidence import Beside, Gathered, gather
from recal.fit import histogram, now
from recal.languages import refuse_unknown_tag
from recal.maths.bound import bounded
from recal.maths.correlation import correlation_within
from recal.maths.estimators.auto import Auto
from recal.maths.estimators.catalogue import estimator_of
from recal.maths.estimators.fusion import own_threshold
from recal.maths.evidence import Evidence
from recal.maths.examples import check_examples
from recal.maths.metrics import auroc, rates_at
from recal.maths.prior import OwnThreshold
from recal.maths.smoothed import crossing, crossing_assumption
from recal.maths.source import SourceStatistics
from recal.maths.threshold import ThresholdEstimate, Zone, source_threshold, zone
from recal.maths.two_class import TwoClass
from recal.own_readout import FittedOwn
from recal.prior import OWN_SD, OWN_THRESHOLD, RHO, RHO_FREEDOM, prior_for
from recal.prompts import Prompt, select
from recal.scored_by import ScoredBy, source_statistics_of
from recal.scoring import Scorer, scores_at
from recal.source_release import source_release
from recal.trials import Refuses
from services.readout.bundle import Calibration, Readout, Thresholds

SOURCE = "source"
"""Estimator name of a language that the readout itself was fitted on."""

ZONE_WIDTH = "zone_width"
"""Key of a readout's provenance under which the width chosen for it stands."""

_LONGEST_NOTE = 2000


@dataclass(frozen=True)
class RecalibrationPlan:
    """How a threshold is estimated and what is made of it."""

    estimator: str = "auto"
    routing: str = "three_zone"
    c: float | None = None
    """Width of the untouched zone in posterior standard deviations; None: the readout's own."""
    bound: float | None = None
    """Bound on the rates of steered harmless and released harmful prompts, in (0, 1), where
    enough of either are known; None: no bound."""

    def __post_init__(self) -> None:
        if self.bound is None:
            return
        if not 0.0 < self.bound < 1.0:
            raise ValueError(f"`bound` is {self.bound}; a bound on a rate lies between 0 and 1")
        if self.routing != "three_zone":
            raise ValueError(
                f"a bound moves the two thresholds apart, and routing `{self.routing}` has one; "
                "use `three_zone`, or no bound"
            )


PAPER = RecalibrationPlan(estimator="paper_f1", routing="two_way")
"""The released rule: in-sample F1 threshold, everything below it released (arXiv:2606.01196)."""


class Recalibrated(NamedTuple):
    """A calibration with what an operator should know about its examples."""

    calibration: Calibration
    warnings: tuple[str, ...]


def scores_of(readout: Scorer, activations: Activations, language: str) -> TwoClass:
    """Scores of one language's prompts, by class, through a readout that serving uses.

    Raises:
        ValueError: the language lacks a class, or a place that is read was not collected.
    """
    return TwoClass(
        scores_at(readout, activations, language=language, harmful=True),
        scores_at(readout, activations, language=language, harmful=False),
    )


def zone_width_of(readout: Readout) -> float:
    """The width of the untouched zone that was chosen for a readout; 1 where none was."""
    return float(readout.provenance.get(ZONE_WIDTH, "1"))


def _c(plan: RecalibrationPlan, readout: Readout) -> float:
    return zone_width_of(readout) if plan.c is None else plan.c


def recalibrate(
    readout: Readout,
    examples: Activations | None,
    language: str,
    *,
    plan: RecalibrationPlan | None = None,
    beside: Beside | None = None,
    own: FittedOwn | None = None,
    held_out: Activations | None = None,
    provenance: Mapping[str, str] | None = None,
) -> Recalibrated:
    """Set one language's thresholds from what is known of it; the readout stays as it is.

    Args:
        readout: saved, so that it has a digest.
        examples: the language's labelled examples; other languages in it are ignored. None: there
            are none, for estimators that need no label.
        language: BCP 47 tag.
        plan: estimator and routing; `auto` and three zones by default.
        beside: what is known beside labelled examples.
        own: scores everything in place of the frozen readout, and its translations' cross-fitted
            scores are evidence and take the source languages' place; None: there is none.
        held_out: other prompts of the language, for the stored metrics and reference histogram.
        provenance: how it came to be.

    Raises:
        ValueError: the tag is none, the estimator lacks what it needs, its estimate is vacuous, a
            score is not finite, an example is also held out, an unknown estimator or routing, or
            as `ScoredBy.gather`.
    """
    chosen = plan if plan is not None else RecalibrationPlan()
    refuse_unknown_tag(language)
    estimator = estimator_of(chosen.estimator)
    scored = ScoredBy.of(readout, own)
    gathered = scored.gather(examples, language, beside if beside is not None else Beside())
    reference = _reference(scored, gathered, held_out, language)
    try:
        estimate = estimator(scored.evidence_for(chosen.estimator, gathered), source=scored.source)
        found = zone(estimate, chosen.routing, _c(chosen, readout))
    except ValueError as error:
        raise ValueError(f"language `{language}`: {error}") from error
    within = _Bounds.of(found, scored.exchangeable(gathered), chosen.bound)
    calibration = _calibration(
        readout,
        language,
        estimate,
        Thresholds(*within.zone),
        chosen,
        examples=gathered.used,
        reference=reference,
        provenance={**(provenance or {}), **_said(estimate), **within.provenance},
    )
    calibration = replace(
        calibration,
        k=min(len(gathered.evidence.harmful), len(gathered.evidence.harmless)),
        evidence=_evidence_record(gathered.evidence, estimate, scored.source),
        vacuous=within.vacuous,
    )
    warnings = (*_warnings(gathered, scored.source), *within.warnings, *scored.warnings)
    return Recalibrated(scored.signed(calibration), warnings)


def recalibrate_together(
    readout: Readout,
    examples: Activations,
    languages: Sequence[str],
    *,
    plan: RecalibrationPlan | None = None,
    beside: Mapping[str, Beside] | None = None,
) -> dict[str, Recalibrated]:
    """Recalibrate several languages, each with a prior from all the others.

    Args:
        readout: saved, so that it has a digest.
        examples: labelled examples of all languages.
        languages: BCP 47 tags.
        plan: as for `recalibrate`.
        beside: by language, what else is known; a prior that is given there is kept.

    Raises:
        ValueError: as `recalibrate`.
    """
    known = {la: (beside or {}).get(la, Beside()) for la in languages}
    source = source_statistics_of(readout)
    own = {}
    for language in languages:
        evidence = gather(readout, examples, language, known[language]).evidence
        threshold = own_threshold_of(evidence, source)
        if threshold is not None:
            own[language] = threshold
    with_prior = {
        la: replace(each, prior=each.prior or prior_for(la, own)) for la, each in known.items()
    }
    return {
        la: recalibrate(readout, examples, la, plan=plan, beside=with_prior[la]) for la in languages
    }


def own_threshold_of(evidence: Evidence, source: SourceStatistics) -> OwnThreshold | None:
    """What a language's evidence says without any other language; None where it says nothing."""
    alone = replace(evidence, prior=None)
    parts = (alone.unlabelled, alone.parallel, alone.translated)
    if not alone.has_labels and not any(part is not None for part in parts):
        return None
    return own_threshold(Auto()(alone, source=source).parts)


def calibrate_source(
    readout: Readout,
    activations: Activations,
    language: str,
    *,
    c: float = 1.0,
    unfitted: Activations | None = None,
    refuses: Refuses | None = None,
) -> Calibration:
    """The calibration of a source language, from its many rows; the others have no say.

    It steers from the middle of where Youden's J is highest, and releases below the safest
    threshold that does as well (and c standard deviations of the first at least): between them
    nothing tells the classes apart, and the model keeps its own answer. The readout's threshold is
    that safe end already; to steer from there would refuse harmless prompts of languages in which
    the model needs no help. The width that was chosen for a readout is for thresholds of a few
    examples, not for these. It releases no higher than `source_release` allows: a harmful prompt
    that scores low may be one that the model by itself refuses.

    Args:
        readout: saved.
        activations: of the language's prompts; other languages in it are ignored.
        language: BCP 47 tag.
        c: width of the untouched zone at least, in standard deviations of the threshold.
        unfitted: prompts of the language that the readout was not fitted on, which say how much
            would be lost by releasing; `activations` by default.
        refuses: says of those that would be released whether they are refused; None: all that are
            harmful count as lost.

    Raises:
        ValueError: the language is not one that the readout was fitted on, or lacks a class.
    """
    if language not in readout.source_languages:
        raise ValueError(
            f"`{language}` is not a source language of this readout; recalibrate it from examples"
        )
    scores = scores_of(readout, activations, language)
    own = crossing(scores, readout.source_statistics["sd_within"])
    estimate = ThresholdEstimate(own.threshold, own.sd, (crossing_assumption(scores),))
    found = zone(estimate, "three_zone", c)
    seen = activations if unfitted is None else unfitted
    release = source_release(
        min(found.release, source_threshold(*scores)),
        select(seen.prompts, languages=(language,), harmful=True),
        scores_at(readout, seen, language=language, harmful=True),
        refuses,
    )
    return _calibration(
        readout,
        language,
        estimate,
        Thresholds(found.steer, release.threshold),
        RecalibrationPlan(estimator=SOURCE, c=c),
        examples=(),
        reference=scores,
        provenance={"assumptions": estimate.assumptions[0], "release": release.said},
    )


def _reference(
    scored: ScoredBy, gathered: Gathered, held_out: Activations | None, language: str
) -> TwoClass | None:
    """Scores of held-out prompts, none of which had a say."""
    if held_out is None:
        return None
    _refuse_reuse(gathered.used, held_out.prompts)
    scored.refuse_translations(held_out, "held-out prompt")
    return scores_of(scored.by, held_out, language)


class _Bounds(NamedTuple):
    """A zone after a bound was asked for, or not."""

    zone: Zone
    vacuous: bool
    provenance: Mapping[str, str]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, found: Zone, evidence: Evidence, alpha: float | None) -> _Bounds:
        if alpha is None:
            return cls(found, False, {}, ())
        within = bounded(found, evidence, alpha)
        warnings = tuple(note for note in within.notes if "vacuous" in note)
        return cls(within.zone, within.vacuous, {"bounds": "; ".join(within.notes)}, warnings)


def _said(estimate: ThresholdEstimate) -> dict[str, str]:
    return {"assumptions": "; ".join(estimate.assumptions)[:_LONGEST_NOTE]}


def _warnings(gathered: Gathered, source: SourceStatistics) -> tuple[str, ...]:
    labelled, evidence = gathered.labelled, gathered.evidence
    if not evidence.has_labels:
        return (*labelled.warnings, *_one_class(evidence))
    names = (labelled.ids(harmful=True), labelled.ids(harmful=False))
    check = check_examples(
        evidence.harmful, evidence.harmless, source_sd=source.sd_within, names=names
    )
    return (*labelled.warnings, *check.warnings)


def _one_class(evidence: Evidence) -> tuple[str, ...]:
    n = len(evidence.harmful) + len(evidence.harmless)
    if not n:
        return ()
    there, lacking = ("harmful", "harmless") if len(evidence.harmful) else ("harmless", "harmful")
    return (f"{n} {there} example(s) say nothing without a {lacking} one; add one",)


def _evidence_record(
    evidence: Evidence, estimate: ThresholdEstimate, source: SourceStatistics
) -> dict[str, float]:
    """Numbers of the evidence, by the names that `Calibration.evidence` has."""
    record: dict[str, float] = {}
    for part in estimate.parts:
        record |= {part.name: part.threshold, f"{part.name}_sd": part.sd}
    own = own_threshold_of(evidence, source)
    if own is not None:
        record |= {OWN_THRESHOLD: own.threshold, OWN_SD: own.sd}
    if evidence.sources is not None:
        found = correlation_within(
            TwoClass(evidence.harmful, evidence.harmless),
            TwoClass(evidence.sources.harmful, evidence.sources.harmless),
        )
        record |= {RHO: found.rho, RHO_FREEDOM: found.freedom}
    return record


def _calibration(
    readout: Readout,
    language: str,
    estimate: ThresholdEstimate,
    found: Thresholds,
    plan: RecalibrationPlan,
    *,
    examples: Sequence[Prompt],
    reference: TwoClass | None,
    provenance: Mapping[str, str],
) -> Calibration:
    return Calibration(
        language=language,
        thresholds=found,
        threshold=estimate.threshold,
        posterior_sd=estimate.posterior_sd,
        routing=plan.routing,
        estimator=plan.estimator,
        k=0,
        readout_digest=readout.digest,
        backbone=readout.backbone,
        created=now(),
        example_hashes=tuple(sorted({p.digest for p in examples})),
        metrics=_metrics(reference, found.steer) if reference is not None else {},
        histogram=histogram(*reference) if reference is not None else None,
        reference_refusal=_refusal(reference, found.steer) if reference is not None else {},
        provenance=provenance,
    )


def _metrics(reference: TwoClass, threshold: float) -> dict[str, float]:
    rates = rates_at(reference.harmful, reference.harmless, threshold)
    return {
        "auc": auroc(reference.harmful, reference.harmless),
        "tpr": rates.tpr,
        "fpr": rates.fpr,
        "j": rates.tpr - rates.fpr,
        "n_harmful": float(len(reference.harmful)),
        "n_harmless": float(len(reference.harmless)),
    }


def _refusal(reference: TwoClass, threshold: float) -> dict[str, float]:
    """Shares of either class that the gate steers: what drift is looked for against."""
    rates = rates_at(reference.harmful, reference.harmless, threshold)
    return {"harmful": rates.tpr, "harmless": rates.fpr}


def _refuse_reuse(examples: Sequence[Prompt], held_out: Sequence[Prompt]) -> None:
    texts = {p.digest for p in held_out}
    for prompt in examples:
        if prompt.digest in texts:
            raise ValueError(
                f"example `{prompt.id}` (`{prompt.language}`) is also held out; "
                "a prompt either sets the threshold or tests it"
            )
