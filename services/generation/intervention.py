"""Pure torch: what steering and ablation do to a residual, one row and one token at a time.

Both are the same rank-1 edit `h + s·v + c·(h·v)·v` with other numbers (s, c), so that one batch
can hold requests with different verdicts. Nothing here keeps state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor

from services.domain import Action

UNIT_TOLERANCE = 1e-3


class Phase(Enum):
    """Which pass of the model is edited."""

    PREFILL = "prefill"
    """The prompt's tokens."""
    DECODE = "decode"
    """New tokens."""


class Coefficients(NamedTuple):
    """What a batch of actions does to each token of one pass; (0, 0) leaves a token alone."""

    shift: Tensor
    """(batch, seq) float32: s, added along the direction, in the residual's own units."""
    scale: Tensor
    """(batch, seq) float32: c, added per unit of projection; -1 removes the component."""


def steer(residual: Tensor, direction: Tensor, coefficient: float) -> Tensor:
    """Add `coefficient · direction` (activation addition).

    Args:
        residual: (..., d_model). Computed in float32, returned in the input dtype; not modified.
        direction: (d_model,), unit norm.
        coefficient: signed, in the residual's own units; 0 is the identity, bit for bit.

    Raises:
        ValueError: `direction` is not unit norm within 1e-3 or not as wide as the residual, or
            `coefficient` is not finite.

    Source: Rimsky et al. 2023, arXiv:2312.06681.
    """
    return _apply_everywhere(residual, direction, shift=coefficient, scale=0.0)


def ablate(residual: Tensor, direction: Tensor) -> Tensor:
    """Remove the component along `direction` (directional ablation).

    Args:
        residual: (..., d_model). Computed in float32, returned in the input dtype; not modified.
        direction: (d_model,), unit norm.

    Raises:
        ValueError: `direction` is not unit norm within 1e-3 or not as wide as the residual.

    Source: Arditi et al. 2024, arXiv:2406.11717; at one block's output only, as in
    arXiv:2606.01196, where Arditi et al. ablate at every block.
    """
    return _apply_everywhere(residual, direction, shift=0.0, scale=-1.0)


def apply(residual: Tensor, direction: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """The rank-1 edit `h + s·v + c·(h·v)·v`, with its own (s, c) for every token.

    Args:
        residual: (batch, seq, d_model). Computed in float32, returned in the input dtype; not
            modified. Tokens with s = c = 0 come back bit for bit, even beside non-finite ones.
        direction: (d_model,), unit norm.
        shift: (batch, seq), s.
        scale: (batch, seq), c.

    Raises:
        ValueError: `direction` is not unit norm within 1e-3, or a shape does not fit.
    """
    check_unit_norm(direction)
    return rank_one(residual, direction, shift, scale)


def rank_one(residual: Tensor, direction: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """`apply` for a hook that has called `check_unit_norm` once, before the first token.

    The check reads a number back from the device, which would stall every decode step.

    Raises:
        ValueError: a shape does not fit.
    """
    _check_shapes(residual, direction, shift, scale)
    # a float64 residual keeps its precision; a half one is widened before anything is summed
    dtype = torch.promote_types(residual.dtype, torch.float32)
    wide, vector = residual.to(dtype), direction.to(residual.device, dtype)
    shift, scale = shift.to(residual.device, dtype), scale.to(residual.device, dtype)
    # not a matrix product: its summation order, and so the last bit, depends on the batch
    projection = (wide * vector).sum(dim=-1)
    edited = wide + (shift + scale * projection).unsqueeze(-1) * vector
    touched = ((shift != 0) | (scale != 0)).unsqueeze(-1)
    return torch.where(touched, edited.to(residual.dtype), residual)


def check_unit_norm(direction: Tensor) -> None:
    """Raise unless `direction` is a vector of unit norm.

    Raises:
        ValueError: it is not a vector, or its norm is not 1 within 1e-3 (a NaN is not).
    """
    if direction.ndim != 1:
        raise ValueError(f"`direction` is a vector, not of shape {tuple(direction.shape)}")
    norm = float(direction.detach().double().norm())
    if not abs(norm - 1.0) <= UNIT_TOLERANCE:
        raise ValueError(f"`direction` has norm {norm:.6g}; divide it by its norm")


def coefficients(
    actions: Sequence[Action], *, coefficient: float, phase: Phase, tokens: Tensor
) -> Coefficients:
    """What each row's action means for each token of one pass.

    STEER edits the last prompt token and every decode token, RELEASE all prompt tokens and every
    decode token, NONE nothing. Pads, and rows that have ended, are never edited.

    Args:
        actions: one for each row.
        coefficient: what STEER adds along the direction; signed, in the residual's own units.
        phase: prompt or new tokens.
        tokens: (batch, seq) bool or 0/1, of this pass alone: true for a real token, false for a
            pad. On the left or on the right.

    Raises:
        ValueError: an action is REFUSE, which is answered without the model; `coefficient` is not
            finite; or `tokens` has not one row for each action.

    Source: arXiv:2606.01196, its released conditional hook.
    """
    if Action.REFUSE in actions:
        raise ValueError(
            "`refuse` is no intervention; answer it with the fixed refusal before generation"
        )
    _check_finite(coefficient)
    if tokens.ndim != 2 or tokens.shape[0] != len(actions):
        raise ValueError(f"`tokens` has shape {tuple(tokens.shape)} for {len(actions)} actions")
    real = tokens.bool()
    steered = _last_token(real) if phase is Phase.PREFILL else real
    shift = _rows(actions, Action.STEER, coefficient, tokens.device) * steered
    scale = _rows(actions, Action.RELEASE, -1.0, tokens.device) * real
    return Coefficients(shift=shift, scale=scale)


def _rows(actions: Sequence[Action], action: Action, value: float, device: torch.device) -> Tensor:
    column = [[value if a is action else 0.0] for a in actions]
    return torch.tensor(column, dtype=torch.float32, device=device).reshape(len(actions), 1)


def _last_token(real: Tensor) -> Tensor:
    position = torch.arange(real.shape[1], device=real.device)
    last = torch.where(real, position, -1).amax(dim=1, keepdim=True)
    return position == last


def _apply_everywhere(residual: Tensor, direction: Tensor, *, shift: float, scale: float) -> Tensor:
    _check_finite(shift)
    dtype = torch.promote_types(residual.dtype, torch.float32)
    everywhere = torch.ones(residual.shape[:-1], dtype=dtype, device=residual.device)
    return apply(residual, direction, shift * everywhere, scale * everywhere)


def _check_shapes(residual: Tensor, direction: Tensor, shift: Tensor, scale: Tensor) -> None:
    if not residual.is_floating_point():
        raise ValueError(f"the residual is of {residual.dtype}; an edit needs a float dtype")
    if direction.shape != residual.shape[-1:]:
        raise ValueError(
            f"the residual has shape {tuple(residual.shape)}, the direction "
            f"{tuple(direction.shape)}; their last dimensions must agree"
        )
    for name, given in (("shift", shift), ("scale", scale)):
        if given.shape != residual.shape[:-1]:
            raise ValueError(
                f"`{name}` has shape {tuple(given.shape)}; the residual needs "
                f"{tuple(residual.shape[:-1])}"
            )


def _check_finite(coefficient: float) -> None:
    if not math.isfinite(coefficient):
        raise ValueError(f"the steering coefficient is {coefficient}; it must be finite")
