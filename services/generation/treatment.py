"""What is done to each row of a batch, and the edits of residuals that do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from services.backbone.hooks import Edit
from services.domain import Action
from services.generation.intervention import Phase, check_unit_norm, coefficients, rank_one
from services.readout.bundle import Steering


@dataclass(frozen=True, eq=False)
class Treatment:
    """One row's action, with the steering of the readout that its verdict names."""

    action: Action
    steering: Steering | None = None
    """None only where nothing is done."""

    def __post_init__(self) -> None:
        if self.action is Action.REFUSE:
            raise ValueError("`refuse` is answered with the fixed refusal, without the model")
        if self.action is not Action.NONE:
            if self.steering is None:
                raise ValueError(f"`{self.action.value}` needs a readout's steering")
            check_unit_norm(self.steering.direction)

    @property
    def acting(self) -> Steering | None:
        """The steering, where something is done."""
        return None if self.action is Action.NONE else self.steering


UNTOUCHED = Treatment(Action.NONE)


def edits_of(treatments: Sequence[Treatment], phase: Phase, tokens: Tensor) -> dict[int, Edit]:
    """The edits of one pass over rows with different treatments, even by different readouts.

    Args:
        treatments: one for each row.
        phase: prompt or new tokens.
        tokens: (batch, seq), 1 for a token and 0 for a pad, on the model's device.

    Returns:
        By decoder block; empty when nothing is done to any row. Rows that an edit does not
        concern come out of it bit for bit.
    """
    edits: dict[int, Edit] = {}
    acting = {id(t.acting): t.acting for t in treatments if t.acting is not None}
    for steering in acting.values():
        actions = [
            _action_in(t, phase) if t.acting is steering else Action.NONE for t in treatments
        ]
        shift, scale = coefficients(
            actions, coefficient=steering.coefficient, phase=phase, tokens=tokens
        )
        direction = steering.direction.to(tokens.device)
        own = partial(rank_one, direction=direction, shift=shift, scale=scale)
        before = edits.get(steering.layer)
        edits[steering.layer] = own if before is None else partial(_both, before, own)
    return edits


def _action_in(treatment: Treatment, phase: Phase) -> Action:
    steering = treatment.steering
    if treatment.action is Action.STEER and phase is Phase.DECODE and steering is not None:
        return Action.STEER if steering.decodes else Action.NONE
    return treatment.action


def _both(first: Edit, second: Edit, residual: Tensor) -> Tensor:
    return second(first(residual))
