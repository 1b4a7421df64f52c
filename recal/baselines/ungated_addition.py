"""Steering every prompt: what steering does where nobody decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recal.prompts import Prompt
from services.domain import Action
from services.generation.treatment import Treatment
from services.readout.bundle import Steering


@dataclass(frozen=True, eq=False)
class UngatedAddition:
    """STEER for every prompt."""

    steering: Steering
    name: str = "ungated addition"

    def treatments(self, prompts: Sequence[Prompt]) -> list[Treatment]:
        """One for each prompt, in order."""
        return [Treatment(Action.STEER, self.steering)] * len(prompts)
