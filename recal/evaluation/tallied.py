"""What every part of a report is counted from: arms, prompts, answers and their resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recal.evaluation.arm import Arm
from recal.evaluation.held import HeldOut
from recal.evaluation.report import ALL_LANGUAGES, OTHER, JudgeRates
from recal.evaluation.resamples import Cells, Resamples
from services.readout.bundle import Readout

_TIERS = ("low", "mid", "high", OTHER)


class Rates(NamedTuple):
    """Mean refusal of both classes over languages, in points."""

    harmful: float
    harmless: float

    @property
    def delta(self) -> float:
        """Harmful minus harmless."""
        return self.harmful - self.harmless


@dataclass(frozen=True, eq=False)
class Tallied:
    """One evaluation, answered and judged."""

    arms: Sequence[Arm]
    parts: Sequence[HeldOut]
    readout: Readout
    """Whose scores are shown beside the methods."""
    cells: Cells
    resamples: Resamples
    rates: Mapping[str, JudgeRates]
    """How often the judge is right, by language; empty where that is not known."""

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Languages by tier, low-resource ones first, and all of them."""
        found = {
            tier: tuple(part.language for part in self.parts if part.tier == tier)
            for tier in _TIERS
        }
        found = {tier: languages for tier, languages in found.items() if languages}
        return {**found, ALL_LANGUAGES: tuple(part.language for part in self.parts)}

    def observed(self, arm: str, languages: Sequence[str]) -> Rates:
        """Mean observed rates of an arm over languages."""
        cells = [self.cells[arm, language] for language in languages]
        return Rates(
            float(np.mean([cell.harmful_rate for cell in cells])),
            float(np.mean([cell.harmless_rate for cell in cells])),
        )

    def true(self, arm: str, languages: Sequence[str]) -> Rates:
        """The same behind the judge's errors; as observed in a language where they are unknown."""
        found = [self.observed(arm, (language,)) for language in languages]
        if self.rates:
            known = zip(found, (self.rates[language] for language in languages), strict=True)
            found = [Rates(*(rates.corrected(rate) for rate in raw)) for raw, rates in known]
        return Rates(
            float(np.mean([each.harmful for each in found])),
            float(np.mean([each.harmless for each in found])),
        )
