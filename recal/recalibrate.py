"""Step 2: a frozen readout and a few examples of a language to that language's calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recal.collect import Activations
from recal.fit import histogram, now
from recal.maths.examples import check_examples
from recal.maths.metrics import auroc, rates_at
from recal.maths.source import SourceStatistics
from recal.maths.threshold import ThresholdEstimate, estimator_of, zone
from recal.maths.two_class import TwoClass
from recal.prompts import Prompt
from recal.scoring import scores_at
from services.readout.bundle import Calibration, Readout, Thresholds

SOURCE = "source"
"""Estimator name of a language that the readout itself was fitted on."""


@dataclass(frozen=True)
class RecalibrationPlan:
    """How a threshold is estimated and what is made of it."""

    estimator: str = "midpoint"
    routing: str = "three_zone"
    c: float = 1.0
    """Width of the untouched zone in posterior standard deviations."""


PAPER = RecalibrationPlan(estimator="paper_f1", routing="two_way")
"""The released rule: in-sample F1 threshold, everything below it released (arXiv:2606.01196)."""


class Recalibrated(NamedTuple):
    """A calibration with what an operator should know about its examples."""

    calibration: Calibration
    warnings: tuple[str, ...]


def scores_of(readout: Readout, activations: Activations, language: str) -> TwoClass:
    """Scores of one language's prompts, by class, through the readout that serving uses.

    Raises:
        ValueError: the language lacks a class, or a place that is read was not collected.
    """
    return TwoClass(
        scores_at(readout, activations, language=language, harmful=True),
        scores_at(readout, activations, language=language, harmful=False),
    )


def recalibrate(
    readout: Readout,
    examples: Activations,
    language: str,
    *,
    plan: RecalibrationPlan | None = None,
    held_out: Activations | None = None,
    provenance: Mapping[str, str] | None = None,
) -> Recalibrated:
    """Set one language's thresholds from a few of its examples; the readout stays as it is.

    Args:
        readout: saved, so that it has a digest.
        examples: the language's labelled examples; other languages in it are ignored.
        language: BCP 47 tag.
        plan: estimator and routing; midpoint and three zones by default.
        held_out: other prompts of the language, for the stored metrics and reference histogram.
        provenance: how it came to be.

    Raises:
        ValueError: a class is missing, a score is not finite, an example is also held out, or an
            unknown estimator or routing.
    """
    chosen = plan if plan is not None else RecalibrationPlan()
    scores = scores_of(readout, examples, language)
    used = [p for p in examples.prompts if p.language == language]
    if held_out is not None:
        _refuse_reuse(used, held_out.prompts)
    estimate = estimator_of(chosen.estimator)(
        scores.harmful, scores.harmless, source=_source(readout)
    )
    calibration = _calibration(
        readout,
        language,
        estimate,
        chosen,
        k=min(len(scores.harmful), len(scores.harmless)),
        examples=used,
        reference=scores_of(readout, held_out, language) if held_out is not None else None,
        provenance={**(provenance or {}), "assumptions": "; ".join(estimate.assumptions)},
    )
    return Recalibrated(calibration, check_examples(scores.harmful, scores.harmless).warnings)


def calibrate_source(
    readout: Readout, activations: Activations, language: str, *, c: float = 1.0
) -> Calibration:
    """The calibration of a source language: the readout's own threshold, known from many prompts.

    The untouched zone spans c standard errors of the class midpoint, from the language's rows.

    Raises:
        ValueError: the language is not one that the readout was fitted on, or lacks a class.
    """
    if language not in readout.source_languages:
        raise ValueError(
            f"`{language}` is not a source language of this readout; recalibrate it from examples"
        )
    scores = scores_of(readout, activations, language)
    sd = 0.5 * float(
        np.hypot(
            scores.harmful.std() / np.sqrt(len(scores.harmful)),
            scores.harmless.std() / np.sqrt(len(scores.harmless)),
        )
    )
    estimate = ThresholdEstimate(
        readout.source_threshold, sd, ("the source languages share one threshold",)
    )
    return _calibration(
        readout,
        language,
        estimate,
        RecalibrationPlan(estimator=SOURCE, c=c),
        k=0,
        examples=(),
        reference=scores,
        provenance={"assumptions": estimate.assumptions[0]},
    )


def _calibration(
    readout: Readout,
    language: str,
    estimate: ThresholdEstimate,
    plan: RecalibrationPlan,
    *,
    k: int,
    examples: Sequence[Prompt],
    reference: TwoClass | None,
    provenance: Mapping[str, str],
) -> Calibration:
    found = zone(estimate, plan.routing, plan.c)
    return Calibration(
        language=language,
        thresholds=Thresholds(steer=found.steer, release=found.release),
        threshold=estimate.threshold,
        posterior_sd=estimate.posterior_sd,
        routing=plan.routing,
        estimator=plan.estimator,
        k=k,
        readout_digest=readout.digest,
        backbone=readout.backbone,
        created=now(),
        example_hashes=tuple(sorted(p.digest for p in examples)),
        metrics=_metrics(reference, estimate.threshold) if reference is not None else {},
        histogram=histogram(*reference) if reference is not None else None,
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


def _source(readout: Readout) -> SourceStatistics:
    statistics = readout.source_statistics
    return SourceStatistics(
        mean_harmful=statistics["mean_harmful"],
        mean_harmless=statistics["mean_harmless"],
        sd_within=statistics["sd_within"],
        threshold=readout.source_threshold,
    )


def _refuse_reuse(examples: Sequence[Prompt], held_out: Sequence[Prompt]) -> None:
    texts = {p.digest for p in held_out}
    for prompt in examples:
        if prompt.digest in texts:
            raise ValueError(
                f"example `{prompt.id}` (`{prompt.language}`) is also held out; "
                "a prompt either sets the threshold or tests it"
            )
