"""What pictures show beside the numbers: scores by language, and activations on two axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recal.evaluation.held import HeldOut
from recal.maths.components import Components, principal_components
from recal.maths.two_class import BoolArray, TwoClass
from services.readout.bundle import Readout

MOST_POINTS = 1000
"""Points of one picture; more only make the file larger."""


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
    """(n, 2) of all languages' residuals together; of very many prompts only some are shown."""
    languages: tuple[str, ...]
    """(n,) of the rows of `components`."""
    harmful: BoolArray
    """(n,) of the same."""
    n_prompts: int
    """How many prompts the axes were found on."""


def exhibits_of(parts: Sequence[HeldOut], readout: Readout) -> Exhibits:
    """Gather what pictures need.

    Raises:
        ValueError: a score or residual is not finite, or all residuals are the same.
    """
    rows = np.concatenate([part.activations.at(readout.deepest_layer) for part in parts])
    found = principal_components(rows, k=2)
    shown = np.unique(np.linspace(0, len(rows) - 1, MOST_POINTS).round().astype(np.int64))
    languages = [p.language for part in parts for p in part.prompts]
    return Exhibits(
        scores={part.language: part.scores(readout) for part in parts},
        source_threshold=readout.source_threshold,
        layer=readout.deepest_layer,
        components=Components(found.coordinates[shown], found.shares),
        languages=tuple(languages[row] for row in shown),
        harmful=np.concatenate([part.harmful for part in parts])[shown],
        n_prompts=len(rows),
    )
