"""The readout online: a linear map from the residual at (layer, position) to one number."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class LinearReadout:
    """Basis, scaler and logistic weights folded into one vector and one bias."""

    weight: Tensor
    """(d_model,) float32."""
    bias: float

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
        return residual.float() @ self.weight.to(residual.device) + self.bias
