"""What every part of a report is counted from: arms, prompts, answers and their resamples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recal.evaluation.arm import Arm
from recal.evaluation.held import HeldOut
from recal.evaluation.report import ALL_LANGUAGES, OTHER
from recal.evaluation.resamples import Cells, Resamples
from recal.maths.decomposition import JudgeError
from services.readout.bundle import Readout

_TIERS = ("low", "mid", "high", OTHER)


@dataclass(frozen=True, eq=False)
class Tallied:
    """One evaluation, answered and judged."""

    arms: Sequence[Arm]
    parts: Sequence[HeldOut]
    readout: Readout
    """Whose scores are shown beside the methods."""
    cells: Cells
    resamples: Resamples
    error: JudgeError | None

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Languages by tier, low-resource ones first, and all of them."""
        found = {
            tier: tuple(part.language for part in self.parts if part.tier == tier)
            for tier in _TIERS
        }
        found = {tier: languages for tier, languages in found.items() if languages}
        return {**found, ALL_LANGUAGES: tuple(part.language for part in self.parts)}

    def delta(self, arm: str, languages: Sequence[str]) -> float:
        """Mean observed Δ of an arm over languages, in points."""
        cells = [self.cells[arm, language] for language in languages]
        return float(np.mean([cell.harmful_rate - cell.harmless_rate for cell in cells]))
