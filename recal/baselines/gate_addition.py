"""A gate that steers and never releases: what the release branch is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recal.baselines.method import Decide
from recal.prompts import Prompt
from services.domain import Action
from services.generation.treatment import UNTOUCHED, Treatment
from services.readout.bundle import Steering


@dataclass(frozen=True, eq=False)
class GateAddition:
    """STEER where the gate says so; every other prompt is left alone."""

    steering: Steering
    decide: Decide
    name: str = "gate + addition only"

    def treatments(self, prompts: Sequence[Prompt]) -> list[Treatment]:
        """One for each prompt, in order.

        Raises:
            ValueError: the gate does not decide on every prompt.
        """
        steered = Treatment(Action.STEER, self.steering)
        decided = zip(prompts, self.decide(prompts), strict=True)
        return [steered if action is Action.STEER else UNTOUCHED for _, action in decided]
