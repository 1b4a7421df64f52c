"""Ablating the harmfulness direction for every prompt, as arXiv:2606.01196 releases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from recal.prompts import Prompt
from services.domain import Action
from services.generation.treatment import Treatment
from services.readout.bundle import Release, Steering


@dataclass(frozen=True, eq=False)
class UngatedAblation:
    """The paper's release for every prompt, whatever form our own readout releases by."""

    steering: Steering
    name: str = "ungated ablation"

    def treatments(self, prompts: Sequence[Prompt]) -> list[Treatment]:
        """One for each prompt, in order."""
        steering = replace(self.steering, release=Release())
        return [Treatment(Action.RELEASE, steering)] * len(prompts)
