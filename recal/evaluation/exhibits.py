"""What pictures show beside the numbers: scores by language, and activations on two axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recal.evaluation.held import HeldOut
from recal.maths.components import Components, principal_components
from recal.maths.two_class import BoolArray, TwoClass
from services.readout.bundle import Readout


@dataclass(frozen=True, eq=False)
class Exhibits:
    """Arrays for pictures; none of them goes into a file of numbers."""

    scores: Mapping[str, TwoClass]
    """By language."""
    source_threshold: float
    """The readout's own threshold, of its source languages."""
    layer: int
    """Block whose residuals the components are of."""
    components: Components
    """Of all languages' residuals together, (n, 2)."""
    languages: tuple[str, ...]
    """(n,) of the rows of `components`."""
    harmful: BoolArray
    """(n,) of the same."""


def exhibits_of(parts: Sequence[HeldOut], readout: Readout) -> Exhibits:
    """Gather what pictures need.

    Raises:
        ValueError: a score or residual is not finite, or all residuals are the same.
    """
    rows = np.concatenate([part.activations.at(readout.layer) for part in parts])
    return Exhibits(
        scores={part.language: part.scores(readout) for part in parts},
        source_threshold=readout.source_threshold,
        layer=readout.layer,
        components=principal_components(rows, k=2),
        languages=tuple(p.language for part in parts for p in part.prompts),
        harmful=np.concatenate([part.harmful for part in parts]),
    )
