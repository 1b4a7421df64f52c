"""Scores of collected prompts, through the readout that serving uses."""

from __future__ import annotations

import numpy as np
import torch

from recal.collect import Activations
from recal.maths.two_class import FloatArray
from services.readout.bundle import Readout


def scores_at(
    readout: Readout,
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
    read = [
        activations.at(place.layer, reading=place.reading, language=language, harmful=harmful)
        for place in readout.places
    ]
    residuals = torch.from_numpy(np.stack(read, axis=1)).float()
    return readout.score(residuals).numpy().astype(np.float64)
