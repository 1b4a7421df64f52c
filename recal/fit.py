"""Step 1: residuals of source languages to one readout, fitted once and then frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import torch

from recal.collect import Activations
from recal.languages import HIGH, MID
from recal.maths.direction import ProjectionStatistics, pooled_direction, projection_statistics
from recal.maths.logistic import score
from recal.maths.metrics import tpr_at_fpr
from recal.maths.readout import FittedReadout, fit_readout
from recal.maths.two_class import FloatArray, TwoClass
from services.readout.bundle import BackboneIdentity, Readout, ScoreHistogram, Steering
from services.readout.linear import LinearReadout

_TARGET_FPR = 0.05
_EDGES = tuple(float(x) for x in np.linspace(-8.0, 8.0, 33))


@dataclass(frozen=True)
class FitPlan:
    """What decides a readout."""

    source_languages: tuple[str, ...] = HIGH
    """Well-covered languages that the readout is fitted on."""
    development_languages: tuple[str, ...] = MID
    """Languages that may choose the layer, and nothing else."""
    rank: int = 10
    """Of the subspace of the source languages' directions."""
    layer: int | None = None
    """Decoder block to read; None: chosen by leave-one-language-out."""
    c: float = 1.0
    """Inverse strength of the logistic's penalty."""

    def __post_init__(self) -> None:
        if len(self.source_languages) < 2:
            raise ValueError("a readout needs at least two source languages")
        if self.rank < 1:
            raise ValueError(f"`rank` is {self.rank}; it must be at least 1")


class LayerChoice(NamedTuple):
    """Which decoder block is read, and what every candidate reached."""

    layer: int
    transfer: Mapping[int, float]
    """Mean TPR at 5 % FPR on languages that the fit had not seen, by layer."""


class FoundDirection(NamedTuple):
    """The pooled harmfulness direction at one layer with what its strength is measured in."""

    direction: FloatArray
    """(d_model,), unit norm."""
    statistics: ProjectionStatistics
    """Where the classes lie along it."""
    typical_norm: float
    """Mean norm of a residual at this layer."""


def by_language(
    activations: Activations, layer: int, languages: Sequence[str]
) -> dict[str, TwoClass]:
    """Residuals of both classes at one layer.

    Raises:
        ValueError: a language lacks a class, or the layer was not collected.
    """
    return {
        language: TwoClass(
            activations.at(layer, language=language, harmful=True),
            activations.at(layer, language=language, harmful=False),
        )
        for language in languages
    }


def choose_layer(activations: Activations, plan: FitPlan) -> LayerChoice:
    """The block whose readout carries best to languages that it was not fitted on.

    Each source language is scored by a fit on the others, each development language by a fit on
    all of them; low-resource languages have no say. Of equals the earliest wins: it costs the
    gate fewest blocks.

    Raises:
        ValueError: as `fit_readout`.
    """
    if plan.layer is not None:
        return LayerChoice(plan.layer, {})
    transfer = {layer: _transfer(activations, layer, plan) for layer in activations.layers}
    best = max(transfer.values())
    return LayerChoice(min(la for la, value in transfer.items() if value >= best - 1e-9), transfer)


def _transfer(activations: Activations, layer: int, plan: FitPlan) -> float:
    source = by_language(activations, layer, plan.source_languages)
    unseen = by_language(activations, layer, plan.development_languages)
    whole = _fit(source, plan)
    rates = [_tpr(whole, rows) for rows in unseen.values()]
    for language, rows in source.items():
        others = {k: v for k, v in source.items() if k != language}
        rates.append(_tpr(_fit(others, plan), rows))
    return float(np.mean(rates))


def _fit(residuals: Mapping[str, TwoClass], plan: FitPlan) -> FittedReadout:
    return fit_readout(residuals, rank=min(plan.rank, len(residuals)), c=plan.c)


def _tpr(fitted: FittedReadout, rows: TwoClass) -> float:
    return tpr_at_fpr(
        score(fitted.folded, rows.harmful), score(fitted.folded, rows.harmless), _TARGET_FPR
    )


def direction_at(activations: Activations, layer: int, plan: FitPlan) -> FoundDirection:
    """The steering direction of the source languages at one layer.

    Raises:
        ValueError: as `pooled_direction`.

    Source: arXiv:2606.01196: pooled difference in means, α = λ·g.
    """
    rows = by_language(activations, layer, plan.source_languages)
    direction = pooled_direction(rows)
    harmful = np.concatenate([pair.harmful for pair in rows.values()])
    harmless = np.concatenate([pair.harmless for pair in rows.values()])
    norms = np.linalg.norm(np.concatenate([harmful, harmless]), axis=1)
    statistics = projection_statistics(harmful, harmless, direction)
    return FoundDirection(direction, statistics, float(norms.mean()))


def fit(
    activations: Activations,
    identity: BackboneIdentity,
    *,
    layer: int,
    steering: Steering,
    plan: FitPlan,
    provenance: Mapping[str, str],
) -> Readout:
    """Fit the readout at one layer and put it together with its steering.

    Args:
        activations: of the source languages, at least at `layer`.
        identity: the backbone that they were collected from.
        layer: decoder block to read.
        steering: found by `recal.search`.
        plan: languages, rank and penalty.
        provenance: how it came to be; texts by hash only.

    Raises:
        ValueError: as `fit_readout`.
    """
    rows = by_language(activations, layer, plan.source_languages)
    fitted = _fit(rows, plan)
    harmful = np.concatenate([score(fitted.folded, pair.harmful) for pair in rows.values()])
    harmless = np.concatenate([score(fitted.folded, pair.harmless) for pair in rows.values()])
    return Readout(
        linear=LinearReadout(
            torch.tensor(fitted.folded.weight, dtype=torch.float32), fitted.folded.bias
        ),
        layer=layer,
        position=-1,
        rank=fitted.basis.shape[1],
        source_languages=plan.source_languages,
        steering=steering,
        backbone=identity,
        source_threshold=fitted.source.threshold,
        source_statistics={
            "mean_harmful": fitted.source.mean_harmful,
            "mean_harmless": fitted.source.mean_harmless,
            "sd_within": fitted.source.sd_within,
        },
        basis=torch.tensor(fitted.basis, dtype=torch.float32),
        created=now(),
        histogram=histogram(harmful, harmless),
        provenance=provenance,
    )


def histogram(harmful: FloatArray, harmless: FloatArray) -> ScoreHistogram:
    """Counts of scores by class; scores beyond the outer edges fall into the outer bins."""
    counts = [
        tuple(int(n) for n in np.histogram(np.clip(scores, _EDGES[0], _EDGES[-1]), _EDGES)[0])
        for scores in (harmful, harmless)
    ]
    return ScoreHistogram(edges=_EDGES, harmful=counts[0], harmless=counts[1])


def now() -> str:
    """The time in RFC 3339, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
