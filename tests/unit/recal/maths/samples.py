"""Synthetic residuals and scores for the tests of the maths."""

from __future__ import annotations

import numpy as np

from recal.maths.two_class import TwoClass


def residuals(
    *,
    n_languages: int = 4,
    n: int = 40,
    d: int = 12,
    gap: float = 4.0,
    shift: float = 1.0,
    seed: int = 0,
) -> dict[str, TwoClass]:
    """Languages that share a direction, each with its own twist of it and its own offset."""
    rng = np.random.default_rng(seed)
    shared = unit(rng.normal(size=d))
    by_language = {}
    for i in range(n_languages):
        own = unit(shared + 0.4 * rng.normal(size=d) / np.sqrt(d))
        offset = shift * rng.normal(size=d)
        noise = rng.normal(size=(2, n, d))
        by_language[f"l{i}"] = TwoClass(
            noise[0] + offset + gap / 2 * own, noise[1] + offset - gap / 2 * own
        )
    return by_language


def scores(
    *, k: int, gap: float = 4.0, sd: float = 1.0, seed: int = 0, shift: float = 0.0
) -> TwoClass:
    rng = np.random.default_rng(seed)
    return TwoClass(
        shift + rng.normal(gap / 2, sd, size=k), shift + rng.normal(-gap / 2, sd, size=k)
    )


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
