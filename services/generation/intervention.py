"""Pure torch: what steering and ablation do to a residual, one row and one token at a time.

Every form is the same move along a direction, `h + clamp(s + c·p, low, high)·v` with `p = h·v`,
with other numbers (s, c, low, high), so that one batch can hold all of them. Nothing here keeps
state, and nothing reads a number back from the device while the model runs.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor

from services.readout.bundle import Scope

UNIT_TOLERANCE = 1e-3


class Phase(Enum):
    """Which pass of the model is edited."""

    PREFILL = "prefill"
    """The prompt's tokens."""
    DECODE = "decode"
    """New tokens."""


class Span(NamedTuple):
    """Consecutive tokens of one row in a packed pass."""

    n_tokens: int
    phase: Phase
    ends: bool = True
    """The last one is the last of the prompt; of new tokens it does not matter."""

    def inside(self, scope: Scope) -> range:
        """Which of its tokens a scope is for: all, the last one or none."""
        if self.phase is Phase.DECODE:
            n_inside = self.n_tokens if scope.decodes else 0
        elif scope.prompt == "last":
            n_inside = int(self.ends)
        else:
            n_inside = self.n_tokens if scope.prompt == "all" else 0
        return range(self.n_tokens - n_inside, self.n_tokens)


class Push(NamedTuple):
    """How far a token is moved along a direction: `clamp(shift + scale·p, low, high)`.

    p is the token's projection. With shift = scale = 0 nothing is moved, whatever the bounds are.
    """

    shift: float = 0.0
    """s, in the residual's own units."""
    scale: float = 0.0
    """c, per unit of projection; -1 removes the component."""
    low: float = -math.inf
    """The least move, in the residual's own units; 0 never moves against the direction."""
    high: float = math.inf
    """The greatest move; 0 never moves along it."""


class Coefficients(NamedTuple):
    """The pushes of a batch, for each token of one pass; s = c = 0 leaves a token alone."""

    shift: Tensor
    """(batch, seq) float32."""
    scale: Tensor
    """(batch, seq) float32."""
    low: Tensor
    """(batch, seq) or (batch, 1) float32, may be -inf."""
    high: Tensor
    """(batch, seq) or (batch, 1) float32, may be inf."""


def add(coefficient: float) -> Push:
    """Add `coefficient · direction`, in the residual's own units; 0 is the identity.

    Source: Rimsky et al. 2023, arXiv:2312.06681; arXiv:2606.01196 with coefficient λ·g.
    """
    return Push(shift=coefficient)


def to_target(target: float, share: float) -> Push:
    """Go `share` of the way up to `target`: `max(0, share · (target - p))`; 0 is the identity.

    With a share of at most 1 no token goes beyond the target, and one above it is left alone.

    Source: projection-aware steering, arXiv:2604.08169; the share is ours.
    """
    return Push(shift=share * target, scale=-share, low=0.0)


def ablation() -> Push:
    """Remove the component along the direction: `-p`.

    Source: Arditi et al. 2024, arXiv:2406.11717; at one block's output only, as in
    arXiv:2606.01196, where Arditi et al. ablate at every block.
    """
    return Push(scale=-1.0)


def down_to(centre: float) -> Push:
    """Bring what lies above `centre` down to it: `min(0, centre - p)`.

    Source: affine editing, arXiv:2411.09003, whose reference point is the benign mean; one-sided
    here, so that a prompt which looks harmless already is left alone.
    """
    return Push(shift=centre, scale=-1.0, high=0.0)


def steer(residual: Tensor, direction: Tensor, coefficient: float) -> Tensor:
    """`add` to every token.

    Args:
        residual: (..., d_model). Computed in float32, returned in the input dtype; not modified.
        direction: (d_model,), unit norm.
        coefficient: signed, in the residual's own units; 0 is the identity, bit for bit.

    Raises:
        ValueError: `direction` is not unit norm within 1e-3 or not as wide as the residual, or
            `coefficient` is not finite.
    """
    return push_everywhere(residual, direction, add(coefficient))


