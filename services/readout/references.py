"""What a fit leaves to compare with: how scores were spread, and activations to score again."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ScoreHistogram:
    """Reference scores of one language: counts per bin and class, for drift and for pictures."""

    edges: tuple[float, ...]
    harmful: tuple[int, ...]
    harmless: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class References:
    """Activations with the scores that the fit gave them, in float64."""

    residuals: Tensor
    """(n, places, d_model) float32: of each source language the mean of each class, so that no
    single prompt is kept."""
    scores: tuple[float, ...]
    """n of them."""

    def __post_init__(self) -> None:
        if len(self.residuals) != len(self.scores) or not self.scores:
            raise ValueError(f"{len(self.scores)} scores for {len(self.residuals)} activations")
