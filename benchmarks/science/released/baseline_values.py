"""Values of released baseline code (CAST, AdaSteer) on one language's synthetic activations.

From the full folder, or from a small copy with the same numbers. `python -m` of this module writes
the copy anew.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recal.maths.cast import Variant

FULL = Path(__file__).resolve().parents[4] / "shared" / "golden"
COPY = Path(__file__).with_name("baseline_values.npz")
VARIANTS: tuple[Variant, ...] = ("pca_pairwise", "pca_center", "pca_diff")
Array = NDArray[Any]


@dataclass(frozen=True)
class BaselineGolden:
    """Inputs and outputs; flat arrays, so that they can be saved without pickle."""

    harmful: Array
    """(40, d) rows."""
    harmless: Array
    """(36, d) rows."""
    cast_directions: Array
    """(variants, d), of the first 36 rows a class, in the order of `VARIANTS`."""
    cast_harmful: Array
    """(40,) similarities with the pairwise direction."""
    cast_harmless: Array
    """(36,)."""
    cast_threshold: Array
    """(1,) found on the grid 0, .01 … 1."""
    cast_is_smaller: Array
    """(1,) bool: the condition is met where the threshold is smaller than the similarity."""
    cast_f1: Array
    """(1,)."""
    adasteer_scaled: Array
    """(40,) positions of the harmful rows: 0 at the harmful mean, 100 at the harmless one."""
    adasteer_alpha: Array
    """(40,) by the clamp released for Qwen."""
    adasteer_beta: Array


def from_copy() -> BaselineGolden:
    with np.load(COPY, allow_pickle=False) as arrays:
        return BaselineGolden(**arrays)


def from_folder() -> BaselineGolden:
    point = json.loads((FULL / "public.json").read_text())["cast_point"]
    with np.load(FULL / "public.npz", allow_pickle=False) as arrays:
        return BaselineGolden(
            harmful=arrays["act/src0/harmful"],
            harmless=arrays["act/src0/harmless"],
            cast_directions=np.stack([arrays[f"cast/direction/{v}"] for v in VARIANTS]),
            cast_harmful=arrays["cast/sim_harmful"],
            cast_harmless=arrays["cast/sim_harmless"],
            cast_threshold=np.array([point["threshold"]]),
            cast_is_smaller=np.array([point["comparator_threshold_is"] == "smaller"]),
            cast_f1=np.array([point["f1"]]),
            adasteer_scaled=arrays["adasteer/scaled"],
            adasteer_alpha=arrays["adasteer/alpha_qwen"],
            adasteer_beta=arrays["adasteer/beta_qwen"],
        )


if __name__ == "__main__":
    np.savez_compressed(COPY, **asdict(from_folder()))
