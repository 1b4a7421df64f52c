"""What is done to each row of a batch: moves at any number of blocks, and the hooks that do them.

Ours and every baseline end here, so that all of them run through the decode loop that serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import zip_longest
from types import MappingProxyType

import torch
from torch import Tensor

from services.backbone.hooks import Edit
from services.domain import Action
from services.generation.intervention import (
    Coefficients,
    Phase,
    Push,
    Span,
    ablation,
    add,
    check_push,
    check_unit_norm,
    down_to,
    rank_one,
    to_target,
)
from services.readout.bundle import ReleaseForm, Scope, SteerForm, Steering

_STILL = Push()


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


def packed_edits(
    treatments: Sequence[Treatment], spans: Sequence[Span], device: torch.device
) -> dict[int, Edit]:
    """The edits of one packed pass, (1, tokens, d_model), in which every span is another row.

    Args:
        treatments: one for each span.
        spans: the pass's tokens, in order.
        device: the model's.

    Returns:
        By decoder block; empty when nothing is done to any row. Tokens that an edit does not
        concern come out of it bit for bit.
    """
    acting = [
        [move for move in treatment.moves if any(span.inside(move.scope))]
        for treatment, span in zip(treatments, spans, strict=True)
    ]
    edits: dict[int, Edit] = {}
    for layer, slots in by_block(acting).items():
        found = [_packed_edit(by_token(moves, spans), device) for moves in slots]
        edits[layer] = one_after_another(found)
    return edits


def by_token(moves: Sequence[Move | None], spans: Sequence[Span]) -> list[Move | None]:
    """The move of every token of a packed pass, from those of its spans."""
    return [
        move if is_inside else None
        for move, span in zip(moves, spans, strict=True)
        for is_inside in span.inside(Scope.DECODE if move is None else move.scope)
    ]


def by_block(acting: Sequence[Sequence[Move]]) -> dict[int, list[tuple[Move | None, ...]]]:
    """The moves of several treatments by decoder block, rising.

    Returns:
        Of each block what follows one another there: the first move of each treatment, then the
        second ones, and so on; None where a treatment has no more.
    """
    layers = sorted({move.layer for moves in acting for move in moves})
    return {
        layer: list(zip_longest(*([m for m in moves if m.layer == layer] for moves in acting)))
        for layer in layers
    }


def one_after_another(edits: Sequence[Edit]) -> Edit:
    """One edit of several."""
    return edits[0] if len(edits) == 1 else partial(_in_turn, edits)


def token_numbers(moves: Sequence[Move | None], device: torch.device) -> Coefficients:
    """What the move of each token of a packed pass means, (tokens, 1) each; None moves nothing."""
    pushes = [_STILL if move is None else move.push for move in moves]
    table = torch.tensor(pushes, dtype=torch.float32, device=device)
    return Coefficients(*table.unsqueeze(1).unbind(dim=2))


def rank_one_by_token(residual: Tensor, direction: Tensor, coefficients: Coefficients) -> Tensor:
    """`rank_one` of a packed pass, (1, tokens, d_model): every token is a row of its own there.

    Args:
        residual: is not modified.
        direction: (d_model,), or (tokens, d_model).
        coefficients: (tokens, 1) each.
    """
    return rank_one(residual.transpose(0, 1), direction, coefficients).transpose(0, 1)


def directions_of(moves: Sequence[Move | None], device: torch.device) -> Tensor:
    """(moves, d_model) float32, or (d_model,) where all are the same; of those of none any."""
    known = {id(move.direction): move.direction for move in moves if move is not None}
    stacked = torch.stack([direction.float() for direction in known.values()]).to(device)
    if len(known) == 1:
        return stacked[0]
    places = {key: place for place, key in enumerate(known)}
    rows = [0 if move is None else places[id(move.direction)] for move in moves]
    return stacked.index_select(0, torch.tensor(rows, device=device))


def _packed_edit(moves: Sequence[Move | None], device: torch.device) -> Edit:
    return partial(
        rank_one_by_token,
        direction=directions_of(moves, device),
        coefficients=token_numbers(moves, device),
    )


def _in_turn(edits: Sequence[Edit], residual: Tensor) -> Tensor:
    for edit in edits:
        residual = edit(residual)
    return residual
