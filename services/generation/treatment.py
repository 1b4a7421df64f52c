"""What is done to each row of a batch: moves at any number of blocks.

Ours and every baseline end here, so that all of them run through the decode loop that serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from torch import Tensor

from services.domain import Action
from services.generation.intervention import (
    Phase,
    Push,
    ablation,
    add,
    check_push,
    check_unit_norm,
    down_to,
    to_target,
)
from services.readout.bundle import ReleaseForm, Scope, SteerForm, Steering


@dataclass(frozen=True, eq=False)
class Move:
    """One push along one direction at one block's output, for the tokens of one scope."""

    layer: int
    """0-based decoder block."""
    direction: Tensor
    """(d_model,), unit norm."""
    push: Push
    scope: Scope

    def __post_init__(self) -> None:
        if self.layer < 0:
            raise ValueError(f"there is no block {self.layer}; blocks are counted from 0")
        check_unit_norm(self.direction)
        check_push(self.push)

    def acts_in(self, phase: Phase) -> bool:
        """Whether any token of a pass can be moved."""
        return self.scope.decodes if phase is Phase.DECODE else self.scope.prompt != "none"


@dataclass(frozen=True, eq=False)
class Treatment:
    """All that is done to one row; moves at the same block follow one another."""

    action: Action
    """What it is meant as."""
    steering: Steering | None = None
    """Of the readout that the verdict names; None where nothing is done, or `own` says what."""
    own: tuple[Move, ...] = ()
    """Moves of a method that does not act by a readout's steering."""

    def __post_init__(self) -> None:
        if self.action is Action.REFUSE:
            raise ValueError("`refuse` is answered with the fixed refusal, without the model")
        if self.action is Action.NONE and self.own:
            raise ValueError("`none` leaves the model alone; give no moves")
        if self.action is not Action.NONE and self.steering is None and not self.own:
            raise ValueError(f"`{self.action.value}` needs a readout's steering")
        _ = self.moves  # a steering that cannot be used is refused here, not in the batch

    @cached_property
    def moves(self) -> tuple[Move, ...]:
        """What is done, in order; empty where the model is left alone."""
        if self.own or self.steering is None or self.action is Action.NONE:
            return self.own
        return _STEPS[self.action](self.steering)

    @property
    def acting(self) -> tuple[Move, ...] | None:
        """The moves, where something is done."""
        return self.moves or None


def _steered(steering: Steering) -> tuple[Move, ...]:
    if steering.form is SteerForm.ADD:
        push = add(steering.coefficient)
    else:
        assert steering.statistics is not None, "a steering to a target has its statistics"
        push = to_target(steering.statistics.target, steering.coefficient)
    return (Move(steering.layer, steering.direction, push, steering.scope),)


def _released(steering: Steering) -> tuple[Move, ...]:
    release, layer, direction = steering.release, steering.layer, steering.direction
    if release.form is ReleaseForm.NOTHING:
        return ()
    if release.layer is not None and release.direction is not None:
        layer, direction = release.layer, release.direction
    push = ablation()
    if release.form is ReleaseForm.AFFINE:
        assert release.centre is not None, "an affine release has its centre"
        push = down_to(release.centre)
    return (Move(layer, direction, push, release.scope),)


_STEPS: Mapping[Action, Callable[[Steering], tuple[Move, ...]]] = MappingProxyType(
    {Action.STEER: _steered, Action.RELEASE: _released}
)

UNTOUCHED = Treatment(Action.NONE)
