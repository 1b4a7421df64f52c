"""The direction readout: projections on v̂, kept beside the frozen readout as its fallback."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from recal.collect import Activations
from recal.fit import Candidate, FitPlan, FittedPart, fit_projections
from recal.maths.source import SourceStatistics
from recal.own_readout import FittedOwn
from services.readout.bundle import Readout
from services.readout.linear import LinearReadout
from services.readout.own import OwnPart, OwnReadout

DIRECTION = "direction"
"""Method of the own readout, and what `recal recalibrate --own` calls it."""


def fit_direction(
    activations: Activations, chosen: Sequence[Candidate], plan: FitPlan
) -> OwnReadout:
    """Project on the pooled difference of the source languages' means, wherever a readout reads.

    It has no weight that a logistic could learn too well, and is the same for every language.

    Args:
        activations: of the source languages, what the frozen readout is fitted on.
        chosen: the frozen readout's places and shares.
        plan: names the source languages.

    Returns:
        In pooled standard deviations within a class of the source languages, as the frozen score.

    Raises:
        ValueError: as `fit_projections`.
    """
    fitted = fit_projections(activations, chosen, plan)
    source = fitted.source
    return OwnReadout(
        tuple(_part_of(part) for part in fitted.parts),
        DIRECTION,
        {
            "mean_harmful": source.mean_harmful,
            "mean_harmless": source.mean_harmless,
            "sd_within": source.sd_within,
            "threshold": source.threshold,
        },
    )


def direction_of(readout: Readout, language: str) -> FittedOwn:
    """The direction readout that is kept beside a frozen one, to score a language.

    Raises:
        ValueError: none is kept.
    """
    kept = readout.fallback
    if kept is None:
        raise ValueError(
            f"readout `{readout.version or readout.digest[:12]}` keeps no direction readout: it "
            "was fitted before there was one; run `recal fit` again, or leave the frozen readout"
        )
    named = ("mean_harmful", "mean_harmless", "sd_within", "threshold")
    source = SourceStatistics(**{name: kept.statistics[name] for name in named})
    where = " and ".join(f"block {layer} ({reading})" for layer, reading in kept.places)
    said = f"{kept.method}: projections on the source languages' difference in means at {where}"
    return FittedOwn(language, kept, None, source, (), said)


def _part_of(part: FittedPart) -> OwnPart:
    weight = torch.tensor(part.folded.weight * part.share, dtype=torch.float32)
    return OwnPart(part.place, LinearReadout(weight, part.folded.bias * part.share))
