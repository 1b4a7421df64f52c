"""Scores of collected prompts, through the readout that serving uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from recal.collect import Activations
from recal.maths.two_class import FloatArray
from services.readout.place import Place


class Scorer(Protocol):
    """What scores: the frozen readout, or a language's own."""

    @property
    def places(self) -> tuple[Place, ...]:
        """What it reads, in the order in which `score` expects it."""

    def score(self, residuals: Tensor) -> Tensor:
        """(..., len(places), d_model) to (...,)."""


def scores_at(
    readout: Scorer,
    activations: Activations,
    *,
    language: str | None = None,
    harmful: bool | None = None,
) -> FloatArray:
    """Scores of prompts, of one language and class where given, in the prompts' order.

    Returns:
        (n,) float64, computed in float32 as serving does.

    Raises:
        ValueError: a place that the readout reads was not collected, no prompt matches, or the
            residuals have another width.
    """
    return scores_through(
        readout,
        lambda place: activations.at(
            place.layer, reading=place.reading, language=language, harmful=harmful
        ),
    )


def scores_through(readout: Scorer, residuals: Callable[[Place], FloatArray]) -> FloatArray:
    """Scores of prompts whose residuals are read as they are asked for.

    Args:
        readout: scores.
        residuals: (n, d_model) of the prompts at a place.

    Returns:
        (n,) float64, computed in float32 as serving does.

    Raises:
        ValueError: as `residuals`, or they have another width.
    """
    read = np.stack([residuals(place) for place in readout.places], axis=1)
    return readout.score(torch.from_numpy(read).float()).numpy().astype(np.float64)
