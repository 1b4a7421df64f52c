"""The readout online: linear maps from residuals at places to one number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from services.readout.place import Place


@dataclass(frozen=True, eq=False)
class LinearReadout:
    """Basis, scaler and logistic weights folded into one vector and one bias."""

    weight: Tensor
    """(d_model,) float32."""
    bias: float
    _moved: dict[torch.device, Tensor] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.weight.ndim != 1 or self.weight.dtype != torch.float32:
            raise ValueError(
                f"a readout's weight is a float32 vector, not {self.weight.dtype} of shape "
                f"{tuple(self.weight.shape)}"
            )

    def score(self, residual: Tensor) -> Tensor:
        """Score residuals; larger is more harmful.

        Args:
            residual: (..., d_model), any float dtype and device; computed in float32.

        Returns:
            (...,) float32, in pooled standard deviations of the source languages. Non-finite
            residuals give non-finite scores, never a number that looks like one.

        Raises:
            ValueError: the residual's last dimension is not d_model.
        """
        if residual.shape[-1] != self.weight.shape[0]:
            raise ValueError(
                f"the residual has width {residual.shape[-1]}, the readout {self.weight.shape[0]}"
            )
        return residual.float() @ self._on(residual.device) + self.bias

    def _on(self, device: torch.device) -> Tensor:
        # moved once: a copy from the host in the middle of a pass waits for all that the pass did
        if device not in self._moved:
            self._moved[device] = self.weight.to(device)
        return self._moved[device]


@dataclass(frozen=True, eq=False)
class ReadoutPart:
    """What a readout makes of one place; the score is the sum of its parts."""

    place: Place
    linear: LinearReadout
    """In pooled standard deviations of the source languages by itself."""
    basis: Tensor
    """(d_model, rank) float32, orthonormal columns; kept for analyses, not needed to score."""
    share: float = 1.0
    """What this part's score is multiplied with in the sum, above 0. Shares need not sum to 1:
    they make the sum's unit one pooled standard deviation again."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.share) and self.share > 0):
            raise ValueError(f"`share` is {self.share}; it must be finite and above 0")

    @property
    def rank(self) -> int:
        """Of the subspace of the source languages' directions."""
        return int(self.basis.shape[-1])


def summed(parts: Sequence[tuple[LinearReadout, float]], residuals: Tensor) -> Tensor:
    """The score of a readout of several places: the sum of its parts, each times its share.

    Args:
        parts: one for each place, with its share.
        residuals: (..., len(parts), d_model), any float dtype, in the parts' order.

    Returns:
        (...,) float32. A residual that is not finite at any place gives a score that is not.

    Raises:
        ValueError: it has another number of places or another width.
    """
    if residuals.ndim < 2 or residuals.shape[-2] != len(parts):
        raise ValueError(
            f"residuals of shape {tuple(residuals.shape)} were given to a readout of "
            f"{len(parts)} places; the last but one dimension is the places"
        )
    scores = [
        share * linear.score(residuals[..., index, :])
        for index, (linear, share) in enumerate(parts)
    ]
    return scores[0] if len(scores) == 1 else torch.stack(scores).sum(dim=0)
