"""Ablating the harmfulness direction for every prompt, as arXiv:2606.01196 releases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recal.prompts import Prompt
from services.generation.treatment import Treatment, release_treatment
from services.readout.bundle import Release, Steering


@dataclass(frozen=True, eq=False)
class UngatedAblation:
    """The paper's release for every prompt, whatever form our own readout releases by."""

    steering: Steering
    name: str = "ungated ablation"

    def treatments(self, prompts: Sequence[Prompt]) -> list[Treatment]:
        """One for each prompt, in order."""
        ablated = release_treatment(
            Release(), layer=self.steering.layer, direction=self.steering.direction
        )
        return [ablated] * len(prompts)
