"""The model as it is: what every method must beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recal.prompts import Prompt
from services.generation.treatment import UNTOUCHED, Treatment


@dataclass(frozen=True)
class Untouched:
    """Nothing is done to any prompt."""

    name: str = "untouched"

    def treatments(self, prompts: Sequence[Prompt]) -> list[Treatment]:
        """One for each prompt, in order."""
        return [UNTOUCHED] * len(prompts)