def ablate(residual: Tensor, direction: Tensor) -> Tensor:
    """`ablation` of every token; arguments and errors as `steer`."""
    return push_everywhere(residual, direction, ablation())


def push_everywhere(residual: Tensor, direction: Tensor, push: Push) -> Tensor:
    """The same push for every token of (..., d_model); arguments and errors as `apply`."""
    check_push(push)
    like = torch.ones(residual.shape[:-1], dtype=_wide(residual), device=residual.device)
    return apply(residual, direction, Coefficients(*(value * like for value in push)))


def apply(residual: Tensor, direction: Tensor, coefficients: Coefficients) -> Tensor:
    """The move `h + clamp(s + c·p, low, high)·v`, with its own numbers for every token.

    Args:
        residual: (batch, seq, d_model). Computed in float32, returned in the input dtype; not
            modified. Tokens with s = c = 0, and those that their bounds hold in place, come back
            bit for bit, the former even where they are not finite; so do those whose projection
            is NaN, which stay as far from finite as they were.
        direction: (d_model,), unit norm, or (batch, d_model): one for each row.
        coefficients: s, c, low and high.

    Raises:
        ValueError: `direction` is not unit norm within 1e-3, or a shape does not fit.
    """
    for vector in direction if direction.ndim == 2 else [direction]:
        check_unit_norm(vector)
    return rank_one(residual, direction, coefficients)


def rank_one(residual: Tensor, direction: Tensor, coefficients: Coefficients) -> Tensor:
    """`apply` for a hook whose directions passed `check_unit_norm` before the first token.

    The check reads a number back from the device, which would stall every decode step. A row
    that is not edited may have any direction, zero too.

    Raises:
        ValueError: a shape does not fit.
    """
    _check_shapes(residual, direction, coefficients)
    # a float64 residual keeps its precision; a half one is widened before anything is summed
    dtype = _wide(residual)
    wide, vector = residual.to(dtype), direction.to(residual.device, dtype)
    if vector.ndim == 2:
        vector = vector.unsqueeze(1)
    shift, scale, low, high = (part.to(residual.device, dtype) for part in coefficients)
    # not a matrix product: its summation order, and so the last bit, depends on the batch
    projection = (wide * vector).sum(dim=-1)
    moved = torch.clamp(shift + scale * projection, low, high)
    edited = wide + moved.unsqueeze(-1) * vector
    # NaN is above nothing, so a still token stays as it is whatever its projection is
    touched = moved.abs() > 0
    return torch.where(touched.unsqueeze(-1), edited.to(residual.dtype), residual)


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


def check_push(push: Push) -> None:
    """Raise unless a push has finite numbers and bounds in order.

    Raises:
        ValueError: shift or scale is not finite, or the bounds are not low <= high.
    """
    for name, value in (("coefficient", push.shift), ("scale", push.scale)):
        if not math.isfinite(value):
            raise ValueError(f"the steering {name} is {value}; it must be finite")
    if not push.low <= push.high:
        raise ValueError(f"a push between {push.low} and {push.high} has no room; swap its bounds")


def _wide(residual: Tensor) -> torch.dtype:
    return torch.promote_types(residual.dtype, torch.float32)


def _check_shapes(residual: Tensor, direction: Tensor, coefficients: Coefficients) -> None:
    if not residual.is_floating_point():
        raise ValueError(f"the residual is of {residual.dtype}; an edit needs a float dtype")
    width = residual.shape[-1:]
    allowed = [width] if residual.ndim != 3 else [width, residual.shape[:1] + width]
    if direction.shape not in allowed:
        raise ValueError(
            f"the residual has shape {tuple(residual.shape)}, the direction "
            f"{tuple(direction.shape)}; their last dimensions must agree, and there is one for "
            "all rows or one for each"
        )
    tokens = residual.shape[:-1]
    for name, given in zip(Coefficients._fields, coefficients, strict=True):
        is_bound = name in ("low", "high")
        if given.shape != tokens and not (is_bound and given.shape == (*tokens[:-1], 1)):
            raise ValueError(
                f"`{name}` has shape {tuple(given.shape)}; the residual needs {tuple(tokens)}"
            )
