"""A gate that knows the labels: what remains lost with it is lost in acting, not in deciding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recal.prompts import Prompt
from services.domain import Action
from services.generation.treatment import Treatment
from services.readout.bundle import Steering


@dataclass(frozen=True, eq=False)
class OracleGate:
    """STEER for harmful prompts, RELEASE for harmless ones."""

    steering: Steering
    name: str = "oracle gate"

    def treatments(self, prompts: Sequence[Prompt]) -> list[Treatment]:
        """One for each prompt, in order."""
        by_label = {
            True: Treatment(Action.STEER, self.steering),
            False: Treatment(Action.RELEASE, self.steering),
        }
        return [by_label[prompt.harmful] for prompt in prompts]
